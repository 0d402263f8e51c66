#!/usr/bin/env bash
# Calls that few programs make, with the errors that they should end in.
set -euo pipefail
cd odd
python3 - <<'PY'
import ctypes, errno, fcntl, mmap, os, socket, stat, subprocess

libc = ctypes.CDLL(None, use_errno=True)
HERE = -100  # AT_FDCWD


def said(call, *args):
    """What a call of the C library returns, or its errno."""
    r = call(*args)
    return r if r >= 0 else errno.errorcode[ctypes.get_errno()]


def corner(name, do):
    try:
        result = do()
    except OSError as e:
        result = errno.errorcode[e.errno]
    print(f"{name}: {result}")


def write(path, data=b"x"):
    with open(path, "wb") as f:
        f.write(data)


def start(path):
    with open(path, "rb") as f:
        return f.read(3)


def link_open(fd, name):
    return said(libc.linkat, HERE, b"/proc/self/fd/%d" % fd, HERE, name, 0x400)


def tmpfile(flags):
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR | flags, 0o644)
    os.write(fd, b"hi")
    os.fsync(fd)
    linked = link_open(fd, b"tmp")
    os.close(fd)
    if linked != 0:
        return linked
    s = os.stat("tmp")
    os.unlink("tmp")
    return s.st_size, s.st_nlink, oct(s.st_mode)


corner("O_TMPFILE", lambda: tmpfile(0))
corner("O_TMPFILE with O_EXCL", lambda: tmpfile(os.O_EXCL))


def exchange(a, b):
    r = said(libc.renameat2, HERE, a, HERE, b, 2)
    return r, start(a), start(b)


write("own", b"own")
corner("exchange", lambda: exchange(b"own", b"program"))
corner("exchange back", lambda: exchange(b"own", b"program"))
corner("RENAME_NOREPLACE", lambda: said(libc.renameat2, HERE, b"own", HERE, b"program", 1))
corner("a directory into itself", lambda: os.rename("private", "private/x"))


def fallocate(path, mode, off, n):
    fd = os.open(path, os.O_RDWR)
    try:
        return said(libc.fallocate, fd, mode, ctypes.c_long(off), ctypes.c_long(n)), os.fstat(fd).st_size
    finally:
        os.close(fd)


for mode in (0, 1, 3, 16, 17, 2, 64):
    write("allocated", b"y" * 20000)
    corner(f"fallocate {mode}", lambda: (fallocate("allocated", mode, 4096, 4096), open("allocated", "rb").read().count(b"\0")))
for mode in (3, 16):
    corner(f"fallocate {mode} of the base's", lambda: (fallocate("large", mode, 4096, 8192), open("large", "rb").read().count(b"\0")))


