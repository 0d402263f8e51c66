#!/usr/bin/env bash
# sed -i, find with actions, chmod, touch: what scripts do to trees.
set -euo pipefail
find net -name '*.go' -exec sed -i 's/Copyright 20/Copyright (c) 20/' {} +
grep -rc 'Copyright (c) 20' net/http/*.go | sort | sed -n 1,5p
find net/http -name '*.go' -print0 | xargs -0 stat -c '%n %a %h' | sort
find os -name '*_test.go' -delete
find os | wc -l
find strings -name '*.go' -exec chmod 600 {} \;
chmod -R g-r,o-r sort
chmod u+s,g+s odd/program
chmod +t odd/empty
touch --date '2001-02-03T04:05:06.789012345Z' fmt/print.go
touch --no-dereference --date '2002-01-01T00:00:00Z' odd/dangling
touch --date '2003-01-01T00:00:00Z' bytes
touch -r fmt/print.go fmt/scan.go
stat -c '%n %y' fmt/print.go fmt/scan.go odd/dangling bytes
perl -pi -e 's/package bytes/package bytes \/\/ edited/' bytes/bytes.go 2>/dev/null || true
sed -i.orig 's/package/PACKAGE/' errors/errors.go
sed -i --follow-symlinks 's/^package fmt$/package fmt \/\/ by the link/' odd/symlink
grep -n 'by the link' fmt/print.go
sort -o unicode/sorted unicode/tables.go
truncate -s 100 errors/wrap.go
truncate -s +10 odd/one
wc -c <odd/two
echo appended >>math/bits.go
: >io/io.go
printf 'in the middle' | dd of=odd/large bs=1 seek=1500000 conv=notrunc status=none
dd if=odd/large bs=1 skip=1499999 count=15 status=none
echo
mkfifo odd/fifo
(echo through >odd/fifo) & cat odd/fifo
wait
rm odd/fifo
chown -R 12:34 container 2>/dev/null || true
stat -c '%u:%g' container/list/list.go
chmod 4755 container/list/list.go
echo x >>container/list/list.go
stat -c %a container/list/list.go
