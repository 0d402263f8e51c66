#!/usr/bin/env bash
# Moving files and whole directories of the base: no EXDEV, no copy.
set -euo pipefail
inode() { stat -c %i "$1"; }
before=$(inode net/http)
mv net/http web
test "$before" = "$(inode web)" && echo 'the same directory'
mv net internet
ls internet | sed -n 1,3p
mv internet/url web/url
mv web internet/web
mv encoding/json encoding/xml
ls encoding/xml/json | sed -n 1,3p
mkdir empty
mv -T sort empty
ls empty | sed -n 1,3p
mv fmt/print.go fmt/scan.go
mv errors/errors.go io/
mv strings text/strings
mv text/strings/builder.go strings.go
mkdir strings && echo new >strings/builder.go
python3 - <<'PY'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def renameat2(a, b, flags):
    if libc.renameat2(-100, a.encode(), -100, b.encode(), flags):
        return os.strerror(ctypes.get_errno())
    return "done"
print("exchange", renameat2("bytes", "bufio", 2), sorted(os.listdir("bytes"))[:2])
print("exchange kinds", renameat2("odd/one", "odd/empty", 2))
print("no replace", renameat2("math", "crypto", 1))
print("no replace", renameat2("math", "maths", 1))
for a, b in (("crypto", "crypto/below"), ("missing", "x"), ("crypto", "go"), ("odd/large", "crypto"), ("crypto", "odd/large"), ("odd/two", "odd/two")):
    try:
        os.rename(a, b); print(a, b, "done")
    except OSError as e:
        print(a, b, e.strerror)
# What is open follows a rename.
f = open("unicode/tables.go"); os.rename("unicode", "chars"); print(f.readline(), end="")
os.chdir("chars"); os.rename("../chars", "../letters"); print(os.path.basename(os.getcwd()), len(os.listdir(".")) > 3)
PY
git status --short | sort | sha256sum
mv internet net
mv net/web net/http
mv net/http/url net/url
git status --short net
for i in 1 2 3 4 5; do mv go "go$i" && mv "go$i" go; done
git status --short go
mv regexp a && mv a/syntax b && rm -r a && mv b regexp
ls regexp | sort | sed -n 1,3p
