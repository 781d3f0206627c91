# shellcheck shell=bash
# Sourced by the setup scripts: install_packages, update_package_index, say.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "not root, and sudo is missing: cannot run $*"
    return 1
  fi
}

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# An index that cannot be refreshed (a third-party source that is down, no root) is no reason to stop: what follows decides.
index_updated=no
update_package_index() {
  [ $index_updated = no ] || return 0
  index_updated=yes
  as_root apt-get update -qq >&2 || say "apt-get update failed; using the present package index"
}

# install_packages NAME...: installs those that are missing; touches neither apt nor the network if none is.
install_packages() {
  if ! command -v apt-get >/dev/null; then
    say "apt-get is missing; install what corresponds to these Debian packages: $*"
    return 1
  fi
  local name missing=()
  for name in "$@"; do
    is_installed "$name" || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "packages are missing; as root: apt-get install ${missing[*]}"
    return 1
  fi
  say "installing ${missing[*]}"
  update_package_index
  local log
  log=$(mktemp)
  # env, because sudo does not pass the variable on.
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "${missing[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}
