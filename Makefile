# `make demo` shows the main job, `make test` proves it; both install what is missing on a bare Debian.
.PHONY: demo test bench lint tools test-tools

TAMIS := target/release/tamis

demo: tools
	cargo build --locked --release --bin tamis
	@tests/demo $(TAMIS)

test: test-tools
	tests/fetch-fhir
	cargo test --locked -- --show-output

bench: tools
	cargo bench --locked --bench engine

lint: tools
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# The build needs a linker, and cmake for the zlib that Pingora brings.
tools:
	@command -v cargo >/dev/null || { echo "tamis is built by Rust 1.95 or later: install it from rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { apt-get update && apt-get install -y --no-install-recommends build-essential; }
	@command -v cmake >/dev/null || { apt-get update && apt-get install -y --no-install-recommends cmake; }

# promtool checks the files for Prometheus. Its package has a server, which must not be started here.
test-tools: tools
	@command -v promtool >/dev/null || { apt-get update && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends prometheus; } >/dev/null 2>&1 || echo "skipped: the tests by promtool: it is not here and cannot be installed" >&2
