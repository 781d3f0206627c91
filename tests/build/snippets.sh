#!/usr/bin/env bash
# snippets.sh COMPILER: every C++ and C example in README.md and docs compiles, and the README's first program runs. A snippet without functions or
# types of its own is put into a function, after snippets.hpp, which declares the names that the texts assume.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
for text in "$here"/../../README.md "$here"/../../docs/*.md; do
  awk -v to="$work/$(basename "$text" .md)" '
    /^```(cpp|c)$/ { file = to "-" ++n "." substr($0, 4); next } /^```$/ { file = "" } file { print >file }' "$text"
done
# standards.sh and packaging.sh compile this program in other ways.
diff "$work/README-1.cpp" "$here/readme.cpp"
"$1" -O2 -std=c++17 -I "$here/../../include" "$here/readme.cpp" -o "$work/readme"
"$work/readme"
for snippet in "$work"/*.cpp; do
  if ! grep -qE '^(#|struct|int main)' "$snippet"; then
    { echo "#include \"$here/snippets.hpp\"" && echo "void snippet() {" && cat "$snippet" && echo "}"; } >"$work/whole"
    mv "$work/whole" "$snippet"
  fi
  "$1" -std=c++17 -fsyntax-only -Wall -Wno-unused -Werror -DNIBBLE_EXTERN_KERNELS -I "$here/../../include" \
    -include cstddef "$snippet"
  count=$((count + 1))
done
for snippet in "$work"/*.c; do
  { cat "$here/snippets.h" && echo "void snippet(void) {" && cat "$snippet" && echo "}"; } >"$work/whole"
  "$1" -x c -std=c99 -fsyntax-only -Wall -Wno-unused -Werror -I "$here/../../include" "$work/whole"
  count=$((count + 1))
done
echo "$count snippets compile"
[ $count -ge 5 ]
