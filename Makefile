# SPDX-License-Identifier: Apache-2.0
# A short front to meson and ninja. `make run` and `make test` are all that a newcomer needs.
BUILD ?= build
BAILEY := $(BUILD)/bailey

PREFIX ?= /usr/local

.PHONY: run build test test-debug bench debug tsan deps test-deps clean format install

run: build ## install what is missing, build, run the tour (or CMD='...') inside Bailey
ifdef CMD
	@$(BAILEY) run -- /bin/sh -c '$(subst ','\'',$(CMD))'
else
	@BAILEY=$(BAILEY) scripts/tour
endif

build: deps ## build/bailey
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >.meson-setup.log || { cat .meson-setup.log >&2; exit 1; }
	@ninja -C $(BUILD) --quiet bailey

test: test-deps build ## all tests: unit, guest (natively and inside), apps, evil
	@ninja -C $(BUILD) --quiet
	@/usr/bin/python3 tests/run.py --build $(BUILD) $(TESTS)

install: build ## bailey, libbailey and its header to PREFIX
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD) --quiet
	@meson install -C $(BUILD) --no-rebuild --quiet

bench: test-deps build ## the same work natively, under Bailey and, if installed, under runsc
	@bench/compare bailey='$(BAILEY) run --' $$(command -v runsc >/dev/null && echo runsc='runsc --network=none --ignore-cgroups do')
	@bench/apps bailey='$(BAILEY) run --' $$(command -v runsc >/dev/null && echo runsc='runsc --network=none --ignore-cgroups do')

debug: deps ## build-debug/bailey, with lock ranks, ASan and UBSan
	@test -f build-debug/build.ninja || meson setup build-debug --buildtype=debug -Db_sanitize=address,undefined -Db_lundef=false >.meson-setup.log || { cat .meson-setup.log >&2; exit 1; }
	@ninja -C build-debug --quiet

test-debug: test-deps debug ## unit, guest and evil tests (or TESTS='...') with the debug build
	@/usr/bin/python3 tests/run.py --build build-debug $(or $(TESTS),unit guest evil)

tsan: deps ## the test of sched/, and guests on four workers, under the thread sanitizer
	@test -f build-tsan/build.ninja || meson setup build-tsan -Db_sanitize=thread -Db_lundef=false -Doptimization=1 -Ddebug=true -Dwerror=false >.meson-setup.log || { cat .meson-setup.log >&2; exit 1; }
	@ninja -C build-tsan --quiet tests/unit/test-sched bailey tests/guest/workers
	@build-tsan/tests/unit/test-sched
	@scripts/tsan build-tsan

deps:
	@scripts/deps build
test-deps:
	@scripts/deps test

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean:
	rm -rf build build-debug build-tsan
