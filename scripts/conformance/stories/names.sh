#!/usr/bin/env bash
# Names that only a file system takes as they are.
set -euo pipefail
python3 - <<'PY'
import os
names = [b".wh.file", b".wh..wh..opq", b".fuse_hidden1", b"\xff\xfe\x80", b"new\nline", b"tab\tand\\slash", b" ", b"-rf",
         b"*", b"?", b"[a]", b"'\"", b"$HOME", b"\x01\x7f", "ü".encode(), "u\u0308".encode(), b"n" * 255, b"...", b".x.", b"~", b"CON"]
os.mkdir("strange")
for n in names:
    path = os.path.join(b"strange", n)
    with open(path, "wb") as f:
        f.write(n)
    os.rename(path, path[:-1] + b"_" if len(n) == 255 else path + b"_")
    os.mkdir(path)
    with open(os.path.join(path, n), "wb") as f:
        f.write(n)
print(sorted(os.listdir(b"strange")))
for n in (b"n" * 256, b"a\0b", b""):
    try:
        open(os.path.join(b"strange", n), "wb"); print("done")
    except (OSError, ValueError) as e:
        print(type(e).__name__, getattr(e, "strerror", e))
# As deep as a path may be, step by step.
at = os.open("strange", os.O_RDONLY)
for i in range(60):
    os.mkdir(b"d" * 200, dir_fd=at)
    below = os.open(b"d" * 200, os.O_RDONLY, dir_fd=at)
    os.close(at)
    at = below
f = os.open(b"bottom", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=at)
os.write(f, b"deep")
print(os.fstat(f).st_size)
PY
find strange -name bottom | wc -c
rm -rf "strange/$(printf 'd%.0s' {1..200})"
mv strange stranger
git status --short -z | tr '\0' '\n' | sort | sha256sum
rm -rf -- stranger/-rf 'stranger/*' stranger/.wh.file
ls -A stranger | wc -l
touch odd/.wh.one
ls -A odd | sort
mkdir .git2 ctl workspace
ls -d ctl workspace
