#!/usr/bin/env bash
# layout_table.sh COMPILER [--write]: docs/layouts.md's table of sections says what gemm/section_layout.hpp says; --write puts it there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
page=docs/layouts.md

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
"$1" -std=c++17 -Iinclude tests/build/layout_table.cpp -o "$work/layout_table"
made=$("$work/layout_table")
if [ "${2:-}" = --write ]; then
  text=$(awk -v made="$made" '/^\| section \|/ { print made; skip = 1 } skip && !/^\|/ { skip = 0 } !skip' "$page")
  printf '%s\n' "$text" >"$page"
elif ! grep -A "$(wc -l <<<"$made")" '^| section |' "$page" | awk '!/^\|/ { exit } 1' | diff - <(echo "$made"); then
  echo "FAILED: the table in $page is another; $0 $1 --write puts this one there"
  exit 1
fi