def copy_range(a, b):
    x, y = os.open(a, os.O_RDONLY), os.open(b, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        return os.copy_file_range(x, y, 1 << 16), os.fstat(y).st_size
    finally:
        os.close(x)
        os.close(y)


corner("copy_file_range, base to own", lambda: copy_range("large", "copied"))
corner("copy_file_range, own to base", lambda: copy_range("own", "program"))
corner("copy_file_range, own to own", lambda: copy_range("allocated", "copied"))

longest = "n" * 255
corner("a name of 255", lambda: (write(longest), os.stat(longest).st_size, os.unlink(longest)))
corner("a name of 256", lambda: write(longest + "n"))
corner("a path of 4095", lambda: os.stat("./" * 2046 + "own").st_size)
corner("a path of 4096", lambda: os.stat("a/" * 2047 + "aa"))


def deep():
    """Directories below each other, deeper than any path."""
    top, n = os.getcwd(), 0
    for n in range(25):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    write("leaf")
    os.chdir(top)
    subprocess.run(["rm", "-r", "d" * 200], check=True)
    return n


corner("deep", deep)


def unlinked():
    fd = os.open("unlinked", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(fd, b"abc")
    os.unlink("unlinked")
    os.ftruncate(fd, 1)
    os.fchmod(fd, 0o640)
    os.utime(fd, (1, 2))
    os.setxattr(fd, "user.a", b"b")
    s = os.fstat(fd)
    found = [s.st_nlink, s.st_size, oct(s.st_mode), int(s.st_mtime), os.getxattr(fd, "user.a"), link_open(fd, b"again")]
    found.append(said(libc.fallocate, fd, 0, ctypes.c_long(0), ctypes.c_long(8192)))
    m = mmap.mmap(fd, 4096)
    m[0] = 65
    m.flush()
    found.append(os.pread(fd, 1, 0))
    m.close()
    os.close(fd)
    return found


corner("an open file without a name", unlinked)


def unlinked_base():
    fd = os.open("private/file", os.O_RDWR)
    os.unlink("private/file")
    before = os.pread(fd, 3, 0)
    os.pwrite(fd, b"ZZ", 0)
    found = os.fstat(fd).st_nlink, before, os.pread(fd, 3, 0), os.fstat(fd).st_size
    os.close(fd)
    return found


corner("an open file of the base without a name", unlinked_base)


def attributes():
    write("own")
    found = []
    for name in ("user.e", "user.", "user." + "n" * 251, "trusted.t", "security.foo", "bogus.x", "system.posix_acl_x"):
        try:
            os.setxattr("own", name, b"")
            found.append(os.getxattr("own", name))
        except OSError as e:
            found.append(errno.errorcode[e.errno])
    for flags in (os.XATTR_CREATE, os.XATTR_REPLACE):
        try:
            found.append(os.setxattr("own", "user.e", b"q", flags))
        except OSError as e:
            found.append(errno.errorcode[e.errno])
    for name in ("user.e", "user.none", "trusted.t", "security.foo"):
        try:
            found.append(os.removexattr("own", name))
        except OSError as e:
            found.append(errno.errorcode[e.errno])
    return found


corner("attributes", attributes)


def set_gid():
    os.mkdir("group")
    os.chown("group", 0, 1000)
    os.chmod("group", 0o2775)
    write("group/f")
    os.mkdir("group/d")
    found = os.stat("group/f").st_gid, os.stat("group/d").st_gid, oct(os.stat("group/d").st_mode)
    subprocess.run(["rm", "-r", "group"], check=True)
    return found


if os.geteuid() == 0:
    corner("a set-gid directory", set_gid)


def running():
    subprocess.run(["cp", "/bin/sleep", "sleep"], check=True)
    p = subprocess.Popen(["./sleep", "10"])
    try:
        while os.readlink(f"/proc/{p.pid}/exe") != os.path.abspath("sleep"):
            pass
        return open("sleep", "r+b")
    finally:
        p.kill()
        p.wait()
        os.unlink("sleep")


corner("a running program", running)


def direct():
    fd = os.open("direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    m = mmap.mmap(-1, 8192)
    m.write(b"q" * 8192)
    found = os.write(fd, m), os.lseek(fd, 0, 0), os.readv(fd, [m]), os.fstat(fd).st_size
    os.close(fd)
    return found


corner("O_DIRECT", direct)


def changing():
    """Entries that are there all the time are seen, whatever comes and goes."""
    os.mkdir("many")
    for i in range(2000):
        write(f"many/{i}")
    seen = []
    for n, e in enumerate(os.scandir("many")):
        seen.append(e.name)
        if n % 10 == 0:
            os.unlink("many/" + e.name)
            write(f"many/new{n}")
    subprocess.run(["rm", "-r", "many"], check=True)
    old = [n for n in seen if not n.startswith("new")]
    return len(old), len(set(seen)) == len(seen)


corner("a directory that changes while it is read", changing)


def locked():
    fd = os.open("left", os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    os.pwrite(fd, b"L", 0)  # copies it up
    child = os.fork()
    if child == 0:
        try:
            fcntl.lockf(os.open("right", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(1)
        except OSError:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    os.close(fd)
    return status


corner("a lock over a copy-up, by another name", locked)


def appended():
    a = os.open("appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    b = os.open("appended", os.O_WRONLY | os.O_APPEND)
    for _ in range(100):
        os.write(a, b"a")
        os.write(b, b"b")
    found = os.pwrite(a, b"zz", 0), os.fstat(a).st_size
    os.close(a)
    os.close(b)
    return found


corner("two that append", appended)
corner("times before 1970", lambda: (os.utime("own", ns=(-5_000_000_001, 4_000_000_000_123_456_789)), os.stat("own").st_mtime_ns))
corner("a hole of a TiB", lambda: (os.truncate("appended", 1 << 40), os.stat("appended").st_size, os.truncate("appended", 3)))
corner("a negative size", lambda: os.truncate("own", -1))
corner("a slash behind a file", lambda: os.stat("own/"))
corner("mkdir .", lambda: os.mkdir("."))
corner("rmdir x/.", lambda: os.rmdir("private/."))
corner("unlink of a directory", lambda: os.unlink("private"))
corner("link of a directory", lambda: os.link("private", "p2"))
corner("rmdir of what is not empty", lambda: os.rmdir(".."))
corner("a fifo", lambda: (os.mkfifo("fifo"), stat.S_ISFIFO(os.stat("fifo").st_mode), os.unlink("fifo")))
corner("a socket", lambda: (socket.socket(socket.AF_UNIX).bind("socket"), stat.S_ISSOCK(os.stat("socket").st_mode), os.unlink("socket")))
corner("the longest name", lambda: os.statvfs(".").f_namemax)
PY
