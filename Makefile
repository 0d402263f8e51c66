# Two commands do everything on a fresh machine: make demo and make test.
# Both install what is missing (scripts/setup), where they may.

SHELL := /bin/bash
export GOTOOLCHAIN := local
# The version comes from VERSION. Go's own look at the repository would only add
# a way to fail: a checkout that belongs to somebody else.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

PREFIX  ?= /usr/local
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GO      ?= go

# Tests wait for the disk and for each other's processes: two packages at a time
# are what a machine with two cores stands, and more make time limits lie.
P       ?= 2
PKG     ?= ./...
RUN     ?= .
TIMEOUT ?= 40m

SCRIPTS := .ci/run scripts/demo scripts/setup scripts/bench/run scripts/user/run \
           scripts/conformance/run scripts/examples/capsules/jot/build \
           $(wildcard scripts/conformance/stories/*.sh)

.PHONY: all build test race user userpart oracle soak fuzz bench conformance demo check vet fmt clean install setup

all: build

# build is quick when nothing has changed, so it is always asked for.
build:
	$(GO) build -trimpath -ldflags '-X main.revision=$(VERSION)' -o bin/astrid ./cmd/astrid

setup:
	@scripts/setup || echo 'make: going on; what needs the missing pieces will say so' >&2

vet: setup
	$(GO) vet $(PKG)

fmt:
	@unformatted=$$(gofmt -l cmd ctl fs kernel overlay scripts); \
	if [[ -n $$unformatted ]]; then echo "gofmt -w is needed for:" $$unformatted; exit 1; fi

test: setup fmt vet race userpart oracle

# race runs the tests alone: make race PKG=./overlay/... RUN=TestModel
race:
	$(GO) run ./scripts/test -race -shuffle=on -timeout $(TIMEOUT) -p $(P) -run '$(RUN)' $(PKG)

# user runs the tests of what mounts as an ordinary user, as one who may let others
# in, and in a user namespace; userpart is a short part of it. Both need root, to
# become somebody else; as an ordinary user make race is the same.
user: setup
	scripts/user/run $(ARGS)

userpart: setup
	@if [[ $$(id -u) == 0 ]]; then MODES='user namespace' RUN='TestPosix|TestConformance|TestSuite$$' scripts/user/run ./fs/mem ./overlay && \
		MODES=user RUN='TestScripts/(up_|view_killed|commit|undo|run_own)' scripts/user/run ./cmd/astrid; \
	else echo 'make: not root: the tests have run as an ordinary user' >&2; fi

# oracle runs guests under the Extism SDK and under our engine, and compares. Its
# modules are fetched; where they cannot be, that is said and nothing compared.
oracle: setup
	@if ! (cd scripts/oracle && $(GO) mod download); then \
		echo 'make: the modules of scripts/oracle cannot be fetched: nothing is compared with the Extism SDK' >&2; \
	else cd scripts/oracle && $(GO) vet ./... && $(GO) test -timeout 15m ./...; fi

# soak runs for long: the model tests, files and names that processes fight over,
# databases whose writers and servers are killed; each prints the seed that repeats
# it. Then it loads a kernel that is killed again and again.
soak: setup
	ASTRID_MODEL_OPS=$${ASTRID_MODEL_OPS:-100000} \
		$(GO) test -race -count=1 -timeout 10h -p $(P) -run 'Model' -v ./overlay/overlaytest
	ASTRID_ENDURE=$${ASTRID_ENDURE:-2000} \
		$(GO) test -count=1 -timeout 10h -run 'Endure' -v ./overlay/overlaytest
	ASTRID_ENDURE=$${ASTRID_ENDURE:-200} \
		$(GO) test -count=1 -timeout 10h -run 'SQLite' -v ./cmd/astrid
	ASTRID_LOAD=$${ASTRID_LOAD:-20} \
		$(GO) test -race -count=1 -timeout 10h -run 'Crowd' -v ./kernel

# fuzz runs every fuzz target for FUZZTIME, one after the other; what it finds is
# kept as a test. An hour of each, in parts, is what a release should have had.
FUZZTIME ?= 60s
fuzz:
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' $(sort $(wildcard cmd ctl fs kernel overlay))); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "fuzz $$target in $$(dirname "$$file")"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" | tail -2; \
		done; done

bench: build setup
	scripts/bench/run $(ARGS)

conformance: build setup
	scripts/conformance/run $(ARGS)

demo: setup
	@scripts/demo

# check is what a change must pass before it is shown to anybody. The tools are
# pinned in scripts/tools/go.mod.
check: fmt vet
	@if command -v shellcheck >/dev/null; then shellcheck --severity=warning $(SCRIPTS); \
	else echo 'make: no shellcheck here, the scripts are not checked (apt-get install shellcheck)' >&2; fi
	$(GO) tool -modfile=scripts/tools/go.mod staticcheck $(PKG)
	$(GO) test -count=1 ./cmd/astrid/internal/arch ./cmd/astrid/internal/readme

install: build
	install -D -m 0755 bin/astrid '$(DESTDIR)$(PREFIX)/bin/astrid'
	install -d '$(DESTDIR)$(PREFIX)/share/man/man1' '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' \
		'$(DESTDIR)$(PREFIX)/share/zsh/site-functions' '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d'
	bin/astrid man '$(DESTDIR)$(PREFIX)/share/man/man1'
	bin/astrid completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/astrid'
	bin/astrid completion zsh >'$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_astrid'
	bin/astrid completion fish >'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/astrid.fish'

clean:
	rm -rf bin
