#!/usr/bin/env bash
# Holes, preallocation, truncation, and finding data.
set -euo pipefail
truncate -s 100M hole
printf x | dd of=hole bs=1 seek=50M conv=notrunc status=none
printf y | dd of=odd/sparse bs=1 seek=1M conv=notrunc status=none
python3 - <<'PY'
import os
def map(path):
    """Where a file has data, in blocks of 4 KiB that are not all zero."""
    with open(path, "rb") as f:
        at, found = 0, []
        while True:
            try:
                start = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError as e:
                break
            at = os.lseek(f.fileno(), start, os.SEEK_HOLE)
            for p in range(start // 4096, (at + 4095) // 4096):
                block = os.pread(f.fileno(), 4096, p * 4096)
                if block.strip(b"\0"):
                    found.append(p)
    return found
for path in ("hole", "odd/sparse"):
    print(path, os.stat(path).st_size, map(path))
print("holes take no room:", os.stat("hole").st_blocks * 512 < 10 << 20)
f = os.open("fallocated", os.O_CREAT | os.O_RDWR, 0o644)
os.posix_fallocate(f, 0, 1 << 20)
print(os.fstat(f).st_size)
os.ftruncate(f, 10)
print(os.pread(f, 100, 0))
os.ftruncate(f, 20)
print(os.pread(f, 100, 0))
PY
fallocate -p -o 4096 -l 8192 odd/large
dd if=odd/large bs=1 skip=4090 count=20 status=none | od -c
fallocate -n -o 0 -l 8M odd/one
stat -c '%n %s' odd/one odd/two
fallocate -l 2M odd/two
stat -c '%n %s' odd/one odd/two
cp --sparse=auto hole hole2
cmp hole hole2
truncate -s 10M hole
stat -c %s hole
truncate -s 0 odd/large
truncate -s 100 odd/large
od -c odd/large
rm hole hole2
