#!/usr/bin/env bash
# rm -rf and making the same names anew, also of another kind.
set -euo pipefail
rm -rf net
mkdir net
ls -A net
echo alone >net/http
rm -rf crypto
echo 'a file now' >crypto
rm fmt/print.go
mkdir fmt/print.go
echo inside >fmt/print.go/file
rm odd/one
ln -s two odd/one
cat odd/one
stat -c %h odd/two
rm -rf encoding
git checkout --quiet -- encoding
git status --short encoding
rm -rf text && mkdir -p text/template && echo one >text/template/only.go
find text
rm -rf cmd
test ! -e cmd
mkdir -p cmd/go
ls cmd/go
rm -r odd/empty
mkdir odd/empty
rmdir odd/empty
mkdir again
for _ in 1 2 3; do
	touch again/{1..300}
	rm -rf again
	mkdir again
done
touch again/{1..300}
python3 - <<'PY'
import os
# Removing while listing, as rm does in its own way.
with os.scandir("again") as it:
    for n, e in enumerate(it):
        os.unlink(e.path)
print(n + 1, os.listdir("again"))
# What is open outlives its name.
f = open("sort/sort.go", "r+")
os.unlink("sort/sort.go")
f.write("// still there\n"); f.seek(0)
print(f.readline(), os.fstat(f.fileno()).st_nlink, os.path.exists("sort/sort.go"))
d = os.open("odd/private", os.O_RDONLY)
os.unlink("odd/private/file"); os.rmdir("odd/private")
print(os.listdir(d))
try:
    os.mkdir("sub", dir_fd=d)
except OSError as e:
    print(e.strerror)
try:
    os.rmdir("strings")
except OSError as e:
    print(e.strerror)
PY
rm -rf again math/{big,rand}
ls math | sort
