#!/usr/bin/env bash
# Set everything up, from a bare Debian 12 with python3.11 and git: system packages that ffcv and our decoder are built
# with, a virtual environment with the locked dependencies, and this project in it. Safe to run again: what is there is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly UV_VERSION=0.13.8
readonly PACKAGES=(python3-venv python3-dev g++ pkg-config libopencv-dev libturbojpeg0-dev libjpeg-dev libgl1)
readonly TEST_PACKAGES=(chromium) # for the tests that drive a real browser; added by --for-tests

say() { printf 'set-up: %s\n' "$*"; }
fail() { printf 'set-up: %s\n' "$*" >&2; exit 69; }

wanted=("${PACKAGES[@]}")
[ "${1:-}" = --for-tests ] && wanted+=("${TEST_PACKAGES[@]}")

made=".venv/.made-$(cat "$0" requirements.lock pyproject.toml | sha256sum | cut -c1-16)" # the environment is as locked
packaged="$made${1:-}.packages"                                                            # and so are system packages
[ -e "$made" ] && [ -e "$packaged" ] && exit 0

install_system_packages() {
  command -v dpkg-query >/dev/null || {
    pkg-config --exists opencv4 libturbojpeg 2>/dev/null ||
      fail "not a Debian system: install the headers of OpenCV, TurboJPEG and libjpeg, pkg-config and a C++ compiler, then run again"
    return 0
  }
  local missing=() name
  for name in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && { say "1/4 system packages: all there"; return 0; }
  local sudo=""
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo=sudo; }
  [ "$(id -u)" -eq 0 ] || [ -n "$sudo" ] || fail "run as root: apt-get install ${missing[*]}"
  say "1/4 system packages: installing ${missing[*]} (about a minute)"
  $sudo apt-get update -qq >/dev/null || fail "apt-get update failed; run: $sudo apt-get update"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "could not install them; run: $sudo apt-get install ${missing[*]}"
}

find_python() {
  local name
  for name in python3.11 python3.12 python3.13 python3; do
    command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null &&
      { echo "$name"; return 0; }
  done
  fail "no Python 3.11 to 3.13 found; run: apt-get install python3.11"
}

install_system_packages
[ -e "$made" ] && { touch "$packaged"; exit 0; }

[ -x .venv/bin/python ] || { say "2/4 virtual environment in .venv"; "$(find_python)" -m venv .venv; }
.venv/bin/python -m uv --version 2>/dev/null | grep -qF "$UV_VERSION" ||
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" 2>/dev/null ||
  fail "could not install uv; run: .venv/bin/python -m pip install uv==$UV_VERSION"

say "3/4 locked dependencies (7 GB on disk, most of it torch; one minute to ten, by your connection)"
[ -n "${PIP_INDEX_URL:-}" ] && export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
.venv/bin/python -m uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock ||
  fail "could not install them; run: .venv/bin/python -m uv pip sync --python .venv/bin/python --require-hashes requirements.lock"

say "4/4 perennial itself, and its decoder"
.venv/bin/python -m uv pip install --quiet --python .venv/bin/python --no-deps --editable . ||
  fail "could not install the project; run: .venv/bin/python -m uv pip install --no-deps --editable ."
.venv/bin/python -m pipeline_lib.native.build || fail "could not compile the decoder; run: .venv/bin/python -m pipeline_lib.native.build"

rm -f .venv/.made-*
touch "$made" "$packaged"
say "done; activate it with: . .venv/bin/activate"
