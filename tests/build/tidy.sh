#!/usr/bin/env bash
# tidy.sh CLANG_TIDY: the headers and the examples pass the checks of .clang-tidy, and a file with a fault does not. Kernels are only declared here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++17 -Iinclude -Iexamples/gguf -Iexamples/language_model -Iexamples/qat_fashion_mnist -DNIBBLE_EXTERN_KERNELS
  '-DNIBBLE_MODEL_FILE="model.gguf"')

find include/nibble/*/ -maxdepth 1 -name '*.hpp' -not -path '*/backend/dispatch.hpp' -not -path '*/backend/for_each_backend.hpp' |
  sort | sed 's#^include/\(.*\)#\#include <\1>#' >"$work/headers.cpp"
failed=0
for file in "$work/headers.cpp" examples/*/*.cpp; do
  for header in $(sed -nE 's/^#include <((CLI|nlohmann|onnx|ft2build)[^>]*)>.*/\1/p' "$file"); do
    if ! echo "#include <$header>" | c++ -E -x c++ - >/dev/null 2>&1; then
      echo "left out: $file: $header is missing"
      continue 2
    fi
  done
  "$1" --quiet --config-file=.clang-tidy "$file" -- "${flags[@]}" 2>"$work/log" || {
    cat "$work/log"
    failed=1
  }
done

printf 'void f(int* p) { if (p) delete p; }\nint* g() { return 0; }\n' >"$work/fault.cpp"
if "$1" --quiet --config-file=.clang-tidy "$work/fault.cpp" -- -std=c++17 >/dev/null 2>&1; then
  echo "FAILED: a file with faults was passed"
  failed=1
fi
[ $failed = 0 ] && echo "no check of .clang-tidy fails"
exit $failed
