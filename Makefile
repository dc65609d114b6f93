# Everything here needs Go and nothing else. What more it can use (Node.js and
# Chromium for the end-to-end tests), it uses when it is there and says so when
# it is not.

.DEFAULT_GOAL := help
.PHONY: run test lint race fuzz bench figures capacity docs help npm

ARGS      ?=
FUZZTIME  ?= 30s
BENCH     ?= .
BENCHTIME ?= 1s
CONNECTIONS ?= 100000

VERSION := $(shell git describe --tags --dirty 2>/dev/null)
COMMIT  := $(shell git describe --always --exclude '*' --abbrev=12 --dirty 2>/dev/null)
LDFLAGS := -X sluice/internal/build.version=$(VERSION) -X sluice/internal/build.commit=$(COMMIT)
ifeq ($(COMMIT),)
# Where git refuses to read the tree (it belongs to another user), every go
# build would fail on asking for the revision.
export GOFLAGS := $(shell go env GOFLAGS) -buildvcs=false
endif

# gotest is go test with a list of the skipped tests at the end. -count=1: the
# test cache does not see the sources of the binary that end-to-end tests build.
GOTEST := go run ./internal/tools/gotest -count=1 -timeout 5m

run: ## build and start a development node; ARGS="--listen 127.0.0.1:9000" adds flags
	@go build -ldflags "$(LDFLAGS)" -o bin/sluice .
	@exec ./bin/sluice serve --dev $(ARGS)

test: npm ## run every test; lists what was skipped and why
	$(GOTEST) ./...

lint: ## formatting, go vet, staticcheck, tidy go.mod
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go mod tidy -diff
	bash -n .ci/run bench/capacity/run.sh bench/capacity/load.sh bench/capacity/init

race: npm ## run every test under the race detector (needs a C compiler)
	$(GOTEST) -race ./...

# Now and then Go's fuzzer takes its own time limit for a failure ("context
# deadline exceeded"), hence the second try: a finding is saved as a seed and
# fails again at once. A FUZZTIME in runs, such as 10000x, has no such limit.
fuzz: ## run every fuzz target for FUZZTIME (30s), one after the other, to the first finding
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func | |' | sort | \
	while read -r package target; do \
		echo "== $$package $$target"; \
		fuzz="go test -run ^$$ -fuzz ^$$target\$$ -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$package"; \
		$$fuzz </dev/null || { echo "once more:"; $$fuzz </dev/null; } || exit 1; \
	done

bench: ## run the benchmarks that match BENCH (.) for BENCHTIME (1s) each
	go test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) ./...

figures: ## take the figures of docs/benchmarks.md (10 min, on a quiet machine); ARGS="--rounds 1 --only echo"
	@go build -ldflags "$(LDFLAGS)" -o bin/sluice .
	@go run ./bench/figures $(ARGS)

# Natively where the limit on open files allows, else in a guest kernel.
capacity: ## hold CONNECTIONS (100000) clients in one process, and compare with configs/targets/capacity.yaml
	@CGO_ENABLED=0 go build -ldflags "$(LDFLAGS)" -o bin/sluice .
	@CONNECTIONS=$(CONNECTIONS) bench/capacity/run.sh bin/sluice

docs: ## renew what is generated in docs/ and check the links between the pages
	go test -count=1 -run '^TestReference$$' ./internal/config -update
	go test -count=1 -run '^TestLinks$$' ./internal/floors

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The packages that the end-to-end tests run as clients. npm ci writes the file
# below node_modules last.
NPM := internal/e2e/npm

npm: $(NPM)/node_modules/.package-lock.json

$(NPM)/node_modules/.package-lock.json: $(NPM)/package-lock.json
	@if ! command -v node >/dev/null || ! command -v npm >/dev/null; then \
		echo "SKIPPED npm packages: Node.js and npm are not both installed; the tests with npm clients and a browser will be skipped"; \
	elif ! (cd $(NPM) && npm ci --loglevel=error --no-audit --no-fund --no-update-notifier); then \
		echo "SKIPPED npm packages: npm ci failed, see above; the tests with npm clients and a browser will be skipped"; \
	fi
