# make help lists the targets. Each makes what it needs: an environment, then the build.

PYTHON ?= python3
# Warnings as errors: for compilers that CI knows; .ci/run switches it on.
WERROR ?= OFF
ARGS ?=
FOLDER ?=

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ifeq ($(VERSION),)
$(error interproc: $(PYTHON) does not run: install Python 3.11 or newer, or name one with PYTHON=)
endif

VENV := $(CURDIR)/.venv-$(VERSION)
BIN := $(VENV)/bin
SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
CMAKE := $(BIN)/cmake
CONFIGURE = $(CMAKE) -S . -G Ninja -DCMAKE_MAKE_PROGRAM=$(BIN)/ninja --toolchain $(VENV)/toolchain.cmake \
	-DINTERPROC_BUILD_TESTS=ON -DINTERPROC_WERROR=$(WERROR)
CTEST = $(BIN)/ctest --output-on-failure --no-tests=error --test-dir
# The two folders whose tests have to hold under both locks.
LOCK_TESTS := $(wildcard tests/conformance tests/crash)
CPP = $(shell find core binding -name '*.cpp' -o -name '*.hpp')

.PHONY: help demo test test-stdlib test-ecosystem bench lint lint-ruff lint-mypy lint-pyright lint-clang-format format \
	sanitize sweep storm storm-peers fuzz models core extension clean

help:
	@echo 'make demo [FOLDER=...]   run the demonstration job on a folder of Python files'
	@echo 'make test [ARGS=...]     core tests, then pytest (with ARGS: of these only)'
	@echo "make test-stdlib         all of CPython's own tests of multiprocessing (ARGS=--help: how to choose)"
	@echo 'make test-ecosystem      PyTorch (a large download), tables, joblib and pebble on the contexts of interproc'
	@echo 'make bench [ARGS=...]    the benchmark beside multiprocessing, faster-fifo and pyzmq'
	@echo 'make lint                ruff, mypy, pyright, clang-format; make -k lint goes on after a failure'
	@echo 'make format              let ruff and clang-format rewrite the sources'
	@echo 'make sanitize            core tests under ASan with UBSan, and under TSan'
	@echo 'make sweep               kill a process at every instruction of every operation, in full'
	@echo 'make storm [SECONDS=60]  kill and stop processes at random: so long for each storm, start method and lock'
	@echo 'make storm-peers [ARGS=] after how many kills the queues of multiprocessing and faster-fifo hang, and ours'
	@echo 'make fuzz [SECONDS=60]   write over segments and use them, under ASan with UBSan'
	@echo 'make models              check the Spin models'
	@echo 'PYTHON=python3.12 picks the interpreter; each has an environment of its own.'

$(VENV)/installed-%: pyproject.toml tools/bootstrap.py
	@$(PYTHON) tools/bootstrap.py $(VENV) $* --werror $(WERROR)
	@touch $@

# Editable installs are told not to build at import: this builds once, before whatever runs next. The old file goes first
# because CMake takes files less than a second apart for the same, and would write into what others have mapped.
extension:
	@$(CMAKE) --build build/venv-$(VERSION) -- --quiet
	@rm -f $(SITE)/interproc/_core.*.so
	@$(CMAKE) --install build/venv-$(VERSION) --component python --prefix $(SITE) >/dev/null

core: $(VENV)/installed-test
	@$(CONFIGURE) -B build/core >/dev/null
	@$(CMAKE) --build build/core -- --quiet

demo: $(VENV)/installed-cli
	@$(MAKE) --no-print-directory extension
	@$(BIN)/python -m interproc demo $(if $(FOLDER),"$(FOLDER)")

test: core
	@$(MAKE) --no-print-directory extension
ifeq ($(ARGS),)
	@$(CTEST) build/core
ifneq ($(LOCK_TESTS),)
	@INTERPROC_LOCK=liveness $(BIN)/python -m pytest -q $(LOCK_TESTS)
endif
endif
	@$(BIN)/python -m pytest -q $(ARGS)

test-stdlib: $(VENV)/installed-test
	@$(MAKE) --no-print-directory extension
	@$(BIN)/python -m tests.stdlib $(ARGS)

# In an environment of its own, because of torch's size.
test-ecosystem:
	@$(PYTHON) tools/bootstrap.py $(VENV)-ecosystem test,ecosystem
	@$(VENV)-ecosystem/bin/python -m pytest -q tests/ecosystem $(ARGS)

# Measures what users install: an editable install's import hook would add milliseconds to every process.
bench:
	@$(PYTHON) tools/bootstrap.py $(VENV)-bench bench --regular
	@$(VENV)-bench/bin/python -m interproc bench $(ARGS)

lint: lint-ruff lint-mypy lint-pyright lint-clang-format

lint-ruff: $(VENV)/installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

lint-mypy: $(VENV)/installed-test
	@$(BIN)/mypy

lint-pyright: $(VENV)/installed-test
	@$(BIN)/pyright --pythonpath $(BIN)/python

lint-clang-format: $(VENV)/installed-test
	@$(BIN)/clang-format --dry-run -Werror $(CPP)

format: $(VENV)/installed-test
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(CPP)

sanitize: sanitize-address sanitize-thread

sanitize-%: $(VENV)/installed-test
	@! grep -q zig $(VENV)/toolchain.cmake || { echo 'interproc: the sanitizers need g++ or clang++'; exit 1; }
	@$(CONFIGURE) -B build/$* -DINTERPROC_SANITIZE=$* >/dev/null
	@$(CMAKE) --build build/$* -- --quiet
	@$(CTEST) build/$*

sweep: core
	@build/core/core/sweep --full

storm: $(VENV)/installed-test
	@$(MAKE) --no-print-directory extension
	@for lock in auto liveness; do \
	  INTERPROC_LOCK=$$lock INTERPROC_STORM_SECONDS=$(or $(SECONDS),60) \
	  $(BIN)/python -m pytest -q -s tests/crash/test_storm.py tests/crash/test_pool_storm.py || exit 1; done

# In the benchmark's environment, which has the others.
storm-peers:
	@$(PYTHON) tools/bootstrap.py $(VENV)-bench bench --regular
	@$(VENV)-bench/bin/python -m tests.crash.peers $(ARGS)

fuzz: $(VENV)/installed-test
	@$(CONFIGURE) -B build/address -DINTERPROC_SANITIZE=address >/dev/null
	@$(CMAKE) --build build/address -- --quiet fuzz
	@build/address/core/fuzz --seed $(or $(SEED),$(shell date +%s)) --rounds 1000000000 --seconds $(or $(SECONDS),60)

models: $(VENV)/installed-test
	@$(BIN)/python core/models/check.py

clean:
	rm -rf build dist .venv-*
