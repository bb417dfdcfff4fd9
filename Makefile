# make test      what CI runs: everything, the short form of the long ones
# make check     format, vet for three systems, staticcheck, race and shuffle
# make build     a static binary: ./share
# make release   archives, packages and their sums for six platforms: ./dist
# make bench     share beside nginx; BENCH=small takes a minute
# make chaos     the chaos ledger with 100,000 requests; CHAOS_SEED=n repeats one
# make soak      a store that is killed 1,000 times, one that is filled, 100
#                upgrades, and attacks in their full size
# make devservers  a browser at Vite, Next.js, webpack-dev-server, Django and Flask
# make fuzz      every fuzz test for FUZZTIME
# make cover     what the packages' own tests cover, as cover.html

GO ?= go
FUZZTIME ?= 30s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Tests that are modules of their own; make test leaves out those that take long.
MODULES = testdata/action testdata/clients $(LONG)
LONG = testdata/devservers testdata/release

# The go command skips testdata unless told: packages of tests there that
# belong to the main module.
SUITES = $(filter-out $(MODULES:%=./%) $(MODULES:%=./%/%),$(sort $(patsubst %/,./%,$(dir $(wildcard testdata/*/*_test.go testdata/*/*/*_test.go)))))
COMMANDS = ./testdata/bench

# program:package of Debian, for each client that tests run.
NEEDS = curl:curl git:git jq:jq litmus:litmus nginx:nginx haproxy:haproxy tinyproxy:tinyproxy-bin \
	promtool:prometheus systemd-analyze:systemd tmux:tmux pgrep:procps \
	zsh:zsh fish:fish mandoc:mandoc groff:groff man:man-db

.PHONY: test needs check fuzz bench chaos soak devservers cover build release clean

# Suites go one after another: they measure time and have the machine to
# themselves. All run, even if one fails.
test: needs
	@failed=0; \
	$(GO) test ./... || failed=1; \
	$(GO) test -count=1 -p 1 -timeout 15m $(SUITES) || failed=1; \
	for module in $(filter-out $(LONG),$(MODULES)); do $(GO) -C $$module test -count=1 -mod=mod -timeout 15m ./... || failed=1; done; \
	exit $$failed

# Without a program, the tests that need it are skipped, and said so here; in
# CI that is a failure.
needs:
	@missing=; \
	for need in $(NEEDS); do \
		command -v $${need%%:*} >/dev/null || missing="$$missing $${need##*:}"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; \
		apt-get -q update >/dev/null && \
		DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install $$missing >/dev/null && exit 0; \
	fi; \
	echo "*** TESTS SKIPPED: install the Debian packages$$missing ***" >&2; \
	[ "$$CI" != true ]

check:
	@unformatted=$$(gofmt -l $$(find . -name '*.go')); \
	[ -z "$$unformatted" ] || { echo "not gofmt'd:"; echo "$$unformatted"; exit 1; }
	$(GO) mod tidy -diff
	for os in linux darwin windows; do GOOS=$$os $(GO) vet ./... || exit 1; done
	$(GO) vet $(COMMANDS) $(SUITES)
	for module in $(MODULES); do $(GO) -C $$module vet -mod=mod ./... || exit 1; done
	$(GO) run $(STATICCHECK) ./... $(COMMANDS) $(SUITES)
	for module in $(MODULES); do $(GO) -C $$module run $(STATICCHECK) ./... || exit 1; done
	$(GO) test -race -shuffle=on -timeout 15m ./...

fuzz:
	@for package in $$($(GO) list ./...) $(SUITES); do \
		for name in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

bench:
	BENCH=$(BENCH) $(GO) run ./testdata/bench

chaos:
	CHAOS_REQUESTS=100000 $(GO) test -count=1 -v -timeout 30m -run TestLedger ./testdata/chaos

soak:
	STORE_CRASHES=1000 $(GO) test -count=1 -v -timeout 30m -run 'TestCrash|TestFileFull' ./relay/store
	UPGRADES=100 $(GO) test -count=1 -v -timeout 30m -run TestUpgrades ./testdata/upgrades
	ATTACKS=full $(GO) test -count=1 -v -timeout 30m ./testdata/attacks

devservers:
	$(GO) -C testdata/devservers test -count=1 -v -mod=mod -timeout 30m ./...

cover:
	$(GO) test -coverprofile cover.out -coverpkg ./... ./...
	$(GO) tool cover -html cover.out -o cover.html
	$(GO) tool cover -func cover.out | tail -n 1

# Version and commit are those that the go command stamps from git. Without the
# first tag, package cli brings a writer of manuals, whose start takes
# milliseconds; without the second, a package behind certmagic asks the processor
# what it can do, which takes most of one where it is a virtual one.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -tags urfave_cli_no_docs,noasm -buildvcs=auto -ldflags '-s -w' -o share .

# It wants a clone without changes, whose commit it is: the version is that of the tag
# there.
release:
	$(GO) -C testdata/release run -mod=mod .

clean:
	rm -rf share share.exe cover.out cover.html dist
