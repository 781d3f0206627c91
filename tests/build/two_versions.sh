#!/usr/bin/env bash
# two_versions.sh COMPILER NM: a program of two libraries, each with another version of nibble inside. Both versions work, each says which it
# is, and they share no function: of one name the linker would keep one.
set -euo pipefail

cxx=$1 nm=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The other version: a copy under another number, as an older release would have it.
mkdir "$work/other"
cp -r "$here/../../include/nibble" "$work/other/nibble"
config=$work/other/nibble/core/config.hpp
sed -i -E 's/^(#define NIBBLE_VERSION_MAJOR) .*/\1 99/; s/^(#define NIBBLE_VERSION_NAMESPACE) .*/\1 v99/' "$config"

cat >"$work/version.cpp" <<'CPP'
#include <nibble/nibble.hpp>

const char* VERSION() { return NIBBLE_VERSION_STRING; }
int CODE()
{
    const float x[] = {1.0f}, scale[] = {0.5f};
    std::int8_t q = 0;
    const nibble::status s = nibble::quantize<std::int8_t>({x, 1, 1}, {nibble::granularity::per_tensor, 0, scale}, {&q, 1, 1});
    return s == nibble::status::ok ? q : -1;
}
CPP
cat >"$work/main.cpp" <<'CPP'
#include <cstdio>
#include <cstring>
const char* this_version();
const char* other_version();
int this_code();
int other_code();
int main()
{
    std::printf("%s and %s\n", this_version(), other_version());
    return this_code() == 2 && other_code() == 2 && std::strncmp(this_version(), "99.", 3) != 0 && std::strncmp(other_version(), "99.", 3) == 0
               ? 0
               : 1;
}
CPP
# Without optimisation, so that every inline function is one.
flags=(-std=c++17 -O0 -DNIBBLE_NO_AVX512 -DNIBBLE_ALLOW_SLOW -DNIBBLE_EXTERN_KERNELS -DNIBBLE_DEFINE_KERNELS) # all kernels
"$cxx" "${flags[@]}" -DVERSION=this_version -DCODE=this_code -I "$here/../../include" -c "$work/version.cpp" -o "$work/this.o"
"$cxx" "${flags[@]}" -DVERSION=other_version -DCODE=other_code -I "$work/other" -c "$work/version.cpp" -o "$work/other.o"
"$cxx" -std=c++17 "$work/main.cpp" "$work/this.o" "$work/other.o" -o "$work/program"
"$work/program"

functions() { "$nm" "$1" | sed -nE 's/^[0-9a-f]* [WT] (.*)/\1/p' | grep -i nibble | sort; }
shared=$(comm -12 <(functions "$work/this.o") <(functions "$work/other.o"))
if [ -n "$shared" ]; then
  echo "FAILED: in both versions:"
  c++filt <<<"$shared"
  exit 1
fi
echo "$(functions "$work/this.o" | wc -l) functions of one, $(functions "$work/other.o" | wc -l) of the other, none in common"
