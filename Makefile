# `make demo` shows the main job, `make test` proves it; both install what is missing on a bare Debian.
.PHONY: demo test bench bench-tools fuzz lint tools test-tools

TAMIS := target/release/tamis

# Stays in the foreground, with lines to try in another terminal.
demo: tools
	@$(call want,curl,curl,the lines to try)
	cargo build --locked --release --bin tamis
	$(TAMIS) demo

test: test-tools
	tests/fetch-fhir
	cargo test --locked --config "target.'cfg(unix)'.runner = 'tests/timed'" -- --show-output

# make bench AGAINST=HEAD~1 says whether the work tree is slower than that commit, and fails if it is. BENCH=--rounds=31 measures longer,
# BENCH='--only "64 MB"' less.
BENCH :=
ifneq ($(origin AGAINST),undefined)
bench: tools
	@$(call want,h2load,nghttp2-client,the requests)
	@$(call want,curl,curl,the requests by HTTP/2 and TLS)
	@$(call want,valgrind,valgrind,the instructions)
	benches/fetch-corpora
	cargo bench --locked --bench against -- '$(AGAINST)' $(BENCH)
else
bench: tools bench-tools
	benches/fetch-corpora
	RUSTFLAGS="-Ctarget-cpu=native" cargo build --locked --release --manifest-path benches/peers/Cargo.toml --target-dir target/peers
	cargo bench --locked --bench engine
	cargo bench --locked --bench proxy
endif

# What tamis is compared with.
bench-tools:
	benches/install-tools

# make fuzz TARGET=rewrite SECONDS=60: the targets are those in tests/fuzz. Sanitizers would take a nightly toolchain. Optimising what
# counts each branch across all crates takes an hour, and gains nothing here.
TARGET := rewrite
SECONDS := 60
fuzz: tools
	@$(call install,c++,build-essential)
	@[ -x target/tools/bin/cargo-fuzz ] || cargo install --quiet --locked --root target/tools cargo-fuzz
	mkdir -p target/fuzz-corpus/$(TARGET)
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	PATH="$$PWD/target/tools/bin:$$PATH" cargo fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz \
		--sanitizer none $(TARGET) target/fuzz-corpus/$(TARGET) -- -max_total_time=$(SECONDS)

lint: tools
	cargo fmt --check
	cargo fmt --check --manifest-path benches/peers/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings
	@$(call install,c++,build-essential)
	cargo clippy --locked --package tamis-fuzz -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# $(call install,PROGRAM,PACKAGE) installs the package if the program is not here, and says so if it cannot.
install = command -v $(1) >/dev/null || { \
	echo "installing $(2), for there is no $(1)" >&2; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
	} || { echo "$(1) is needed, and cannot be installed here (as root, on Debian): install $(2)" >&2; exit 1; }

# What the build needs besides Rust: a linker, and CMake for zlib-ng, which Pingora brings along.
tools:
	@command -v cargo >/dev/null || { echo "tamis is built by Rust 1.95 or later: install it from rustup.rs" >&2; exit 1; }
	@$(call install,cc,build-essential)
	@$(call install,cmake,cmake)

# $(call want,PROGRAM,PACKAGE,WHAT) does the same, but can do without: then it says what is skipped. Some packages bring servers,
# which must not be started here.
want = PATH="$$PATH:/usr/sbin" command -v $(1) >/dev/null || { \
	apt-get update && SYSTEMD_OFFLINE=1 RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
	apt-get install -y --no-install-recommends $(2); \
	} >/dev/null 2>&1 || echo "skipped: $(3): $(1) is not here and cannot be installed" >&2

# promtool checks the files for Prometheus, nginx is a real upstream, h2load a client of somebody else's. HAProxy, Envoy and nginx say what
# they think of requests, redbot of responses; slowhttptest is as slow as a client can be; Express and PHP
# read requests in more ways than one.
test-tools: tools
	@$(call want,curl,curl,the lines of the demo)
	@$(call want,promtool,prometheus,the tests by promtool)
	@$(call want,nginx,nginx-light,the tests behind nginx)
	@$(call want,h2load,nghttp2-client,the load by h2load)
	@$(call want,haproxy,haproxy,what HAProxy says of requests)
	@$(call want,slowhttptest,slowhttptest,the slow clients)
	@$(call want,testssl,testssl.sh,what testssl says of TLS)
	@$(call want,php,php-cli,what PHP reads in a request)
	@$(call want,node,nodejs,what Express reads in a request)
	@$(call want,npm,npm,what Express reads in a request)
	@tests/install-python-tools
	@tests/install-express
