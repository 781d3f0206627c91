#!/usr/bin/env bash
# packaging.sh CMAKE VERSION COMPILER: installs nibble into a scratch folder and uses it in each of the ways that docs/embedding.md names.
# How a compiler and a build system find nibble is what is tested: most consumers compile the scalar backend alone.
set -euo pipefail

cmake=$1 version=$2
export CXX=$3 CXXFLAGS="-O0 -DNIBBLE_ALLOW_SLOW -DNIBBLE_SCALAR_ONLY"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# quietly COMMAND...: shows its output only if it fails.
quietly() {
  if ! "$@" >"$work/log" 2>&1; then
    cat "$work/log"
    echo "FAILED: $*"
    return 1
  fi
}

# consumer NAME OPTION...: configures, builds and runs packaging/ as a project of its own.
consumer() {
  local build=$work/$1
  shift
  quietly "$cmake" -S "$here/packaging" -B "$build" "$@"
  quietly "$cmake" --build "$build"
  "$build/consumer"
  without_proc "$build/consumer"
}

# without_proc PROGRAM: runs it where /proc and /sys are empty, which cpuinfo does not stand.
# shellcheck disable=SC2016
without_proc() {
  if unshare --mount true 2>/dev/null; then
    unshare --mount sh -c 'mount -t tmpfs none /proc && mount -t tmpfs none /sys && exec "$0"' "$1"
  else
    echo "skipped: only root can hide /proc and /sys"
  fi
}

echo "install, and move what was installed"
quietly "$cmake" -S "$root" -B "$work/nibble"
quietly "$cmake" --install "$work/nibble" --prefix "$work/installed"
mv "$work/installed" "$work/prefix"
if grep -rn -e "$root/" -e "$work/" -e /usr/ "$work/prefix/share"; then
  echo "FAILED: the package names folders of the machine it was made on"
  exit 1
fi
[ ! -e "$work/prefix/include/xsimd" ]

minor=${version%.*}
echo "find_package(nibble $minor)"
consumer find_package -DCMAKE_PREFIX_PATH="$work/prefix" -DVERSION="$minor"
echo "find_package without cpuinfo, kernels compiled once"
consumer find_package -DNIBBLE_WITH_CPUINFO=OFF -DNIBBLE_TARGET=nibble::kernels

next=${minor%.*}.$((${minor#*.} + 1))
echo "find_package(nibble $next) is refused"
if "$cmake" -S "$here/packaging" -B "$work/refused" -DCMAKE_PREFIX_PATH="$work/prefix" -DVERSION="$next" >"$work/log" 2>&1; then
  echo "FAILED: version $version was taken for $next"
  exit 1
fi
grep -q "compatible with requested version" <(tr -s '\n ' ' ' <"$work/log")

echo "add_subdirectory"
consumer add_subdirectory -DNIBBLE_SUBDIRECTORY="$root"
if "$cmake" --build "$work/add_subdirectory" --target help | grep -E 'nibble_|install/' | grep -v nibble_kernels; then
  echo "FAILED: nibble's own tests, benchmarks or install rules are part of the consumer's build"
  exit 1
fi

echo "FetchContent"
tar -czf "$work/nibble.tar.gz" -C "$root" CMakeLists.txt cmake include
consumer fetch_content -DNIBBLE_ARCHIVE="$work/nibble.tar.gz"

if command -v pkg-config >/dev/null; then
  echo "pkg-config"
  export PKG_CONFIG_PATH=$work/prefix/share/pkgconfig
  [ "$(pkg-config --modversion nibble)" = "$version" ]
  read -ra flags <<<"$(pkg-config --cflags nibble)"
  # shellcheck disable=SC2086
  "$CXX" -std=c++17 $CXXFLAGS "${flags[@]}" "$here/readme.cpp" -o "$work/readme"
  "$work/readme"
else
  echo "skipped: pkg-config is not here"
fi

if command -v meson >/dev/null; then
  mkdir -p "$work/meson/subprojects"
  cp "$here/packaging/meson.build" "$here/readme.cpp" "$work/meson"
  echo "Meson, nibble installed"
  quietly meson setup "$work/meson/installed" "$work/meson" --wrap-mode=nofallback
  quietly meson compile -C "$work/meson/installed"
  "$work/meson/installed/consumer"
  echo "Meson, nibble a subproject"
  ln -s "$root" "$work/meson/subprojects/nibble"
  quietly meson setup "$work/meson/subproject" "$work/meson" --force-fallback-for=nibble
  quietly meson compile -C "$work/meson/subproject"
  "$work/meson/subproject/consumer"
  meson introspect "$work/meson/subproject" --projectinfo | grep -qF "\"name\": \"nibble\", \"version\": \"$version\""
else
  echo "skipped: meson is not here"
fi

# All of AVX2 from here on, since the point is that xsimd's headers are found: the system's are not, or not needed.
echo "one folder with xsimd's headers, the vendor component"
quietly "$cmake" --install "$work/nibble" --component vendor --prefix "$work/vendor"
vendored=("$CXX" -std=c++17 -O0 -DNIBBLE_NO_AVX512 -isystem "$work/vendor/include")
"${vendored[@]}" "$here/readme.cpp" -o "$work/readme"
"$work/readme"
if "${vendored[@]}" -M "$here/readme.cpp" | grep -E "/(nibble|xsimd)/" | grep -vF "$work/vendor/"; then
  echo "FAILED: these headers are not the vendored ones"
  exit 1
fi

echo "a single header"
"$root/cmake/single_header.sh" "$work/single/nibble/nibble.hpp"
"$CXX" -std=c++17 -O0 -DNIBBLE_NO_AVX512 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I "$work/single" "$here/readme.cpp" -o "$work/readme"
"$work/readme"

echo "a 32-bit target is refused in one line"
if [ "$(uname -m)" = x86_64 ]; then
  ! "$CXX" -m32 -std=c++17 -E -x c++ "$root/include/nibble/core/config.hpp" >/dev/null 2>"$work/log"
  grep -q "needs a 64-bit target" "$work/log"
fi

echo "vcpkg's and Conan's files are drafts, not run; the version alone is checked"
grep -qF "\"version\": \"$version\"" "$root/cmake/packaging/vcpkg/vcpkg.json"
