# Ten recipes at most; `make help` lists them.
.PHONY: help demo test lint bench crds

help: ## list the recipes
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: ## three clusters on loopback, nothing else needed
	cargo run --release --locked -- demo

test: ## everything: units, scenarios, packets, RFCs, real API servers
	./tests/setup.sh
	PROPTEST_RNG_SEED=20260101 cargo test --locked

lint: ## formatting and clippy, warnings as errors
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings

bench: ## figures for the spine and for lookups, on this machine
	cargo bench --locked

crds: ## write the custom resource definitions
	cargo run --locked -- crds > deploy/crds.yaml
