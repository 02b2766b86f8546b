# slab_cache: build, run, test. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := module

BUILD := build
NGX_SRC ?= /usr/share/nginx/src
PORT ?= 8080
SECONDS_OF_STRESS ?= 3
SECONDS_OF_FUZZ ?= 30
SECONDS ?= 60
TWIN ?= SLAB_TWIN_KEY
MODULE := $(BUILD)/ngx_http_slab_cache_module.so
# In a recipe: as many jobs as cores, unless this make already runs under a job server.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
export NGX_SRC PORT ARGS

.PHONY: module debug-module run test unit integration field visitors model lint coverage format asan tsan static clang bench bench-fleet bench-peers bench-slice fuzz torture torture-twin torture-direct
.PHONY: bench-build differential differential-twin fleet-torture tier-torture fleet-twins history history-twins flood asan-nginx other-nginx deb deb-test trial
.PHONY: install clean help deps-deb deps-build deps-run deps-test deps-clang deps-bench deps-bench-peers deps-peers

module:           ## build build/ngx_http_slab_cache_module.so against the installed nginx-dev
	+@tools/build-module.sh $(BUILD)

run:              ## install what is missing, build, start the demo in the foreground (PORT=8080)
	@tools/run-demo.sh check
	+@$(MAKE) --no-print-directory deps-run
	+@$(MAKE) $(JOBS) --no-print-directory module
	@tools/run-demo.sh $(MODULE)

test: deps-test   ## install what is missing, build, run all tests
	+@$(MAKE) $(JOBS) --no-print-directory module test-programs VARIANT=plain
	@tools/run-tests.sh all $(SECONDS_OF_STRESS)

unit:             ## unit tests, fuzz corpora, crash and stress programs (no nginx needed)
	+@$(MAKE) $(JOBS) --no-print-directory test-programs VARIANT=plain
	@tools/run-tests.sh unit $(SECONDS_OF_STRESS)

integration: module ## pytest against a real nginx; ARGS="-k name" selects
	@tools/run-tests.sh integration

field: deps-test  ## twenty public configurations against plain nginx and nginx's own cache; prints all differences
	+@$(MAKE) $(JOBS) --no-print-directory module
	@tools/run-tests.sh field

debug-module:     ## build/debug: the module with its assertions (base/check.h): an illegal step of a request or a fill aborts
	+@SLAB_CACHE_CFLAGS=-DSLAB_DEBUG tools/build-module.sh $(BUILD)/debug

torture: debug-module torture-programs ## four workers under kills, purges, reloads, failing origin, for SECONDS=60 (SEED=n)
	@SLAB_MODULE=$(BUILD)/debug/$(notdir $(MODULE)) /usr/bin/python3 tests/torture/torture.py $(SECONDS) $(SEED)

visitors: deps-test deps-peers ## 120 visitors through the Django, Flask, WordPress and REST examples, beside proxy_cache and Varnish
	+@$(MAKE) $(JOBS) --no-print-directory module
	@SLAB_VISITORS=1 tools/pytest.sh tests/field/recipes_test.py tests/field/rest_api_test.py

torture-twin: torture-programs ## the same with a module whose repair does nothing: must find violations
	+@tools/torture-twin.sh $(BUILD)/torture-twin

torture-direct: torture-programs ## the same with a module that fills every cold key directly (ngx/fill/direct_fill.h)
	+@SLAB_CACHE_CFLAGS="-DSLAB_DEBUG -DSLAB_DIRECT_FROM_THE_FIRST" tools/build-module.sh $(BUILD)/torture-direct
	@SLAB_MODULE=$(BUILD)/torture-direct/$(notdir $(MODULE)) /usr/bin/python3 tests/torture/torture.py $(SECONDS) $(SEED)

fleet-torture: deps-test debug-module ## three nginx, two Redis, kills, failovers, partitions, for SECONDS=60 (SEED=n)
	@SLAB_MODULE=$(BUILD)/debug/$(notdir $(MODULE)) /usr/bin/python3 tests/torture/fleet_torture.py $(SECONDS) $(SEED)

tier-torture: deps-test debug-module ## the same with a store before the origin, and jobs that write there: Redis, or memcached where SEED is odd
	@SLAB_MODULE=$(BUILD)/debug/$(notdir $(MODULE)) /usr/bin/python3 tests/torture/tier_torture.py $(SECONDS) $(SEED)

fleet-twins: deps-test ## both with three modules that break a promise each: must find them broken
	+@tools/fleet-twins.sh $(BUILD)/fleet-twin

history: module   ## what nobody may ever see, in random histories with kills, stops, resizes, upgrades, clock steps, for SECONDS=60 (SEED=n)
	@/usr/bin/python3 tests/history/history.py $(SECONDS) $(SEED)

history-twins:    ## the same with three modules that break a promise each: must find them broken
	+@tools/history-twins.sh $(BUILD)/history-twin

flood: module     ## floods that anybody can start, beside plain nginx and its own cache; ARGS="--short reset" selects
	@/usr/bin/python3 tests/flood/flood.py $(ARGS)

