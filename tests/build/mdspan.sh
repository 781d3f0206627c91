#!/usr/bin/env bash
# mdspan.sh FOLDER: std::mdspan with clang 19 and libc++'s headers, which tests/peers unpacks into FOLDER.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++23 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -DNIBBLE_ALLOW_SLOW)
clang++-19 "${flags[@]}" -nostdinc++ -isystem "$1/usr/lib/llvm-19/include/c++/v1" -I "$here/../../include" "$here/mdspan.cpp" -o "$work/mdspan"
"$work/mdspan"
