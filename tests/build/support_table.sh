#!/usr/bin/env bash
# support_table.sh [--write]: the tables of kernels and backends in docs/support.md and README.md say what the lists of kernels and the headers
# beside the kernel files say; --write puts them there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

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

# digest TABLE: for README.md, one row for each type of weights, by the kernel that multiplies with it.
digest() {
  local weights kernel
  echo "| weights | scalar | avx2 | avx512 | avx512vnni | avx512amx | neon | neon_dotprod | neon_i8mm |"
  echo '|---|---|---|---|---|---|---|---|---|'
  while IFS=: read -r weights kernel; do
    sed -nE "s/^\| ([^|]*, )?$kernel(,[^|]*)? \|/| $weights |/p" <<<"$1" | grep . || {
      echo "$kernel is in no row" >&2
      return 1
    }
  done <<<"int8:gemm_w8
int4, uint4:gemm_w4
ggml's blocks:gemm_blocks_w8
float, half, bfloat16:gemm_f32"
}

# put PAGE HEADING TABLE: the table of the page that begins with the heading is this one.
put() {
  local text
  if [ "$write" = --write ]; then
    text=$(awk -v heading="$2" -v made="$3" 'index($0, heading) == 1 { print made; skip = 1 } skip && !/^\|/ { skip = 0 } !skip' "$1")
    printf '%s\n' "$text" >"$1"
  elif ! grep -A "$(wc -l <<<"$3")" "^$2" "$1" | awk '!/^\|/ { exit } 1' | diff - <(echo "$3"); then
    echo "FAILED: the table in $1 is another; $0 --write puts this one there"
    exit 1
  fi
}

write=${1:-}
made=$(table)
put docs/support.md '| kernels |' "$made"
made=$(digest "$made")
put README.md '| weights |' "$made"
