# What there is to do with this source tree. Each target installs what it needs on a fresh Debian 12, or says exactly
# what is missing.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(PATH):/usr/local/go/bin:/usr/local/sbin:/usr/sbin:/sbin

# The newest version in CHANGELOG.md. A build of any other commit than that version's tag has the commit behind a plus sign:
# 0.1.0+gSHA, or 0.1.0+N.gSHA for the Nth commit after the tag.
RELEASE     := $(shell awk '/^.. [0-9]+[.][0-9]+[.][0-9]+/ { print $$2; exit }' CHANGELOG.md)
VERSION     ?= $(RELEASE)$(shell git describe --tags --always --dirty --match 'v$(RELEASE)' 2>/dev/null | \
                 sed 's/^v$(RELEASE)//; s/^[0-9a-f]/+g&/; s/^-/+/; s/-/./g')
# Static, the same bytes from the same source wherever it lies. A plugin's version has a mark around it, by which podnetctl
# reads it from the file.
BUILD        = CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w -X "main.version=$(1)"'

# Not dependencies of the module: a linter, the plugins that podnet's are compared with, what makes packages.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
REFERENCE   := v1.9.1
NFPM        := v2.43.4
LIBCNI      := v1.3.1
GOVULNCHECK := v1.1.4

.PHONY: build help check demo test repeat package e2e lint bench soak conformance faults fuzz race vuln setup setup-runtime setup-e2e reference clean

build: ## static programs into bin/
	@echo "building bin/podnetd, bin/podnetctl and bin/cni/, $(VERSION)"
	@mkdir -p bin/cni
	@$(call BUILD,$(VERSION)) -o bin/ ./cmd/podnetd ./cmd/podnetctl
	@$(call BUILD,podnet-plugin[$(VERSION)]) -o bin/cni/ ./cmd/cni/...

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: setup build ## three nodes on this machine: pods, pings, an edit, damage and healing; about half a minute
	@CGO_ENABLED=0 go build -buildvcs=false -o bin/demo ./test/demo
	@bin/demo

CHECKED := ./cmd/... ./schema/... ./state/... ./reconcile/... ./test/lab ./test/layout ./test/contract ./test/reference
check: build lint ## build, vet, staticcheck, and the tests that need no namespace, root or network
	go test -short $(CHECKED)

# The packages with goroutines are tested under the race detector, and not a second time without it. Half of the other
# tests' time is the kernel's waiting for itself, so more packages run side by side than there are processors.
test: setup-runtime lint vuln build reference package race ## everything that CI runs
	@test/fuzz.sh 2 'FuzzParse|FuzzDiff'
	@rm -f bin/recap
	PODNET_RECAP=$(CURDIR)/bin/recap go test -count=1 -timeout 45m -p $$((2 * $$(nproc))) \
	  $$(comm -23 <(go list ./... | sort) <(go list $(RACED) | sort))
	@if [ -e bin/recap ]; then cat bin/recap; fi

RUNS ?= 10
repeat: ## make test RUNS times, half of them with all cores busy: how many pass
	@test/repeat.sh $(RUNS)

NFPM_PROGRAM ?= bin/nfpm-$(NFPM)
package: setup build $(NFPM_PROGRAM) ## deb and rpm into bin/package/, the same bytes from the same source
	@PODNET_VERSION='$(VERSION)' NFPM='$(NFPM_PROGRAM)' systemd/package/build.sh

bin/nfpm-$(NFPM):
	CGO_ENABLED=0 GOBIN=$(CURDIR)/bin/nfpm.new go install -trimpath -ldflags '-s -w' github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM)
	@mv bin/nfpm.new/nfpm $@ && rmdir bin/nfpm.new

e2e: setup-e2e build reference package ## under container runtimes, systemd, Ansible; packages; the fleet's page in a browser
	PODNET_E2E=1 PODNET_ANSIBLE=full go test -count=1 -v -timeout 20m ./test/runtime ./test/systemd ./test/ansible ./test/package ./cmd/podnetctl/internal/fleetpage

lint: ## formatting, go vet, staticcheck; shellcheck if it is there
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted (gofmt -w):" $$unformatted >&2; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	@if command -v shellcheck >/dev/null; then shellcheck $$(git ls-files '*.sh') .ci/run; fi

bench: setup build reference ## against ip -batch and the reference plugins: medians and ratios
	go run ./test/bench

SOAK_FOR  ?= 20m
SEQUENCES ?= 10000
soak: setup build ## a node under pods, edits and damage for SOAK_FOR stays flat; SEQUENCES random ones end as they should
	go run ./test/soak -for $(SOAK_FOR)
	@go test -count=1 -timeout 3h ./test/model -args -sequences $(SEQUENCES)

conformance: setup build reference ## the plugins against the CNI specification, beside the reference plugins: a table
	@CONFORMANCE_REPORT=1 go test -count=1 -v -run '^TestReport$$' ./test/conformance

faults: setup build fuzz ## kill -9 at every call, every errno, cut files, clock steps, full disks, races, fuzzing: tables
	@PODNET_FAULTS=full go test -count=1 -v -timeout 60m ./test/faults 2>&1 | grep -v '^ *--- PASS\|^=== '
	@PODNET_FAULTS=full go test -count=1 -v -run '^TestCutAtEveryByte$$' ./reconcile/rollout | grep -v '^ *--- PASS\|^=== '
	@PODNET_FAULTS=full go test -count=1 -v -run '^TestEveryExchangeInOneApply$$' ./test/cluster | grep -v '^ *--- PASS\|^=== '
	@go test -count=1 -v -timeout 60m ./test/model -args -sequences 1000 | grep -v '^ *--- PASS\|^=== '

fuzz: ## each fuzz target for some seconds
	@test/fuzz.sh 5

RACED := ./reconcile/... ./state/...
race: ## the race detector: in the packages that have goroutines, and in podnetd and podnetctl under random events
	@mkdir -p bin/race
	CGO_ENABLED=1 go build -race -buildvcs=false -o bin/race/ ./cmd/podnetd ./cmd/podnetctl
	GORACE=halt_on_error=1 PODNET_BIN=$(CURDIR)/bin/race go test -count=1 -run '^TestRealSequences$$' ./test/model
	CGO_ENABLED=1 go test -race -count=1 -p $$((2 * $$(nproc))) $(RACED)

vuln: ## known vulnerabilities in what the programs call
	@test/vuln.sh $(GOVULNCHECK)

setup:
	@test/setup.sh

setup-runtime:
	@test/setup.sh runtime

setup-e2e:
	@test/setup.sh e2e

reference: bin/reference/$(REFERENCE) bin/cnitool

# The tests have no network to fetch them with.
bin/reference/$(REFERENCE):
	@mkdir -p $@.new
	CGO_ENABLED=0 GOBIN=$(CURDIR)/$@.new go install -trimpath -ldflags '-s -w' \
	  $(foreach p,main/bridge main/loopback ipam/host-local meta/portmap,github.com/containernetworking/plugins/plugins/$(p)@$(REFERENCE))
	@mv $@.new $@

bin/cnitool:
	CGO_ENABLED=0 GOBIN=$(CURDIR)/bin go install -trimpath github.com/containernetworking/cni/cnitool@$(LIBCNI)

clean: ## what the other targets made
	rm -rf bin
