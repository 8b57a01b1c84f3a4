#!/usr/bin/env bash
# Run a command in this checkout on an emulated 64-bit ARM: scripts/on_arm.sh python3 -m pytest tests/unit/native
#
# The first call makes a root folder of Debian's arm64 packages and of the locked wheels that the C decoder's tests import
# (no torch, no FFCV). It installs nothing: apt works on lists of its own, and the emulator is registered in a user
# namespace that ends with the command. Needs `make setup`, qemu-user-static and Linux 6.7.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PACKAGES=(python3 gcc libc6-dev libjpeg-dev libstdc++6 coreutils dash)
readonly WHEELS=(pytest hypothesis numpy pandas pillow pyarrow pydantic pydantic-settings ruamel-yaml scikit-learn
  simplejpeg tqdm xxhash)
readonly EMULATOR=/usr/lib/binfmt.d/qemu-aarch64.conf # how the kernel knows ARM programs, and what runs them
version=$(cat "$0" requirements.lock | sha256sum | cut -c1-16)
folder="${XDG_CACHE_HOME:-$HOME/.cache}/perennial/arm-$version"

fail() { printf 'on_arm: %s\n' "$*" >&2; exit 69; }

# Debian's packages and what they need, unpacked but not configured: no arm64 program runs yet.
unpack_packages() {
  local state="$folder/apt" root="$folder/root" file
  local apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=
    -o APT::Install-Recommends=0 -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state")
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$root"/{proc,dev,tmp,etc,checkout,wheels} "$root"/usr/{bin,sbin,lib}
  : >"$state/status"
  ln -sfn usr/bin "$root/bin"
  ln -sfn usr/sbin "$root/sbin"
  ln -sfn usr/lib "$root/lib"
  "${apt[@]}" update || fail "apt-get knows no arm64 packages; run: apt-get update"
  "${apt[@]}" --yes --download-only install "${PACKAGES[@]}" >/dev/null || fail "could not download ${PACKAGES[*]}"
  for file in "$state"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$file" | tar --extract --keep-directory-symlink --no-same-owner --directory "$root"
  done
  ln -sf gcc "$root/usr/bin/cc" # Debian links it when gcc is configured
  rm -r "$state"
}

unpack_wheels() {
  local python
  python=$(readlink "$folder/root/usr/bin/python3")
  [ -n "${PIP_INDEX_URL:-}" ] && export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
  .venv/bin/python -m uv pip install --quiet --compile-bytecode --target "$folder/root/wheels" --only-binary :all: \
    --python-platform aarch64-manylinux_2_28 --python-version "${python#python}" --constraints requirements.lock \
    "${WHEELS[@]}" || fail "could not download ${WHEELS[*]} for ARM"
}

[ -e "$EMULATOR" ] || fail "no emulator; run: apt-get install qemu-user-static"
[ -x .venv/bin/python ] || fail "no .venv; run: make setup"
if [ ! -e "$folder/made" ]; then
  printf 'on_arm: making %s (two minutes, 800 MB)\n' "$folder" >&2
  rm -rf "$folder"
  unpack_packages
  unpack_wheels
  touch "$folder/made"
fi

# shellcheck disable=SC2016 # the inner shell expands these
exec unshare --user --map-root-user --mount bash -euc '
  root=$1 emulator=$2
  shift 2
  mount -t tmpfs none "$root/tmp"
  mount -t binfmt_misc none "$root/tmp" 2>/dev/null || {
    echo "on_arm: this kernel registers no emulator in a user namespace; use Linux 6.7 or later" >&2
    exit 69
  }
  cat "$emulator" >"$root/tmp/register"
  mount -t tmpfs none "$root/tmp"
  mount --rbind /proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --bind . "$root/checkout"
  exec chroot "$root" /usr/bin/env --ignore-environment --chdir=/checkout PATH=/usr/bin HOME=/tmp \
    PYTHONPATH=/wheels:/checkout PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis \
    PYTEST_ADDOPTS="-p no:cacheprovider" ASAN_OPTIONS=detect_leaks=0 "$@" # the leak check traces processes, which qemu does not emulate
' on_arm "$folder/root" "$EMULATOR" "$@"
