# Starts programs; what has logic is Rust (packaging/first-run, tests/tidy).
# Needs Rust; everything else is installed by `deps` with the system's package manager.

SHELL := /bin/sh
# Not the default flags, so that every line goes through the shell and sees the PATH below.
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help
# rustup's directory, which a shell without login does not have on its PATH.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/sbin

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# $(call install,for apt-get,for dnf,for apk,for pacman): quiet unless it fails. The package lists are fetched only if
# the packages are not found without.
define install
log=$$(mktemp); \
if command -v apt-get; then \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get install -y --no-install-recommends $(1) || { \
		apt-get update && apt-get install -y --no-install-recommends $(1); }'; \
elif command -v dnf; then $(SUDO) sh -c 'dnf install -y $(2)'; \
elif command -v apk; then $(SUDO) apk add $(3); \
elif command -v pacman; then $(SUDO) pacman -S --needed --noconfirm $(4); \
else echo "no package manager that is known here: please install $(1) yourself"; false; \
fi >"$$log" 2>&1 </dev/null || { cat "$$log" >&2; rm -f "$$log"; exit 1; }; \
rm -f "$$log"
endef

.PHONY: help
help:
	@echo "make run    build, start a worker (with a private redis if there is none), run sample jobs, keep running"
	@echo "make test   install what the tests need; format, lints, docs, tidy, unit, integration and doc tests"
	@echo "make test-all  the same, and what takes its time: lints with fewer features, the counts of instructions, a worker"
	@echo "            beside a real Prometheus and a real Sidekiq, and the pages in a real browser"
	@echo "make screenshots  take pictures of the pages with realistic data, into target/screenshots"
	@echo "make chaos  fail workers, lines and Redis at random for CHAOS_SECONDS (300) or CHAOS_ROUNDS; CHAOS_SEED replays;"
	@echo "            CHAOS_OUT=FILE keeps what it says"
	@echo "make cron   periodic jobs over three processes that are killed and stopped at random, for CRON_SECONDS (180)"
	@echo "make fuzz   search for bytes that break a parser, FUZZ_SECONDS (60) for each target, or FUZZ_TARGET alone"
	@echo "make deb    build the Debian package, with man page and completions, into target/debian"
	@echo "make deny   ask cargo-deny for licences, bans, sources and, where its database can be reached, advisories"
	@echo "make instructions  count the hot paths' instructions and accept them as what make test-all holds them to"
	@echo "make deps   install what is missing of: a linker, redis-server (or valkey-server), postgresql, valgrind, faketime, ruby, python3, nodejs"

.PHONY: linker
linker:
	@command -v cc >/dev/null || { echo "Installing a linker"; $(call install,gcc libc6-dev,gcc,build-base,gcc); }

.PHONY: redis
redis:
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null || { \
		echo "Installing redis-server"; \
		$(call install,redis-server,valkey || dnf install -y redis,redis,valkey); }

.PHONY: deps
deps: linker redis
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
		echo "Installing postgresql"; \
		$(call install,postgresql,postgresql-server,postgresql,postgresql); }
	@command -v valgrind >/dev/null || { \
		echo "Installing valgrind"; \
		$(call install,valgrind,valgrind,valgrind,valgrind); }
	@command -v faketime >/dev/null || { \
		echo "Installing faketime"; \
		$(call install,faketime,libfaketime,libfaketime,libfaketime); }
# What the tests of runners run.
	@command -v ruby >/dev/null || { echo "Installing ruby"; $(call install,ruby,ruby,ruby,ruby); }
	@command -v python3 >/dev/null || { echo "Installing python3"; $(call install,python3,python3,python3,python); }
	@command -v node >/dev/null || { echo "Installing nodejs"; $(call install,nodejs,nodejs,nodejs,nodejs); }

# The real gem sidekiq, its server and its page, for the tests beside it. Where a distribution has no such package these say
# so and end.
.PHONY: ruby
ruby:
	@ruby -e 'require "sidekiq"' 2>/dev/null || { \
		echo "Installing ruby-sidekiq"; \
		$(call install,ruby-sidekiq ruby-redis ruby-rack puma,ruby rubygem-sidekiq,ruby ruby-sidekiq,ruby) || true; }

.PHONY: run
# Where it serves metrics and probes.
RUN_WEB := 127.0.0.1:9394
# Without TLS, whose crates take a fifth of the time; a Redis anywhere else is for a build that is to be used.
run: linker redis
	@echo "Building to be tried out (some minutes the first time); cargo build --release builds what is to be used"
	@cargo build --profile quick --locked --no-default-features --features web -p jiggler-uring -p first-run --bins
	@target/quick/first-run & exec target/quick/jiggler-uring --web $(RUN_WEB)

