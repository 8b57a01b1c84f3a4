# The two commands are `make demo` and `make test`; the rest is for people who work on Perennial.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup line developers demo demo-photographs test check every format unit coverage up down docs lock audit sbom competitors clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup:  ## system packages, .venv, locked dependencies (FOR=predict: .venv-predict, small, for `perennial predict` alone)
	@scripts/set_up.sh $(FOR)

line developers: # the packages that the targets below need, see scripts/set_up.sh
	@scripts/set_up.sh $@

demo: line  ## set up, run the whole line on planted digits, print the scorecard
	@python -m demo.main

demo-photographs: line  ## what it finds among your images: SOURCE=folder-or-archive (COUNT=1000 SEED=0 LAYOUT=name LABELS=file)
	@python -m demo.photographs "$${SOURCE-}" $${COUNT:+--count "$$COUNT"} $${SEED:+--seed "$$SEED"} \
	  $${LAYOUT:+--layout "$$LAYOUT"} $${LABELS:+--labels "$$LABELS"}

test:  ## set up, then lint, types, import contracts and every test that needs no GPU
	@scripts/set_up.sh tests
	@$(MAKE) --no-print-directory -j 2 check every

every: # beside `check`: both wait now and then
	@OMP_NUM_THREADS=1 python -m pytest -m 'not gpu' -n 2 --dist loadfile --no-loadscope-reorder

check: developers  ## lint, types and import contracts only
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format: developers  ## fix what ruff can fix, and format the code
	ruff check --fix .
	ruff format .

unit: developers  ## the quick tests only
	@python -m pytest tests/unit tests/contracts -n 2 --dist loadfile --no-loadscope-reorder -q

coverage: developers  ## which lines the quick tests run, into benchmarks/results/coverage.json
	@python -m benchmarks.whole.coverage

up: line  ## start a Prefect server, pool and worker on loopback, and deploy the flows
	@perennial up

down:  ## stop them
	@perennial down

docs: developers  ## write the generated pages of docs/ again
	@python -m scripts.write_docs

lock:  ## resolve the dependencies anew into requirements.lock
	@python -m scripts.write_lock
	@benchmarks/set_up.sh --lock

audit: line  ## ask the Python advisory database about every locked dependency
	@python -m uv tool run pip-audit==2.9.0 --strict --require-hashes --disable-pip -r requirements.lock

sbom: line  ## write build/sbom.cdx.json: every locked dependency with its hashes (CycloneDX), for a release
	@mkdir -p build && PYTHONWARNINGS=ignore python -m uv tool run --from cyclonedx-bom==7.1.0 cyclonedx-py requirements requirements.lock \
	  --pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json && echo build/sbom.cdx.json

competitors: line  ## .venv-benchmarks: the loaders and programs that benchmarks compare with
	@benchmarks/set_up.sh

clean:  ## remove what the line made (not the registry in .perennial, not .dvc/cache)
	@rm -rf line demo/out build .mypy_cache .ruff_cache .pytest_cache
