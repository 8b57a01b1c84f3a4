#!/usr/bin/env bash
# Set Perennial up on a bare Debian or Ubuntu with git and make: system packages that ffcv and our decoder are built with, a
# virtual environment with the locked dependencies, and this project in it. Safe to run again: what is there is left alone.
#
#   scripts/set_up.sh [line]       everything that `perennial` and `dvc repro` need, in .venv
#   scripts/set_up.sh developers   what checks need besides: linters, type checkers, pytest, the optional packages they test
#   scripts/set_up.sh tests        the same, and a browser
#   scripts/set_up.sh predict      what `perennial predict` needs and no more, in .venv-predict
#
# An environment that holds the developers' packages keeps them, so that `make demo` after `make test` removes none.
#
# WITH=heic,trackers in the environment adds optional packages, extras of pyproject.toml; an environment keeps those it has.
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

readonly FOR=${1:-line}
case $FOR in
  predict) venv=.venv-predict locked=predict ;;
  line) venv=.venv locked=line ;;
  developers | tests) venv=.venv locked=developers ;;
  *) fail "no such set of packages: $FOR; choose one of predict, line, developers, tests (make setup FOR=predict)" ;;
esac
if [ $locked = line ] && compgen -G ".venv/.made-developers-*" >/dev/null; then locked=developers; fi

wanted=${WITH:-}
# shellcheck disable=SC2046,SC2086 # words
extras=$(printf '%s\n' ${wanted//,/ } $(cat $venv/extras 2>/dev/null) | sort -u)
for extra in $extras; do
  grep -q "^$extra = \[" pyproject.toml || fail "no such extra: $extra; pyproject.toml names them: dask, faces, heic, trackers"
done
project=.${extras:+"[${extras//$'\n'/,}]"}
version=$({ cat "$0" requirements.lock pyproject.toml; echo "$extras"; } | sha256sum | cut -c1-16)
made="$venv/.made-$locked-$version"    # the environment is as locked
packaged="$venv/.packages-$FOR-$version" # and so are system packages
is_made() { [ -e "$made" ] && [ -x $venv/bin/python ]; } # the link dangles once the system has a newer Python
is_made && [ -e "$packaged" ] && exit 0

# Write the path of a complete Python, the environment's own if it has one. Every Python on the PATH is looked at: one of
# pyenv may hide the system's, which is the one that the system's packages complete.
find_python() {
  local python lacking first_lacking=""
  while read -r python; do
    lacking=$("$python" -c "$LACKING" </dev/null 2>/dev/null) || continue
    [ "$FOR" = predict ] && lacking=${lacking%python3.*-dev}
    [ -z "$lacking" ] && { echo "$python"; return 0; }
    first_lacking=${first_lacking:-${lacking//$'\n'/ }}
  done < <(echo $venv/bin/python; type -aP python3.11 python3.12 python3.13 python3)
  fail "no Python 3.11, 3.12 or 3.13 with ensurepip and Python.h on the PATH; run:" \
    "apt-get install ${first_lacking:-python3.11-venv python3.11-dev} (or put one there with: uv python install 3.12)"
}

install_system_packages() {
  command -v apt-get >/dev/null || {
    [ "$FOR" = predict ] || pkg-config --exists opencv4 libturbojpeg 2>/dev/null ||
      fail "not a Debian system: install the headers of OpenCV, TurboJPEG and libjpeg, pkg-config and a C++ compiler, then run again"
    return 0
  }
  local wanted=() missing=() name sudo=""
  [ "$FOR" = predict ] || wanted=("${PACKAGES[@]}") # nothing is compiled for it
  (find_python) >/dev/null 2>&1 || wanted+=("${PYTHON_PACKAGES[@]}")
  if [ "$FOR" = tests ] && ! command -v chromium >/dev/null; then
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

# Write the lock up to the end of a set's part, see scripts/write_lock.py.
cut_lock() {
  case $locked in
    predict) sed '/^# line:/,$d' requirements.lock ;;
    line) sed '/^# developers:/,$d' requirements.lock ;;
    developers) cat requirements.lock ;;
  esac
}

# Make .venv as locked: packages of an older lock go.
install_line() {
  local list=.venv/locked.txt
  .venv/bin/python -m uv --version 2>/dev/null | grep -qF "$UV_VERSION" ||
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" 2>/dev/null ||
    fail "could not install uv; run: .venv/bin/python -m pip install uv==$UV_VERSION"
  say "3/4 locked dependencies (7 GB on disk, most of it torch; one minute to ten, by your connection)"
  cut_lock >$list
  [ -n "${PIP_INDEX_URL:-}" ] && export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
  .venv/bin/python -m uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes $list ||
    fail "could not install them; run: .venv/bin/python -m uv pip sync --python .venv/bin/python --require-hashes $list"

  say "4/4 perennial itself, and its decoder"
  local versions="--no-deps"
  [ -z "$extras" ] || versions="--constraint requirements.lock" # the lock has most extras; its tests cover those
  # shellcheck disable=SC2086 # two words
  .venv/bin/python -m uv pip install --quiet --python .venv/bin/python $versions --editable "$project" ||
    fail "could not install the project; run: .venv/bin/python -m uv pip install $versions --editable '$project'"
  .venv/bin/python -m pipeline_lib.native.build || fail "could not compile the decoder; run: .venv/bin/python -m pipeline_lib.native.build"
  # DVC keeps pickles in its site cache, which lies by default in a folder that everybody may write.
  mkdir -p .perennial && chmod 700 .perennial && .venv/bin/python -m dvc config --local core.site_cache_dir "$PWD/.perennial/dvc" ||
    fail "could not tell DVC to keep its own cache here; run: .venv/bin/python -m dvc config --local core.site_cache_dir $PWD/.perennial/dvc"
}

# Make .venv-predict by pip alone, which every environment has: uv would be a sixth of it.
install_predict() {
  local list=.venv-predict/locked.txt pip=".venv-predict/bin/python -m pip --disable-pip-version-check --quiet install"
  say "3/4 locked dependencies (250 MB on disk)"
  cut_lock >$list
  $pip --no-deps --require-hashes --requirement $list || fail "could not install them; run: $pip --require-hashes --requirement $list"
  say "4/4 perennial itself"
  $pip --editable "$project" || fail "could not install the project; run: $pip --editable '$project'"
}

install_system_packages
is_made && { touch "$packaged"; exit 0; }

python=$(find_python)
[ "$python" = $venv/bin/python ] || { say "2/4 virtual environment in $venv, made with $python"; "$python" -m venv --clear $venv; }
if [ "$FOR" = predict ]; then install_predict; else install_line; fi

echo "$extras" >$venv/extras
rm -f $venv/.made-*
touch "$made" "$packaged"
say "done; activate it with: . $venv/bin/activate"
