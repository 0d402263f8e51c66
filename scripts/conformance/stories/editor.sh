#!/usr/bin/env bash
# The ways in which editors save: by rename, through a backup, in place.
set -euo pipefail
python3 - <<'PY'
import os, shutil, tempfile

def show(path):
    st = os.stat(path)
    print(path, oct(st.st_mode), st.st_nlink, st.st_size)

def by_rename(path, text):
    """Write a new file beside, give it the old one's mode, sync, rename, sync the directory."""
    st = os.stat(path)
    fd, temp = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".#")
    os.write(fd, text)
    os.fchmod(fd, st.st_mode & 0o7777)
    os.fsync(fd)
    os.close(fd)
    os.rename(temp, path)
    d = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(d)
    os.close(d)
    show(path)

def by_backup(path, text):
    """vim: move the old one away, write a new one, remove the old one."""
    st = os.stat(path)
    os.rename(path, path + "~")
    with open(path, "xb") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.chmod(path, st.st_mode & 0o7777)
    show(path)
    show(path + "~")
    os.unlink(path + "~")

def by_copy(path, text):
    """vim with backupcopy: copy, then truncate and write in place."""
    shutil.copy2(path, path + ".bak")
    with open(path, "r+b") as f:
        f.truncate(0)
        f.write(text)
        os.fsync(f.fileno())
    show(path)
    os.unlink(path + ".bak")

def with_swap(path, text):
    """A swap file that is locked while the file is open."""
    import fcntl
    swap = os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".swp")
    with open(swap, "xb") as s:
        fcntl.lockf(s, fcntl.LOCK_EX | fcntl.LOCK_NB)
        s.write(b"\0" * 4096)
        s.flush()
        by_rename(path, text)
    os.unlink(swap)

for n, way in enumerate((by_rename, by_backup, by_copy, with_swap)):
    for path in ("fmt/doc.go", "odd/program", "odd/one", "go.mod", f"new{n}"):
        if path.startswith("new"):
            open(path, "w").close()
        path = os.path.join(".", path)
        for save in range(3):
            way(path, f"saved {save} by {way.__name__}\n".encode() * 50)

# An editor that is open sees that the file was replaced under it.
a = os.stat("fmt/format.go")
by_rename("./fmt/format.go", b"x")
b = os.stat("fmt/format.go")
print("replaced", (a.st_dev, a.st_ino) != (b.st_dev, b.st_ino))
PY
git diff --stat | tail -n 1