.PHONY: test
test: deps
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	@cargo fmt --all -- --check
	@$(TESTS) --no-run
# Tests of the whole program mostly wait for processes: they run beside all that computes. What they say is shown when they
# have ended. They are a group of their own, so that an interrupt ends them with all they have started. The lints come after
# the build of the tests, because they need none of it.
	@log=$$(mktemp); \
	setsid env RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} $(TESTS) --test engine >"$$log" 2>&1 & engine=$$!; \
	trap 'kill -- -$$engine; rm -f "$$log"; exit 130' INT TERM; failed=; \
	$(LINTS) || failed="$$failed lints"; \
	$(DOCS) || failed="$$failed docs"; \
	$(TESTS) --lib --bins --test parts --test signal --test tidy || failed="$$failed tests"; \
	$(TESTS) --doc || failed="$$failed examples"; \
	wait $$engine || failed="$$failed engine"; cat "$$log"; rm -f "$$log"; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

# Behind the tests that run beside them, some of which wait with a limit.
LINTS := nice cargo clippy --workspace --all-targets --all-features --locked --quiet -- -D warnings
# With an example, dependencies have the features that the lints have checked them with, and are not checked once more.
DOCS := RUSTDOCFLAGS='-D warnings' nice cargo doc --workspace --no-deps --all-features --lib --example periodic --locked --quiet
TESTS := cargo test --workspace --all-features --locked --quiet --no-fail-fast

# Debian's package has both programs.
.PHONY: prometheus
prometheus:
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { \
		echo "Installing prometheus"; \
		$(call install,prometheus,golang-github-prometheus,prometheus,prometheus); }

# A real browser, for the tests of the pages and for pictures of them.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { \
		echo "Installing chromium"; \
		$(call install,chromium fonts-dejavu-core,chromium dejavu-sans-fonts,chromium font-dejavu,chromium ttf-dejavu); }

# Pictures of all pages, with data as a shop has it: light, dark, and in a narrow window.
.PHONY: screenshots
screenshots: linker redis chromium
	@SCREENSHOTS=$(CURDIR)/target/screenshots $(TESTS) --test browser -- pictures
	@echo "see target/screenshots"

# What takes its time: fewer features, everything built once more as a release is, to count what the hot paths cost, a real
# Prometheus that scrapes a worker for minutes, the real sidekiq, and a real browser.
.PHONY: test-all
test-all: test prometheus ruby chromium
# The counterparts mostly wait: they run beside what builds, one after the other. They are a group of their own, as above.
	@log=$$(mktemp); setsid $(COUNTERPARTS) >"$$log" 2>&1 & counterparts=$$!; \
	trap 'kill -- -$$counterparts; rm -f "$$log"; exit 130' INT TERM; failed=; \
	$(LINTS_ALONE) || failed="$$failed lints"; \
	$(LINTS_DEFAULT) || failed="$$failed lints-by-default"; \
	$(LINTS_ENGINE) || failed="$$failed lints-of-the-engine"; \
	$(INSTRUCTIONS) check || failed="$$failed instructions"; \
	(cd packaging/prometheus && promtool check config prometheus.yml >/dev/null && promtool test rules alerts-test.yml) || \
		failed="$$failed alerts"; \
	wait $$counterparts || failed="$$failed counterparts"; cat "$$log"; rm -f "$$log"; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

# Tests that `make test` neither runs nor lints; then the crate as it is built by default, and the engine alone.
ALONE := --test prometheus --test browser --test ruby_sidekiq
LINTS_ALONE := nice cargo clippy --workspace --all-features $(ALONE) --test chaos_long --test cron_long --locked --quiet -- -D warnings
LINTS_DEFAULT := nice cargo clippy --locked --quiet -- -D warnings
LINTS_ENGINE := nice cargo clippy --no-default-features --locked --quiet -- -D warnings
COUNTERPARTS = $(TESTS) $(ALONE)

# Nothing that is linked differently: flags of the user would be counted with.
INSTRUCTIONS := nice env -u RUSTFLAGS cargo run --profile counting --locked --quiet -p instructions --

# What is counted and how far a count may move: benches/instructions.
.PHONY: instructions
instructions: deps
	@$(INSTRUCTIONS) accept

.PHONY: chaos
chaos: deps
	@cargo build --locked --quiet --example misbehaving_jobs
	@cargo test --locked --quiet --test chaos_long

