#!/usr/bin/env bash
# support_table.sh [--write]: docs/support.md's table of kernels and backends says what the lists of kernels and the headers beside the kernel
# files say; --write puts it there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
page=docs/support.md

table() {
  local folder list name arguments file cells last= end=
  echo "| kernels | scalar | avx2 | avx512 | avx512vnni | avx512amx | neon | neon_dotprod | neon_i8mm |"
  printf '|---|---|---|---|---|---|---|---|---|'
  while IFS= read -r list; do
    folder=include/nibble/${list%/*}
    while IFS=', ' read -r name arguments; do
      file=$(grep -lE "^inline void $name\(|^NIBBLE_[A-Z_]+\($name[,)]" "$folder"/*.inl | grep -v /amx.inl) || {
        echo "$name is defined in no kernel file of $folder" >&2
        return 1
      }
      cells=" | own | own | own | avx512 | avx512 | own | neon | neon |"
      if grep -q NIBBLE_OWN_DOT_PRODUCTS "${file%.inl}.hpp"; then
        cells=" | own | own | own | own | avx512vnni | own | own | own |"
        ! grep -q "^inline void $name(" "$folder/amx.inl" || cells=${cells/| avx512vnni |/| own |}
      fi
      if [ "$arguments$cells" = "$last" ]; then # those that take the same arguments share a row
        printf ', %s' "$name"
      else
        printf '%s\n| %s' "$end" "$name"
      fi
      last=$arguments$cells end=$cells
    done < <(sed -nE 's/^NIBBLE_KERNEL\((.*)\)$/\1/p' "include/nibble/$list")
  done < <(sed -nE 's/^#include "(.*)"$/\1/p' include/nibble/all_kernels.inc)
  echo "$end"
}

made=$(table)
if [ "${1:-}" = --write ]; then
  text=$(awk -v made="$made" '/^\| kernels \|/ { print made; skip = 1 } skip && !/^\|/ { skip = 0 } !skip' "$page")
  printf '%s\n' "$text" >"$page"
elif ! grep -A "$(wc -l <<<"$made")" '^| kernels |' "$page" | awk '!/^\|/ { exit } 1' | diff - <(echo "$made"); then
  echo "FAILED: the table in $page is another; $0 --write puts this one there"
  exit 1
fi
