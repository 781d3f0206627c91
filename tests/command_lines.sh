#!/usr/bin/env bash
# command_lines.sh BUILD: the programs of examples/ and benchmarks/ refuse at once, and in words, what they cannot do. Those that were not built
# are left out. (The program nibble has nibble_program.sh.)
set -euo pipefail
build=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
touch "$folder/file" "$folder/empty"
mkdir "$folder/read"
failed=0

# refuses WORDS PROGRAM ARGUMENT...: within seconds, with these words on stderr, and without having made anything.
refuses() {
  local words=$1 program=$build/$2 said before code=0
  shift 2
  [ -x "$program" ] || return 0
  before=$(find "$folder")
  said=$(cd "$folder" && timeout 20 "$program" "$@" 2>&1 >/dev/null) || code=$?
  if [ $code = 0 ] || [ $code -ge 124 ]; then # 124: too slow, above: a signal
    echo "FAILED: $program $*: ends with $code: $said"
    failed=1
  elif ! grep -qF -- "$words" <<<"$said"; then
    echo "FAILED: $program $*: '$said' does not have '$words'"
    failed=1
  elif [ "$(find "$folder")" != "$before" ]; then
    echo "FAILED: $program $*: made $(find "$folder")"
    failed=1
  fi
}

demo=examples/language_model/nibble_language_model
for wrong in -5 0 3x "" 99999999999999999999; do
  refuses "--windows takes a whole number" $demo --windows "$wrong"
done
refuses ": not a folder" $demo --output "$folder/file"
refuses "there is no text in $folder/none" $demo --text "$folder/none"
if command -v bible >/dev/null; then
  refuses "cannot read $folder/read: Is a directory" $demo --model "$folder/read"
  refuses "empty is empty" $demo --model "$folder/empty"
fi
refuses "options: --output FOLDER" $demo --what 3

refuses "Is a directory" examples/embedding/nibble_embedding "$folder/read"
refuses "No such file or directory" examples/embedding/nibble_embedding "$folder/none"
NIBBLE_BACKEND=avx3 refuses "NIBBLE_BACKEND=avx3 is ignored: no backend has this name" examples/embedding/nibble_embedding "$folder/none"

qat=examples/qat_fashion_mnist/nibble_qat_fashion_mnist
refuses "--threads takes a whole number from 1 to 1024, not -1" $qat --threads -1
refuses "--seeds takes a whole number" $qat --seeds 3x
refuses "--epochs takes a whole number" examples/int8_cnn_fashion_mnist/nibble_int8_cnn_fashion_mnist --epochs 0

accuracy=examples/accuracy/nibble_accuracy
refuses "--windows takes a whole number" $accuracy --windows -1
refuses "--seeds takes a whole number" $accuracy --seeds 99999999999
refuses ": not a folder" $accuracy --output "$folder/file"

bench=benchmarks/nibble_bench
refuses "--backend avx3: no backend has this name; here are scalar" $bench --backend avx3
refuses "--peer mkl: there are openblas, onednn" $bench --peer mkl
refuses "no product matches --filter 'nothing'" $bench --peer none --filter nothing
refuses "nibble int8 int8" $bench --quick --peer none --filter nothing
refuses "no product matches" $bench --backend scalar --peer none --shape 1024x1024x1024
for wrong in 1x2 1x2x3x4 1x2x3y -1x2x3 99999999x1x1 1x65536x65536 x; do
  refuses "--shape $wrong: write m x n x k" $bench --shape="$wrong"
done
refuses "whole number from 1 to 1024, not -1" $bench --threads=-1
refuses "--rounds takes a whole number" $bench --rounds 2x
refuses ": not a folder" $bench --peer none --quick --output "$folder/file"
refuses "Is a directory" benchmarks/nibble_compare --output "$folder" "$folder/read"
refuses ": not a folder" benchmarks/nibble_compare --output "$folder/file" "$folder/read"
refuses "ROUNDS" benchmarks/nibble_elementwise_ratios -3
refuses "Is a directory" benchmarks/nibble_reduced_range "$folder/read"
refuses "multiples of 512" benchmarks/nibble_gptq_cost -512

[ $failed = 0 ] && echo "all well"
exit $failed
