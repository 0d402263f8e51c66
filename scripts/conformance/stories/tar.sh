#!/usr/bin/env bash
# loose: ^(long|odd)\.tar$
# Packing the tree and unpacking it beside and over itself.
set -euo pipefail
tar --sort=name --exclude=.git -cf packed.tar encoding odd net/http
tar -tvf packed.tar --full-time | sha256sum
sha256sum packed.tar
mkdir out
tar -xf packed.tar -C out --same-owner -p
diff -r --no-dereference encoding out/encoding
diff -r --no-dereference net/http out/net/http
stat -c '%n %h' out/odd/one out/odd/two
tar -xf packed.tar
rm -r encoding
tar -xf packed.tar encoding
tar --xattrs -cf odd.tar odd
mkdir attributes
tar --xattrs --xattrs-include='*' -xf odd.tar -C attributes
getfattr -d attributes/odd/attributes
tar --delete -f odd.tar odd/large
tar -tf odd.tar | sort
tar -czf zipped.tgz --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner sort
tar -xzf zipped.tgz -C out
mkdir -p "out/$(printf 'd%.0s' {1..200})"
echo deep >"out/$(printf 'd%.0s' {1..200})/$(printf 'f%.0s' {1..200})"
tar -cf long.tar -C out "$(printf 'd%.0s' {1..200})"
tar -tf long.tar
rm zipped.tgz
tar --remove-files -cf gone.tar text
ls -d text 2>&1 || true
