#!/usr/bin/env bash
# Set everything up, from a bare Debian or Ubuntu with git and make: system packages that ffcv and our decoder are built with,
# a virtual environment with the locked dependencies, and this project in it. Safe to run again: what is there is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly UV_VERSION=0.13.8
readonly PACKAGES=(g++ pkg-config libopencv-dev libturbojpeg0-dev libjpeg-dev libgl1)
readonly PYTHON_PACKAGES=(python3-venv python3-dev) # complete the system's own Python; added where no complete one is found

# Written by a Python 3.11 to 3.13: the packages it lacks, in Debian's names. ffcv is compiled against the Python of the
# environment, so python3-dev is no help to another Python beside the system's. Any other Python exits with 1.
readonly LACKING='
import importlib.util, os.path, sys, sysconfig
minor = sys.version_info[1]
if not (3, 11) <= sys.version_info < (3, 14):
    sys.exit(1)
if not importlib.util.find_spec("ensurepip"):
    print(f"python3.{minor}-venv")
if not os.path.exists(sysconfig.get_path("include") + "/Python.h"):
    print(f"python3.{minor}-dev")
'

say() { printf 'set-up: %s\n' "$*"; }
fail() { printf 'set-up: %s\n' "$*" >&2; exit 69; }

made=".venv/.made-$(cat "$0" requirements.lock pyproject.toml | sha256sum | cut -c1-16)" # the environment is as locked
packaged="$made${1:-}.packages"                                                            # and so are system packages
is_made() { [ -e "$made" ] && [ -x .venv/bin/python ]; } # the link dangles once the system has a newer Python
is_made && [ -e "$packaged" ] && exit 0

# Write the path of a complete Python, the environment's own if it has one. Every Python on the PATH is looked at: one of
# pyenv may hide the system's, which is the one that the system's packages complete.
find_python() {
  local python lacking first_lacking=""
  while read -r python; do
    lacking=$("$python" -c "$LACKING" </dev/null 2>/dev/null) || continue
    [ -z "$lacking" ] && { echo "$python"; return 0; }
    first_lacking=${first_lacking:-${lacking//$'\n'/ }}
  done < <(echo .venv/bin/python; type -aP python3.11 python3.12 python3.13 python3)
  fail "no Python 3.11, 3.12 or 3.13 with ensurepip and Python.h on the PATH; run:" \
    "apt-get install ${first_lacking:-python3.11-venv python3.11-dev} (or put one there with: uv python install 3.12)"
}

install_system_packages() {
  command -v apt-get >/dev/null || {
    pkg-config --exists opencv4 libturbojpeg 2>/dev/null ||
      fail "not a Debian system: install the headers of OpenCV, TurboJPEG and libjpeg, pkg-config and a C++ compiler, then run again"
    return 0
  }
  local wanted=("${PACKAGES[@]}") missing=() name sudo=""
  (find_python) >/dev/null 2>&1 || wanted+=("${PYTHON_PACKAGES[@]}")
  if [ "${1:-}" = --for-tests ] && ! command -v chromium >/dev/null; then
    if grep -qs '^ID=ubuntu' /etc/os-release; then # its package is a stub that fetches a snap, which no container can run
      say "Ubuntu has no chromium but a snap: tests that drive a browser are skipped until a chromium is on the PATH"
    else
      wanted+=(chromium)
    fi
  fi
  for name in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && { say "1/4 system packages: all there"; return 0; }
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "run as root: apt-get install ${missing[*]}"
    sudo=sudo
  fi
  say "1/4 system packages: installing ${missing[*]} (about a minute)"
  $sudo apt-get update -qq >/dev/null || fail "apt-get update failed; run: ${sudo:+sudo }apt-get update"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "could not install them; run: ${sudo:+sudo }apt-get install ${missing[*]}"
}

install_system_packages "$@"
is_made && { touch "$packaged"; exit 0; }

python=$(find_python)
[ "$python" = .venv/bin/python ] || { say "2/4 virtual environment in .venv, made with $python"; "$python" -m venv --clear .venv; }
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
# DVC keeps pickles in its site cache, which lies by default in a folder that everybody may write.
mkdir -p .perennial && chmod 700 .perennial && .venv/bin/python -m dvc config --local core.site_cache_dir "$PWD/.perennial/dvc" ||
  fail "could not tell DVC to keep its own cache here; run: .venv/bin/python -m dvc config --local core.site_cache_dir $PWD/.perennial/dvc"

rm -f .venv/.made-*
touch "$made" "$packaged"
say "done; activate it with: . .venv/bin/activate"
