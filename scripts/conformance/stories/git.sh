#!/usr/bin/env bash
# loose: ^\.git/(index|objects/(info/|pack/)|.*\.rev$)
# A day with git: change, stage, stash, branch, commit, merge, collect, clean.
set -euo pipefail
git status --short
sed -i 's/Package fmt implements/Package fmt really implements/' fmt/doc.go
rm -r container/ring
git mv text/tabwriter text/columns
echo new >new.txt
git status --short
git stash push --quiet --include-untracked
git status --short
git stash pop --quiet
git status --short
git checkout --quiet -b work
git add --all
git commit --quiet --message work
git log --format='%H %s'
git checkout --quiet main
ls container text
git checkout --quiet work
echo more >>new.txt
git commit --quiet --all --message more
git checkout --quiet main
sed -i 's/Package errors implements/Package errors here implements/' errors/errors.go
git commit --quiet --all --message main
git merge --quiet --no-edit work
git log --format='%H %s' --topo-order
git rm --quiet -r --cached net/http
git reset --quiet --hard
git diff --stat HEAD~1 | tail -n 1
mkdir -p junk/deep && touch junk/deep/file
git clean --quiet -fdx
git tag -a -m tag v1
git gc --quiet --prune=now
git fsck --full --strict 2>&1
git count-objects -v | grep -v size
git rev-list --all --objects | sort | sha256sum
git ls-files --stage | sha256sum
git archive HEAD | sha256sum
git status --short
rm .git/objects/info/commit-graph .git/objects/pack/*.rev 2>/dev/null || true
git reflog expire --expire=now --all
git fsck --full
git stash list
git clone --quiet . inner
git -C inner log -1 --format=%H
rm -rf inner
