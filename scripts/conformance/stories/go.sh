#!/usr/bin/env bash
# loose: ^module/heap\.test$
# Building and testing a module, before and after an edit.
set -euo pipefail
cd module
go build ./...
go vet ./...
go test -count=1 ./... | awk '{print $1, $2}'
sed -i 's/^func (l \*List) Len() int { return l.len }/func (l *List) Len() int { n := l.len; return n }/' container/list/list.go
gofmt -l .
go test -count=1 ./container/list | awk '{print $1, $2}'
mkdir cmd
cat >cmd/main.go <<'GO'
package main

import (
	"fmt"

	"example.org/module/container/list"
)

func main() {
	l := list.New()
	l.PushBack(1)
	fmt.Println(l.Len())
}
GO
go build -trimpath -o program ./cmd
./program
go build -trimpath -o again ./cmd
cmp program again
./again
cp program copied
./copied
rm program again copied
go test -c -o heap.test ./container/heap
./heap.test -test.v -test.run TestPop 2>&1 | sed 's/(.*//; s/[0-9.]*s$//'
go generate ./...
go list ./...
