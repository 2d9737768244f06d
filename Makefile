# A thin front to CMake: each target installs what it lacks (on Debian 12), builds and runs.
# What is asked of apt-get is asked only for packages that are missing.

SHELL := /bin/sh
JOBS := $(shell nproc 2>/dev/null || echo 1)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PYTHON := python3 -B

# Boost by its version: the plain name is an older one, and the two exclude each other.
BUILD_PACKAGES := g++ cmake ninja-build ccache lld pkg-config libfmt-dev libconcurrentqueue-dev libboost1.81-dev \
	libsimdjson-dev zlib1g-dev libzstd-dev libsqlite3-dev librocksdb-dev librdkafka-dev
# These start the real Kafka broker.
KAFKA_PACKAGES := openjdk-17-jre-headless maven
TEST_PACKAGES := $(BUILD_PACKAGES) $(KAFKA_PACKAGES) python3 git util-linux doctest-dev librapidcheck-dev relacy-dev \
	libavro-dev chromium chromium-driver
BENCH_PACKAGES := $(BUILD_PACKAGES) $(KAFKA_PACKAGES) python3 binutils
FUZZ_PACKAGES := $(TEST_PACKAGES) clang libclang-rt-14-dev

PREFIX ?= /usr/local

.PHONY: all install deps deps-build deps-test deps-bench deps-fuzz demo demo-crash test test-debug test-asan test-tsan fuzz bench torture torture-mutants ci clean

all: deps-build
	cmake --preset release -DRUNNEL_TESTS=OFF
	cmake --build --preset release -j $(JOBS)

install: all
	cmake --install build/release --prefix $(PREFIX)

deps: deps-fuzz

deps-build deps-test deps-bench deps-fuzz:
	@missing=; for p in $($(shell echo $(@:deps-%=%) | tr a-z A-Z)_PACKAGES); do \
	    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q ' installed$$' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	    command -v apt-get >/dev/null || { echo "Not a Debian system. Install what corresponds to:$$missing"; exit 1; }; \
	    echo "installing$$missing"; \
	    $(SUDO) apt-get update -q && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove $$missing; \
	fi

# Installing Prometheus would start it as a service: its programs are unpacked instead. Without them tests are skipped.
deps-test deps-fuzz: build/tools/usr/bin/prometheus
build/tools/usr/bin/prometheus: | deps-build
	@command -v prometheus >/dev/null || { mkdir -p build/tools && cd build/tools && apt-get download -q prometheus && \
	    dpkg -x prometheus_*.deb . && rm prometheus_*.deb; } || echo "without Prometheus"

# Counts clicks that another process sends over TCP, shows them live on a page, and proves the totals.
demo: deps-build
	cmake --preset release -DRUNNEL_TESTS=OFF -DRUNNEL_BENCH=OFF
	cmake --build --preset release -j $(JOBS) --target click_count click_sender
	build/release/examples/click_count

# The same from a file, by a process that is killed again and again.
demo-crash: deps-build
	cmake --preset release -DRUNNEL_TESTS=OFF -DRUNNEL_BENCH=OFF
	cmake --build --preset release -j $(JOBS) --target click_recovery click_sender
	build/release/examples/click_recovery

test: deps-test
	$(PYTHON) tests/run.py release

test-debug: deps-test
	$(PYTHON) tests/run.py debug

test-asan: deps-fuzz
	$(PYTHON) tests/run.py asan

test-tsan: deps-test
	$(PYTHON) tests/run.py tsan

fuzz: deps-fuzz
	$(PYTHON) tests/run.py fuzz

bench: deps-bench
	cmake --preset release -DRUNNEL_BENCH=ON -DRUNNEL_TESTS=OFF
	cmake --build --preset release -j $(JOBS) --target bench
	@failed=; for program in build/release/bench/bench_*; do \
	    [ -x "$$program" ] || continue; echo "# $$program"; \
	    case $$program in *_kafka) with="$(PYTHON) tests/servers/kafka.py --sustained --" skipped=77;; \
	    *) with= skipped=0;; esac; \
	    $$with "$$program" || [ $$? = $$skipped ] || failed="$$failed $$program"; done; \
	echo "# bench/compile_cost.py"; $(PYTHON) bench/compile_cost.py || failed="$$failed compile_cost.py"; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

# What must never happen, tried as often as before a release; make torture-R1 for one id; SHARE=1000: a thousandth of it.
SHARE ?= 1
torture: deps-test
	$(PYTHON) tests/torture/run.py --share $(SHARE)

torture-%: deps-test
	$(PYTHON) tests/torture/run.py --share $(SHARE) $*

# Whether the tests notice: the code is broken in one place after the other.
torture-mutants: deps-test
	$(PYTHON) tests/torture/mutants.py

ci: deps-fuzz
	$(PYTHON) tests/run.py release asan tsan fuzz

clean:
	rm -rf build
