#!/usr/bin/env bash
# run.sh FOLDER TARGET SECONDS: fuzzes with fuzz_TARGET in FOLDER, from fresh seeds.
set -euo pipefail
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
"$1/fuzz_seeds" "$corpus"
cd "$corpus"
"$1/fuzz_$2" -max_total_time="$3" -max_len=4096 -verbosity=0 -print_final_stats=1 "$corpus"