.PHONY: cron
cron: deps
	@cargo test --locked --quiet --test cron_long

FUZZ_TARGETS := resp replies payload amend config cron url keys
FUZZ_TARGET := $(FUZZ_TARGETS)
FUZZ_SECONDS := 60
# Inputs beyond this size find nothing that smaller ones do not, and take their time.
FUZZ_BYTES_MAX := 4096

# What is new in the working corpus stays in target/fuzz/corpus for the next search; what breaks a promise lands in
# target/fuzz/found and belongs, once mended and named, into tests/fuzz/found, where `make test` replays it.
.PHONY: fuzz
fuzz:
	@command -v c++ >/dev/null || { echo "Installing a C++ compiler"; $(call install,g++ libc6-dev,gcc-c++,g++,gcc); }
	@echo "Building the fuzzers (some minutes the first time)"
	@cp Cargo.lock tests/fuzz/Cargo.lock
	@cd tests/fuzz && env -u RUSTFLAGS -u CARGO_TARGET_DIR cargo build --release --quiet --bins
	@for target in $(FUZZ_TARGET); do \
		echo "Fuzzing $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p target/fuzz/corpus/$$target target/fuzz/found/$$target; \
		ASAN_OPTIONS=detect_leaks=0 target/fuzz/*-linux-*/release/$$target -max_total_time=$(FUZZ_SECONDS) \
			-max_len=$(FUZZ_BYTES_MAX) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
			-dict=tests/fuzz/dictionaries/$$target.dict -artifact_prefix=target/fuzz/found/$$target/ \
			target/fuzz/corpus/$$target tests/fuzz/corpus/$$target $$(ls -d tests/fuzz/found/$$target 2>/dev/null) \
			>target/fuzz/$$target.log 2>&1 || { tail -n 60 target/fuzz/$$target.log; \
			echo "Found: see target/fuzz/found/$$target and target/fuzz/$$target.log"; exit 1; }; \
		grep -E '^(Done|stat::)' target/fuzz/$$target.log; \
	done

# Who builds a package for others names himself, as for all Debian tools.
DEB_MAINTAINER = $(if $(DEBEMAIL),$(or $(DEBFULLNAME),$(DEBEMAIL)) <$(DEBEMAIL)>,The jiggler-uring maintainers \
	<maintainers@jiggler-uring.invalid>)

# The program writes its own man page and completions. cargo-deb takes some minutes to build, once, and asks dpkg-dev which
# libraries the program needs. Debug symbols go into a package of their own.
.PHONY: deb
deb: linker
	@command -v dpkg-shlibdeps >/dev/null || { echo "Installing dpkg-dev"; $(call install,dpkg-dev,dpkg-dev,dpkg-dev,dpkg); }
	@command -v cargo-deb >/dev/null || { echo "Installing cargo-deb"; cargo install cargo-deb --locked --quiet; }
	@echo "Building (some minutes the first time)"
	@cargo build --profile packaged --locked --quiet --bin jiggler-uring
	@mkdir -p target/packaging
	@target/packaged/jiggler-uring man >target/packaging/jiggler-uring.1
	@for shell in bash zsh fish; do \
		target/packaged/jiggler-uring completions $$shell >target/packaging/jiggler-uring.$$shell; done
	@version=$$(cargo pkgid | sed 's/.*[#@]//'); date=$$(git log -1 --format=%aD 2>/dev/null || date -R); \
		printf 'jiggler-uring (%s-1) unstable; urgency=medium\n\n  * Version %s: see changelog.gz.\n\n -- %s  %s\n' \
		"$$version" "$$version" "$(strip $(DEB_MAINTAINER))" "$$date" >target/packaging/changelog
	@cargo deb --no-build --profile packaged --locked --quiet --dbgsym --maintainer "$(strip $(DEB_MAINTAINER))" >/dev/null
	@ls target/debian/*.deb target/debian/*.ddeb

# `make test` checks licences, bans, versions and sources by the same .deny.toml in a second (tests/tidy/supply_chain.rs).
# cargo-deny takes some minutes to build, once, and knows advisories besides, if it can fetch their database.
.PHONY: deny
deny: linker
	@command -v cargo-deny >/dev/null || { echo "Installing cargo-deny"; cargo install cargo-deny --locked --quiet; }
	@cargo deny --locked check licenses bans sources
	@if cargo deny --locked fetch db 2>/dev/null; then cargo deny --locked check advisories; \
	else echo "advisories: NOT CHECKED: their database cannot be fetched from here"; fi
