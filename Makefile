# The front door. `make help` says what is behind it.
#
# Each goal first installs the Debian packages it lacks (as root or through sudo), or names them in one line.
# Everything is built under build*/, so removing those folders undoes all of it.
#
#     CXX=clang++ make test     another compiler, in a build folder of its own
#     make test ARGS="-R conv"  only the tests whose name contains "conv"; ARGS goes to ctest
#     make install PREFIX=~/opt

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
ARGS ?=
FUZZ_SECONDS ?= 600

# CXX counts when somebody chose it; make's own default (c++ or g++) is the preset's.
ifeq ($(origin CXX),default)
  build := build
  configure := cmake --preset release
else
  build := build-$(notdir $(CXX))
  configure := cmake --preset release -B $(build) -DCMAKE_CXX_COMPILER=$(CXX)
endif

packages := g++ cmake ninja-build libstb-dev zlib1g-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev catch2
clang := clang libclang-rt-14-dev libomp-dev
arm := g++-aarch64-linux-gnu qemu-user-static zlib1g-dev:arm64 libtomlplusplus-dev:arm64 libgomp1:arm64

.DEFAULT_GOAL := all
.PHONY: all help demo test test-clang arm bench asan tsan gpu-check fuzz mutants format format-check install clean

all: ## build the library and the program, build/microtome
	@$(call need,$(packages))
	@$(configure)
	@cmake --build $(build) -j $(JOBS) --target microtome_program

demo: all ## a study of the built-in tissue, half a minute once built: train, attack, harden, report
	@$(build)/microtome study presets/demo.toml --out $(build)/demo $(ARGS)
	@echo "open $(build)/demo/report.html in a browser"

test: ## build everything and run every test
	@$(call need,$(packages))
	@$(configure)
	@cmake --build $(build) -j $(JOBS)
	@ctest --test-dir $(build) -j $(JOBS) --output-on-failure --no-tests=error $(ARGS)

test-clang: ## the same tests, compiled by clang at -O3
	@$(call need,$(packages) $(clang))
	@$(call check,clang)

arm: ## the same tests on 64-bit ARM: cross-compiled, in qemu's user mode (half an hour)
	@$(call need,$(packages) $(arm),arm64)
	@$(call check,arm)

bench: ## measure the matrix product beside OpenBLAS and the processor's peak
	@$(call need,$(packages) libopenblas0-pthread)
	@$(configure)
	@cmake --build $(build) -j $(JOBS) --target microtome_program
	@$(build)/microtome bench --suite gemm $(ARGS)

# The library itself refuses a tensor that is too large, here and below: a test asks for one.
asan: export ASAN_OPTIONS := allocator_may_return_null=1
asan: ## the same tests under the address and undefined-behaviour sanitizers, at -O1
	@$(call need,$(packages))
	@$(call check,asan)

tsan: export TSAN_OPTIONS := ignore_noninstrumented_modules=1 allocator_may_return_null=1
tsan: ## the same tests under the thread sanitizer (clang and libomp: gcc's OpenMP gives false reports)
	@$(call need,$(packages) $(clang))
	@$(call check,tsan)

gpu-check: ## everything that needs a GPU, within ten minutes: tests, sanitizers, speed; writes build/gpu-check.md
	@$(call need,$(packages))
	@$(configure)
	@cmake --build $(build) -j $(JOBS)
	@tests/gpu/check $(build)

fuzz: ## hand broken files to every reader, FUZZ_SECONDS each; ARGS: which of safetensors pth npz idx images presets
	@$(call need,$(packages) $(clang))
	@cmake --preset fuzz && cmake --build build-fuzz -j $(JOBS) --target $(patsubst %,fuzz_%,$(fuzz_targets))
	@FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run build-fuzz $(fuzz_targets)

mutants: ## plant bugs one by one and show that a test catches each
	@$(call need,$(packages) git)
	@JOBS=$(JOBS) tests/mutants/run $(ARGS)

fuzz_targets = $(or $(ARGS),safetensors pth npz idx images presets)

sources = $$(find . -path "./build*" -prune -o \( -name "*.[ch]pp" -o -name "*.cu" \) -print)

format: ## lay out every source file with clang-format 14
	@$(call need,clang-format-14)
	@clang-format-14 -i $(sources)

format-check: ## fail where a source file differs from what `make format` would write
	@$(call need,clang-format-14)
	@clang-format-14 --dry-run --Werror $(sources)

install: all ## install headers, library, program and CMake package under PREFIX
	@cmake --install $(build) --prefix $(PREFIX)

clean: ## remove every build folder
	@rm -rf build build-*/

help: ## this list
	@echo 'usage: make [goal] [CXX=clang++] [JOBS=2] [ARGS=...] [PREFIX=/usr/local]'
	@echo
	@awk -F ':.* ## |: ## ' '/^[a-z-]+:[a-z ]* ## / { printf "  %-14s%s\n", $$1, $$2 }' Makefile

# $(call check,preset): build a preset and run all of its tests.
check = cmake --preset $1 && cmake --build build-$1 -j $(JOBS) && \
	ctest --test-dir build-$1 -j $(JOBS) --output-on-failure --no-tests=error $(ARGS)

# $(call need,packages,foreign): see that they are installed, some of them for the foreign architecture. Where there is
# no dpkg, CMake names what it misses.
define need
command -v dpkg-query >/dev/null || exit 0; \
missing=; \
for package in $(sort $1); do \
	dpkg-query -Wf '$${Status}' $$package 2>/dev/null | grep -q ' installed$$' || missing="$$missing $$package"; \
done; \
test -n "$$missing" || exit 0; \
if [ $$(id -u) = 0 ]; then root=; \
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || test -t 0; }; then root=sudo; \
else echo "missing packages; please run: apt-get install$$missing" >&2; exit 1; fi; \
echo "installing$$missing"; \
$(if $2,$$root dpkg --add-architecture $2 && )\
$$root apt-get update -qq && \
$$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing
endef
