#!/usr/bin/env bash
# Reading everything that is there, by name, by content and by attribute.
set -euo pipefail
find . -path ./.git -prune -o -type d -printf '%p %M %n\n' | sort
find . -path ./.git -prune -o ! -type d -printf '%p %M %n %s %T@ %l\n' | sort
find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 cat | sha256sum
grep -rl --exclude-dir=.git 'func TestUnmarshal' . | sort
find . -name '*_test.go' -newermt '1990-01-01' | wc -l
find . -xdev -links +1 -type f | sort
find . -empty -path './odd/*' | sort
find . -perm /111 -type f -path './odd/*'
ls -lnR --time-style=full-iso odd | sed 's/^total .*/total/'
ls -fa fmt | sort
test -r odd/private/file
test ! -e odd/missing
stat -c '%n %F %a %s %h %Y' odd/* | sed 's/\(directory [0-7]*\) [0-9]*/\1/'
wc -c odd/large odd/sparse
tail -c 3 odd/sparse
dd if=odd/sparse bs=64k skip=20 count=2 status=none | sha256sum
cmp odd/one odd/two
readlink odd/symlink odd/dangling
realpath --relative-to=. odd/symlink
head -n 3 odd/symlink
du --apparent-size --bytes --exclude=.git odd/large odd/sparse
odd/program
