#!/usr/bin/env bash
# packaging.sh CMAKE VERSION COMPILER: installs nibble into a scratch folder and uses it in each of the ways the README names.
set -euo pipefail

cmake=$1 version=$2
export CXX=$3 CXXFLAGS="-O0 -DNIBBLE_NO_AVX512" # other tests compile all of it
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
}

echo "install, and move what was installed"
quietly "$cmake" -S "$root" -B "$work/nibble" \
  -DNIBBLE_BUILD_TESTS=OFF -DNIBBLE_BUILD_BENCHMARKS=OFF -DNIBBLE_BUILD_EXAMPLES=OFF
quietly "$cmake" --install "$work/nibble" --prefix "$work/installed"
mv "$work/installed" "$work/prefix"
if grep -rn -e "$root/" -e "$work/" -e /usr/ "$work/prefix/share"; then
  echo "FAILED: the package names folders of the machine it was made on"
  exit 1
fi

minor=${version%.*}
echo "find_package(nibble $minor)"
consumer find_package -DCMAKE_PREFIX_PATH="$work/prefix" -DVERSION="$minor"
echo "find_package without cpuinfo"
consumer find_package -DNIBBLE_WITH_CPUINFO=OFF

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

if command -v pkg-config >/dev/null; then
  echo "pkg-config"
  export PKG_CONFIG_PATH=$work/prefix/share/pkgconfig
  [ "$(pkg-config --modversion nibble)" = "$version" ]
  read -ra flags <<<"$(pkg-config --cflags nibble)"
  "$CXX" -std=c++17 -O1 -DNIBBLE_SCALAR_ONLY "${flags[@]}" "$here/readme.cpp" -o "$work/readme"
  "$work/readme"
else
  echo "skipped: pkg-config is not here"
fi
