#!/usr/bin/env bash
# Hard links and symbolic links, of base files and of new ones.
set -euo pipefail
rm odd/left
ln odd/right odd/left
stat -c '%n %h' odd/left odd/right
ln fmt/print.go fmt/also.go
ln fmt/print.go third.go
stat -c '%n %h' fmt/print.go fmt/also.go third.go
echo '// one edit' >>third.go
tail -n 1 fmt/print.go fmt/also.go
rm fmt/print.go
stat -c '%n %h' fmt/also.go third.go
chmod 600 third.go
stat -c '%n %a' fmt/also.go
ln odd/one odd/three
stat -c '%n %h' odd/one odd/two odd/three
echo edit >>odd/two
cat odd/one odd/three
rm odd/one
stat -c '%n %h' odd/two odd/three
mv odd/three odd/one
ln -f odd/two fmt/scan.go
stat -c '%n %h' odd/two fmt/scan.go
ln odd/symlink odd/symlink2
stat -c '%n %h %F' odd/symlink2
ln -s ../fmt odd/directory
ls odd/directory/doc.go
echo 'through a link' >odd/directory/new
cat fmt/new
ln -sfn ../errors odd/directory
ls odd/directory/
ln -s loop odd/loop
cat odd/loop 2>&1 || true
ln -s "$(printf 'x%.0s' {1..4000})" odd/long
readlink odd/long | wc -c
ln fmt fmt2 2>&1 || true
mkdir many && echo x >many/0
for i in {1..500}; do ln many/0 "many/$i"; done
stat -c %h many/0
rm many/{1..250}
stat -c %h many/0
cp -a many many2
stat -c %h many2/0
echo edited >odd/unlinked
exec 3<>odd/unlinked
rm odd/unlinked
cat <&3
exec 3>&-
