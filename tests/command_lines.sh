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
refuses "--backends avx3: no backend has this name; here are scalar" $bench --backends avx3
refuses "no peer is called mkl; there are openblas, onednn" $bench --peers mkl
refuses "no peer is called mkl" $bench --without mkl
refuses "Failed to match any benchmarks against regex: nothing" $bench --peers none --benchmark_filter=nothing
refuses "--benchmark_list_tests lists them" $bench --quick --peers none --benchmark_filter=nothing
refuses "is no regular expression" $bench --peers none '--benchmark_filter=('
refuses "Failed to match" $bench --backends scalar --peers none --shape 1024x1024x1024 --benchmark_filter=gemm/
for wrong in 1x2 1x2x3x4 1x2x3y -1x2x3 99999999x1x1 1x65536x65536 x; do
  refuses "--shape $wrong: write m x n x k" $bench --shape="$wrong"
done
refuses "whole number from 1 to 1024, not -1" $bench --threads=-1
refuses "expected to be a 32-bit integer" $bench --benchmark_repetitions=2x
refuses "was not expected" $bench --benchmark_filtr=gemm
refuses "cannot be written" $bench --peers none --quick --benchmark_out="$folder/none/file"

[ $failed = 0 ] && echo "all well"
exit $failed
