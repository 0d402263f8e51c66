#!/usr/bin/env bash
# Extended attributes and access control lists.
set -euo pipefail
setfattr -n user.first -v one fmt/doc.go
setfattr -n user.second -v two fmt/doc.go
getfattr -d fmt/doc.go
setfattr -x user.first fmt/doc.go
getfattr -d fmt/doc.go
setfattr -n user.origin -v changed odd/attributes
setfattr -n user.empty odd/attributes
getfattr -d odd/attributes
cat odd/attributes
setfattr -x user.missing odd/attributes 2>&1 || true
setfattr -n user.directory -v d fmt
mv fmt format
getfattr -d format format/doc.go
setfattr -n user.binary -v 0x00ff00 odd/large
getfattr -e hex -n user.binary odd/large
cp -a odd/attributes copied
getfattr -d copied
echo edit >>copied
getfattr -d copied
python3 - <<'PY'
import os
os.setxattr("copied", "user.big", b"v" * 3000)
print(len(os.getxattr("copied", "user.big")))
for flags in (os.XATTR_CREATE, os.XATTR_REPLACE):
    for name in ("user.big", "user.none"):
        try:
            os.setxattr("copied", name, b"x", flags); print(flags, name, "done")
        except OSError as e:
            print(flags, name, e.strerror)
print(sorted(os.listxattr("copied")))
PY
setfacl -m u:12:rw,g:34:r errors/errors.go
getfacl -n errors/errors.go
stat -c %a errors/errors.go
chmod 640 errors/errors.go
getfacl -n errors/errors.go
setfacl -b errors/errors.go
stat -c %a errors/errors.go
mkdir shared
setfacl -d -m u:12:rwx shared
touch shared/file
mkdir shared/below
getfacl -n shared shared/file shared/below
cp -a shared shared2
getfacl -n shared2/file
setfacl -m m::r shared/file
getfacl -n shared/file
