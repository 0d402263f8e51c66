#!/usr/bin/env bash
# Shared mappings: several processes write one file through memory, and what one
# writes the others read, by memory and by read(2).
set -euo pipefail
python3 - <<'PY'
import mmap, os, hashlib

def fork(do):
    pid = os.fork()
    if pid == 0:
        try:
            do()
            os._exit(0)
        except BaseException as e:
            print(e, flush=True)
            os._exit(1)
    return pid

def wait(pids):
    for pid in pids:
        print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def sha(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()

def writers(path, size, n):
    """n processes write a page each, in turn, all over the file."""
    def write(k):
        with open(path, "r+b") as f, mmap.mmap(f.fileno(), size) as m:
            for page in range(k, size // 4096, n):
                m[page * 4096:page * 4096 + 4096] = bytes([65 + k]) * 4096
            m.flush()
    wait([fork(lambda k=k: write(k)) for k in range(n)])
    print(path, sha(path))

with open("made", "wb") as f:
    f.truncate(1 << 20)
writers("made", 1 << 20, 4)
writers("odd/large", 3000000 // 4096 * 4096, 4)   # a file of the base
writers("odd/sparse", 4 << 20, 3)

# Memory and read(2) agree at once, in both directions and across processes.
with open("made", "r+b") as f, mmap.mmap(f.fileno(), 1 << 20) as m:
    m[5000:5005] = b"hello"
    os.lseek(f.fileno(), 5000, 0)
    print(os.read(f.fileno(), 5))
    os.pwrite(f.fileno(), b"world", 9000)
    print(m[9000:9005])
    def child():
        with open("made", "r+b") as g, mmap.mmap(g.fileno(), 1 << 20) as n:
            print(n[5000:5005], n[9000:9005], flush=True)
            n[0:5] = b"child"
    wait([fork(child)])
    print(m[0:5])

# A private mapping changes nothing; a mapping outlives close, rename, unlink.
with open("fmt/print.go", "rb") as f:
    p = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)
    s = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
p[0:4] = b"XXXX"
print(open("fmt/print.go", "rb").read(4), s[0:4])
os.rename("fmt/print.go", "fmt/renamed.go")
print(s[0:4])
f = open("made", "r+b")
m = mmap.mmap(f.fileno(), 1 << 20)
f.close()
os.unlink("made")
m[0:3] = b"end"
print(m[0:3], os.path.exists("made"))
m.close()

# A base file is mapped first and written by another process then.
f = open("errors/errors.go", "rb")
m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
def write():
    with open("errors/errors.go", "r+b") as g:
        g.write(b"// changed\n")
wait([fork(write)])
with open("errors/errors.go", "rb") as g:
    print(g.read(11))
print("mapping sees it:", m[0:11])

# Growing and shrinking under a mapping.
with open("grow", "w+b") as f:
    f.truncate(4096)
    m = mmap.mmap(f.fileno(), 4096)
    m[0:1] = b"a"
    f.truncate(8192)
    m.resize(8192)
    m[8191:8192] = b"z"
    m.close()
    f.seek(0)
    data = f.read()
    print(len(data), data[0:1], data[-1:])
PY
