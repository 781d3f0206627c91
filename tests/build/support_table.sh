#!/usr/bin/env bash
# support_table.sh [--write]: README.md's table of kernels and backends is the one that kernels.inc (what there is), all.hpp, pass.inl and
# integer_pass.inl (what each backend compiles for itself) and gemm_amx.inl give; --write puts it there.
set -euo pipefail
readme=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/README.md
kernels=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../include/nibble/kernels" && pwd)

table() {
  awk -v folder="$kernels/" '
    # The files that a pass includes, other passes and ladders of #if among them.
    function includes(file, of,   line) {
      while ((getline line < (folder file)) > 0)
        if (line ~ /^#include "[a-z0-9_\/]+\.inl"/) {
          split(line, part, "\"")
          of[part[2]] = 1
          includes(part[2], of)
        }
      close(folder file)
    }
    function own(backend, kernel) {
      return !(backend in base) || (backend in integers ? home[kernel] in integer : kernel in tiles)
    }
    function runs_on(backend, kernel) { return own(backend, kernel) ? backend : runs_on(base[backend], kernel) }
    FILENAME ~ /kernels.inc$/ && /^NIBBLE_KERNEL\(/ {
      split($0, part, /[(,) ]+/)
      kernel[++kernels] = part[2]
      arguments[kernels] = part[3]
    }
    FILENAME ~ /all.hpp$/ && /^#define NIBBLE_BACKEND_NAME/ { backend[++backends] = $3 }
    FILENAME ~ /all.hpp$/ && /^#include "integer_pass.inl"/ { integers[backend[backends]] = 1 }
    FILENAME ~ /gemm_amx.inl$/ && /^inline void / { split($3, part, "("); tiles[part[1]] = 1 }
    FILENAME ~ /gemm_amx.inl$/ && /^    t\.[a-z0-9_]+ = gemm_/ { split($1, part, "."); tiles[part[2]] = 1 }
    FILENAME ~ /all.hpp$/ && /^using namespace / { base[backend[backends]] = substr($3, 1, length($3) - 1) }
    END {
      includes("integer_pass.inl", integer)
      includes("pass.inl", whole)
      for (file in whole) {
        while ((getline line < (folder file)) > 0)
          for (k = 1; k <= kernels; ++k)
            if (line ~ "^inline void " kernel[k] "\\(|^NIBBLE_[A-Z_]+\\(" kernel[k] "[,)]")
              home[kernel[k]] = file
        close(folder file)
      }
      printf "| kernels |"
      for (b = 1; b <= backends; ++b)
        printf " %s |", backend[b]
      printf "\n|---|"
      for (b = 1; b <= backends; ++b)
        printf "---|"
      for (k = 1; k <= kernels; ++k) {
        if (!(kernel[k] in home)) {
          print kernel[k] " is defined in no file of a pass" >"/dev/stderr"
          exit 1
        }
        cells = ""
        for (b = 1; b <= backends; ++b)
          cells = cells " | " (own(backend[b], kernel[k]) ? "own" : runs_on(base[backend[b]], kernel[k]))
        if (arguments[k] cells == last) # those that take the same arguments share a row
          printf ", %s", kernel[k]
        else
          printf "%s\n| %s", end, kernel[k]
        last = arguments[k] cells
        end = cells " |"
      }
      print end
    }' "$kernels/kernels.inc" "$kernels/all.hpp" "$kernels/gemm_amx.inl"
}

made=$(table)
if [ "${1:-}" = --write ]; then
  text=$(awk -v made="$made" '/^\| kernels \|/ { print made; skip = 1 } skip && !/^\|/ { skip = 0 } !skip' "$readme")
  printf '%s\n' "$text" >"$readme"
elif ! grep -A "$(wc -l <<<"$made")" '^| kernels |' "$readme" | awk '!/^\|/ { exit } 1' | diff - <(echo "$made"); then
  echo "FAILED: the table in README.md is another; $0 --write puts this one there"
  exit 1
fi
