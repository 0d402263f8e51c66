#!/usr/bin/env bash
# stress-ng's stressors of file systems, each verifying what it does.
# needs: stress-ng
set -euo pipefail
mkdir stressed
for s in access acl chdir chmod chown copy-file dentry dir dirdeep dirmany dup fallocate fcntl fiemap filename flock \
	fpunch fstat getdent handle hdd inotify link locka lockf lockmix lockofd mknod mmap mmapfork msync open rename \
	revio seek sendfile symlink sync-file touch unlink utime xattr; do
	status=0
	stress-ng --"$s" 2 --"$s"-ops 100 --timeout 3s --temp-path "$PWD/stressed" --verify >stress.out 2>&1 || status=$?
	echo "$s: $status"
	grep -h 'fail:' stress.out || true
done
rm -r stressed stress.out
