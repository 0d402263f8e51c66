#!/usr/bin/env bash
# Copies that keep everything, links instead of copies, copies over what is there.
set -euo pipefail
cp -a encoding copy
diff -r --no-dereference encoding copy
cp -a odd odd2
stat -c '%n %a %h %Y' odd2/one odd2/two odd2/private odd2/private/file odd2/symlink
getfattr -d odd2/attributes
cp -al sort linked
stat -c '%n %h' linked/sort.go sort/sort.go
echo '// through the link' >>linked/sort.go
tail -n 1 sort/sort.go
cp -R fmt/. errors
cp --remove-destination fmt/doc.go linked/sort.go
head -n 1 linked/sort.go
tail -n 1 sort/sort.go
cp -u fmt/print.go fmt/scan.go
cp --sparse=always odd/large odd/holes
cmp odd/large odd/holes
cp --reflink=auto odd/large odd/copy
cat fmt/doc.go >errors/errors.go
cp -a --no-dereference odd/dangling odd/also
install -m 640 fmt/doc.go installed
dd if=odd/large of=odd/large2 bs=4096 count=100 status=none
cp -p odd/private/file odd/empty/
cp --backup=numbered fmt/scan.go fmt/print.go
ls fmt | sort
cp -T -a copy copy2
cp -a copy copy2/deeper
find copy2 | wc -l
