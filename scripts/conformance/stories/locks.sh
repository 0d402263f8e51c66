#!/usr/bin/env bash
# Locks of both kinds between processes, and files made exclusively.
set -euo pipefail
python3 - <<'PY'
import fcntl, os

def child(do):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = str(do())
        except OSError as e:
            said = e.strerror
        os.write(w, said.encode())
        os._exit(0)
    os.close(w)
    os.waitpid(pid, 0)
    said = os.read(r, 1000).decode()
    os.close(r)
    return said

def posix(path, kind, start=0, length=0):
    f = open(path, "r+b")
    fcntl.lockf(f, kind | fcntl.LOCK_NB, length, start)
    return "locked"

def flock(path, kind):
    f = open(path, "r+b")
    fcntl.flock(f, kind | fcntl.LOCK_NB)
    return "locked"

for path in ("fmt/print.go", "new"):
    if path == "new":
        open(path, "wb").close()
    f = open(path, "r+b")
    fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
    print(path, "in it:", child(lambda: posix(path, fcntl.LOCK_EX, 5, 1)))
    print(path, "beside it:", child(lambda: posix(path, fcntl.LOCK_EX, 10, 1)))
    fcntl.lockf(f, fcntl.LOCK_UN)
    print(path, "after:", child(lambda: posix(path, fcntl.LOCK_EX)))
    fcntl.flock(f, fcntl.LOCK_SH)
    print(path, "shared:", child(lambda: flock(path, fcntl.LOCK_SH)))
    print(path, "exclusive:", child(lambda: flock(path, fcntl.LOCK_EX)))
    f.write(b"written under a lock\n")
    f.flush()
    print(path, "after a write:", child(lambda: flock(path, fcntl.LOCK_EX)))
    f.close()
    print(path, "closed:", child(lambda: flock(path, fcntl.LOCK_EX)))

# Exactly one of many makes a lock file.
won = 0
for n in range(20):
    won += child(lambda: os.close(os.open("lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY))) == "None"
print("won:", won)
PY
for i in 1 2 3 4; do
	(for _ in {1..50}; do flock counter.lock sh -c 'n=$(cat counter 2>/dev/null || echo 0); echo $((n + 1)) >counter'; done) &
done
wait
cat counter
for i in 1 2 3 4; do
	(for n in {1..100}; do echo "writer $i line $n" >>lines; done) &
done
wait
sort lines | sha256sum
sort -o lines lines
rm lock counter.lock
