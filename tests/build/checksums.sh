#!/usr/bin/env bash
# checksums.sh COMPILER FLAG...: compiles the checksum program in one command and holds what it computes against checksums.txt.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! command -v "$1" >/dev/null; then
  echo "skipped: $1 is not here"
  exit 77
fi
"$@" -std=c++17 -pthread -DNIBBLE_ALLOW_SLOW -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I "$root/include" "$root/tests/checksums/checksums.cpp" -o "$work/checksums"
"$work/checksums" --check "$root/tests/checksums/checksums.txt"