differential: module ## random configurations with the module and without it, for SECONDS=60, from SEED=n on
	@/usr/bin/python3 tests/differential/differential.py $(SECONDS) $(SEED)

differential-twin: ## the same with a module built broken by TWIN=SLAB_TWIN_KEY or another switch: must find it
	@tools/differential-twin.sh $(BUILD)/differential-twin $(TWIN)

asan-nginx: deps-test ## the integration tests with the module under ASan and UBSan; ARGS="-k name" selects
	+@tools/asan-nginx.sh $(BUILD)/asan-nginx

other-nginx: deps-test ## the integration tests against an nginx built from NGINX_SOURCE=dir, 1.22 to 1.31
	+@tools/other-nginx.sh $(BUILD)/other-nginx

model:            ## the protocol models, with spin where it is installed
	@tools/run-tests.sh model

asan:             ## unit tests under AddressSanitizer and UBSan
	+@$(MAKE) $(JOBS) --no-print-directory unit-program VARIANT=asan
	@tools/run-tests.sh sanitizer asan

tsan:             ## unit tests under ThreadSanitizer
	+@$(MAKE) $(JOBS) --no-print-directory unit-program VARIANT=tsan
	@tools/run-tests.sh sanitizer tsan

coverage:         ## how much of base, shm, http and cache the unit tests run; build/coverage.txt lists the lines that never ran
	+@$(MAKE) $(JOBS) --no-print-directory unit-program VARIANT=coverage
	@tools/coverage.py $(BUILD)

lint: module      ## layers, memory-order tags, symbols, headers, marks, file sizes, README
	@tools/lint.sh $(MODULE)

format:           ## clang-format-14 over src and tests; `make lint` wants nothing left to change
	@command -v clang-format-14 > /dev/null || { echo "make format: apt-get install clang-format-14"; exit 1; }
	@git ls-files 'src/*.h' 'src/*.cpp' 'tests/*.h' 'tests/*.cpp' | xargs -r clang-format-14 -i

static:           ## build nginx with the module linked in (--add-module), and start it
	+@tools/build-static.sh $(BUILD)/static

clang: deps-clang ## build the module with clang
	+@CC=clang tools/build-module.sh $(BUILD)/clang

bench-build: deps-bench ## builds the benchmarks' programs, and runs none
	+@$(MAKE) $(JOBS) --no-print-directory bench-programs VARIANT=bench

bench: deps-bench ## CPU per hit and miss, system calls, memory per object, purges and storms; Google Benchmarks
	+@$(MAKE) $(JOBS) --no-print-directory module bench-programs VARIANT=bench
	@tools/run-bench.sh

bench-fleet: deps-test deps-bench module ## each bound of several machines as one, with a real Redis; SECONDS=60 the outages; ARGS="latency storm" selects
	@SECONDS=$(SECONDS) /usr/bin/python3 tests/bench/fleet_bench.py $(ARGS)

bench-peers: deps-bench-peers ## beside proxy_cache, HAProxy, Varnish and others; ARGS=--short proves that it runs, ARGS=document fills docs/comparison.md
	+@$(MAKE) $(JOBS) --no-print-directory module
	@/usr/bin/python3 tests/bench/peers_bench.py $(ARGS)

bench-slice: deps-bench ## slices of a file of 1 GB, beside proxy_cache: CPU and origin bytes
	+@$(MAKE) $(JOBS) --no-print-directory module
	@/usr/bin/python3 tests/bench/slice_bench.py

fuzz: deps-clang  ## libFuzzer, SECONDS_OF_FUZZ for each target
	+@$(MAKE) $(JOBS) --no-print-directory fuzz-programs VARIANT=fuzz CXX=clang++
	@tools/run-fuzz.sh $(SECONDS_OF_FUZZ)

deb: deps-deb     ## Debian packages, source and binary, in build/deb; lintian
	@tools/build-deb.sh

deb-test: deb     ## the packages in a fresh Debian (debootstrap, root): installed, used, removed, purged
	@SLAB_DEB=1 tools/pytest.sh tests/integration/u_deb_test.py tests/integration/u_docker_test.py

trial: deps-deb   ## a new user on a fresh Debian (debootstrap, root), with README and the guide alone: each step's time
	@SLAB_TRIAL=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider -rs $(ARGS) tests/integration/u_trial_test.py && cat build/trial.txt

install: module   ## copy the module to nginx's modules directory (DESTDIR, MODULES_DIR)
	@dir="$(DESTDIR)$${MODULES_DIR:-/usr/lib/nginx/modules}"; install -d "$$dir"; \
	    install -m 644 $(MODULE) "$$dir/"; echo "installed $$dir/$(notdir $(MODULE))"

clean:            ## remove build/
	rm -rf $(BUILD)

deps-deb deps-build deps-run deps-test deps-clang deps-bench deps-bench-peers deps-peers:
	@tools/deps.sh $(@:deps-%=%)

help:             ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

include tools/tests.mk
