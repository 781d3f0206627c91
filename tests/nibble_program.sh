#!/usr/bin/env bash
# nibble_program.sh PROGRAM MODEL: what examples/gguf does, and what it leaves behind when it fails.
set -euo pipefail
program=$1 original=$2
[ -x "$program" ] || { echo "NOT RUN: there is no $program (Debian: libcli11-dev)" && exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
model=$folder/model.gguf
cp "$original" "$model"
chmod a-w "$model"

fail() {
  echo "FAILED: $1"
  exit 1
}
# says WORDS COMMAND...: fails, with these words among those on stderr, and leaves nothing but the model.
says() {
  local words=$1 said
  shift
  said=$( ("$@") 2>&1 >/dev/null) && fail "it should have failed: $*"
  grep -qF -- "$words" <<<"$said" || fail "$*: '$said' does not have '$words'"
  [ "$(ls "$folder")" = model.gguf ] || fail "$*: left $(ls "$folder")"
  cmp -s "$original" "$model" || fail "$*: changed its input"
}

limited() { # BLOCKS COMMAND...: as on a disk with so much room
  trap '' XFSZ
  ulimit -f "$1"
  shift
  "$@"
}
says "No such file or directory" "$program" inspect "$folder/none.gguf"
says "does not start with GGUF" "$program" inspect "$0"
says "No such file or directory" "$program" quantize "$model" "$folder/none/out.gguf" --type Q8_0
says "there are Q4_K_M" "$program" quantize "$model" "$folder/out.gguf" --type Q9
says "is the input itself" "$program" quantize "$model" "$model" --type Q8_0
says "File too large" limited 500 "$program" quantize "$model" "$folder/out.gguf" --type Q8_0
says "the prompt is empty" "$program" run "$model" --prompt ""

# The temporary name is the input's.
cp "$original" "$folder/out.gguf.partial"
said=$("$program" quantize "$folder/out.gguf.partial" "$folder/out.gguf" --type Q8_0 2>&1 >/dev/null) && fail "it wrote over its input"
grep -q "exists already" <<<"$said" || fail "'$said'"
cmp -s "$original" "$folder/out.gguf.partial" || fail "it changed its input"
rm "$folder/out.gguf.partial"

"$program" inspect "$model" | grep -q '^21 tensors, 1.836 million numbers' || fail "inspect"
"$program" compare "$model" "$model" | grep -qE '^all +equal' || fail "compare with itself"

# Ctrl-C while it writes. On a fast machine it may be done before: then again.
for _ in $(seq 50); do
  "$program" quantize "$model" "$folder/out.gguf" --type Q2_K --threads 1 >/dev/null &
  until [ -e "$folder/out.gguf.partial" ] || ! kill -0 $! 2>/dev/null; do :; done
  kill -INT $! 2>/dev/null || true
  code=0
  wait $! || code=$?
  [ $code = 0 ] || break
  rm "$folder/out.gguf"
done
[ $code = 130 ] || fail "interrupted: $code"
[ "$(ls "$folder")" = model.gguf ] || fail "interrupted: left $(ls "$folder")"

"$program" quantize "$model" "$folder/out.gguf" --type Q4_K_M >/dev/null
"$program" compare "$model" "$folder/out.gguf" | grep -qE '^all +25\.4' || fail "compare"
prompt="And the LORD said unto "
text=$("$program" run "$folder/out.gguf" --prompt "$prompt" --tokens 40 2>/dev/null)
[ "${text#"$prompt"}" != "$text" ] || fail "run: '$text'"
[ ${#text} -gt 40 ] || fail "run: '$text'"
[ "$(NIBBLE_BACKEND=scalar "$program" run "$folder/out.gguf" --prompt "$prompt" --tokens 40 2>/dev/null)" = "$text" ] ||
  fail "run: another text on another backend"
echo "all well"
