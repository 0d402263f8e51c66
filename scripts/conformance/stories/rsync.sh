#!/usr/bin/env bash
# needs: rsync
# rsync within the tree: a first copy, an update, deletion, in place.
set -euo pipefail
rsync -aHAX odd/ mirror
rsync -aHAX --out-format='%i %n' encoding/ mirror/encoding | sort | sed -n 1,20p
rsync -aHAX --out-format='%i %n' odd/ mirror | sort
rm encoding/json/scanner.go
echo changed >>encoding/json/decode.go
touch --date '2020-01-01T00:00:00Z' encoding/json/encode.go
rsync -aHAX --delete --out-format='%i %n' encoding/ mirror/encoding | sort
printf 'tail' >>odd/large
rsync -a --inplace --no-whole-file odd/large mirror/large
cmp odd/large mirror/large
rsync -a --delete-before --backup --suffix=.old fmt/ errors
ls errors | sort
rsync -a --checksum --dry-run --out-format='%i %n' odd/ mirror | sort
rsync -a --link-dest=../sort sort/ sorted
stat -c '%n %h' sorted/sort.go
rsync -aS odd/sparse mirror/sparse2
cmp odd/sparse mirror/sparse2
