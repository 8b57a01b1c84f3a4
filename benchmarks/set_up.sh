#!/usr/bin/env bash
# Make .venv-benchmarks: the product's locked packages, and what benchmarks compare with (speed/loaders.py, download/transfer.py).
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'competitors: %s\n' "$*" >&2; exit 69; }

[ -x .venv/bin/python ] || fail "no .venv; run: make setup"
uv() { .venv/bin/python -m uv "$@"; }
[ -n "${PIP_INDEX_URL:-}" ] && export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"

if [ "${1:-}" = --lock ]; then # on top of the product's versions, so that both sides run the same torch
  uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --constraint requirements.lock benchmarks/requirements.in --output-file benchmarks/requirements.lock
  exit 0
fi

[ -x .venv-benchmarks/bin/python ] || uv venv --quiet --python .venv/bin/python .venv-benchmarks
uv pip sync --quiet --compile-bytecode --python .venv-benchmarks/bin/python --require-hashes \
  requirements.lock benchmarks/requirements.lock || fail "could not install benchmarks/requirements.lock; see above"
printf 'competitors: done; run: .venv-benchmarks/bin/python -m benchmarks.speed.loaders\n'
