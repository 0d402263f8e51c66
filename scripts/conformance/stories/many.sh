#!/usr/bin/env bash
# Thousands of names in one directory and deep trees, made and removed by tools.
set -euo pipefail
mkdir many
python3 - <<'PY'
import os
for i in range(5000):
    with open(f"many/{i:05d}", "w") as f:
        f.write(str(i))
for i in range(0, 5000, 3):
    os.unlink(f"many/{i:05d}")
for i in range(1, 5000, 3):
    os.rename(f"many/{i:05d}", f"many/r{i:05d}")
print(len(os.listdir("many")))
# A list that is read slowly while names come and go: each that stays is listed once.
seen = []
with os.scandir("many") as it:
    for n, e in enumerate(it):
        seen.append(e.name)
        if n == 100:
            for i in range(1000):
                open(f"many/late{i}", "w").close()
        if n == 200:
            for i in range(1000):
                os.unlink(f"many/late{i}")
stay = [s for s in seen if not s.startswith("late")]
print(len(stay), len(set(seen)) == len(seen))
PY
ls many | sha256sum
find many -type f -print0 | xargs -0 cat | wc -c
mkdir -p tree/{a,b,c,d}/{1,2,3,4}/{x,y,z}
for d in tree/*/*/*; do echo "$d" >"$d/file"; done
cp -a tree tree2
rm -rf tree/{a,b} tree2/*/3
find tree tree2 | sort | sha256sum
find many -name 'r*' -exec mv -t tree {} +
ls tree | wc -l
find many -type f -print0 | xargs -0 -P 4 -n 200 rm
rmdir many
seq 1 400 | xargs -P 8 -I{} sh -c 'echo {} >tree/p{}; mv tree/p{} tree2/; cat tree2/p{} >/dev/null'
ls tree2 | wc -l
