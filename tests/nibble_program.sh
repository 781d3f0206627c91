#!/usr/bin/env bash
# nibble_program.sh PROGRAM MODEL: what examples/gguf does, and what it leaves behind when it fails.
set -euo pipefail
program=$1 original=$2
[ -x "$program" ] || { echo "NOT RUN: $program is missing (Debian: libcli11-dev)" && exit 77; }
program=$(realpath "$program")
folder=$(mktemp -d)
chmod 755 "$folder" # for the user nobody
trap 'rm -rf "$folder"' EXIT
model=$folder/model.gguf
cp "$original" "$model"
chmod a-w "$model"

fail() {
  echo "FAILED: $1"
  exit 1
}
kept() { # what is in the folder, with what is a file's content
  (cd "$folder" && find . | sort && find . -type f -size -100k -exec cksum {} + | sort && stat -c '%n %a %u %g %F' -- *)
}
# says WORDS COMMAND...: fails, with these words among those on stderr, and leaves everything as it was. Nothing holds it up.
says() {
  local words=$1 said before
  shift
  before=$(kept)
  said=$( (timeout 20 "$@") 2>&1 >/dev/null </dev/null) && fail "it should have failed: $*"
  grep -qF -- "$words" <<<"$said" || fail "$*: '$said' does not have '$words'"
  [ "$(kept)" = "$before" ] || fail "$*: left $(diff <(echo "$before") <(kept))"
  cmp -s "$original" "$model" || fail "$*: changed its input"
}
# tells WORDS COMMAND...: succeeds with these words on stderr.
tells() {
  local words=$1 said
  shift
  said=$( (timeout 20 "$@") 2>&1 >/dev/null) || fail "$*: '$said'"
  grep -qF -- "$words" <<<"$said" || fail "$*: '$said' does not have '$words'"
}
mode() { stat -c '%F %a %u %g' "$1"; }

# Small GGUF files: le BYTES NUMBER, text TEXT, and a matrix of f32.
le() {
  local i n=$2
  for ((i = 0; i < $1; ++i, n >>= 8)); do printf '%b' "\\x$(printf %02x $((n & 255)))"; done
}
text() { le 8 ${#1} && printf %s "$1"; }
small_model() { # COLUMNS TOKEN...: blk.0.ffn_up.weight with two rows of zeros, and a vocabulary
  local columns=$1 token header=$folder/header
  shift
  {
    printf GGUF && le 4 3 && le 8 1 && le 8 3
    text general.architecture && le 4 8 && text llama
    text general.name && le 4 8 && text "a model"
    text tokenizer.ggml.tokens && le 4 9 && le 4 8 && le 8 $#
    for token in "$@"; do text "$token"; done
    text blk.0.ffn_up.weight && le 4 2 && le 8 "$columns" && le 8 2 && le 4 0 && le 8 0
  } >"$header"
  cat "$header" && head -c $((31 - ($(stat -c %s "$header") + 31) % 32 + 8 * columns)) /dev/zero
  rm "$header"
}

q=("$program" quantize)

[[ $("$program" --version) =~ ^nibble\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "version"
"$program" inspect "$model" | grep -q '^21 tensors, 1.836 million numbers' || fail "inspect"

# What is read.
says "No such file or directory" "$program" inspect "$folder/none.gguf"
says "does not start with GGUF" "$program" inspect "$0"
mkfifo "$folder/pipe"
mkdir "$folder/directory"
touch "$folder/empty"
printf GGU >"$folder/short"
head -c 3000000 "$model" >"$folder/half"
says "is a directory" "$program" inspect "$folder/directory"
says "is a pipe or a device" "$program" inspect "$folder/pipe"
says "is a pipe or a device" "$program" inspect /dev/null
says "is empty" "$program" compare "$model" "$folder/empty"
says "has 3 bytes, too few for a GGUF file" "$program" run "$folder/short" --prompt x
says "half: the file ends before what its header promises" "${q[@]}" "$folder/half" "$folder/out" --type Q8_0
"$program" inspect /dev/stdin <"$model" >/dev/null || fail "from /dev/stdin"
said=$("$program" inspect /dev/stdin 2>&1 < <(cat "$model")) && fail "it cannot have read a pipe"
grep -qF "is a pipe or a device" <<<"$said" || fail "from a pipe: '$said'"
says "$0 is not an importance matrix" "${q[@]}" "$model" "$folder/out" --type Q8_0 --imatrix "$0"
says "short is not an importance matrix" "${q[@]}" "$model" "$folder/out" --type Q8_0 --imatrix "$folder/short"
says "empty is empty" "${q[@]}" "$model" "$folder/out" --type Q8_0 --imatrix "$folder/empty"
says "model.gguf contains no importance" "${q[@]}" "$model" "$folder/out" --type Q8_0 --imatrix "$model"
{ le 4 1 && text4() { le 4 ${#1} && printf %s "$1"; } && text4 nobody.weight && le 4 1 && le 4 1 && le 4 0; } >"$folder/importance.dat"
says "names no tensor of" "${q[@]}" "$model" "$folder/out" --type Q4_0 --imatrix "$folder/importance.dat"
says "is the importance matrix itself" "${q[@]}" "$model" "$folder/importance.dat" --type Q4_0 --imatrix "$folder/importance.dat"
rm -r "$folder/directory" "$folder/pipe" "$folder/empty" "$folder/short" "$folder/half" "$folder/importance.dat"

# What is asked for.
says "is unknown; known types: Q4_0" "${q[@]}" "$model" "$folder/out.gguf" --type Q9
says "--threads takes a whole number from 1 to 1024, not -3" "${q[@]}" "$model" "$folder/out.gguf" --type Q8_0 --threads -3
says "the prompt is empty" "$program" run "$model" --prompt ""
for wrong in -5 1e3 3x 99999999999999999999; do
  says "--tokens takes a whole number" "$program" run "$model" --prompt x --tokens "$wrong"
done
says "--seed takes a whole number" "$program" run "$model" --prompt x --seed -1
for wrong in nan inf -1 1e-30 11 x; do
  says "it is 0, or from 0.01 to 10, not $wrong" "$program" run "$model" --prompt x --temperature "$wrong"
done
tells "NIBBLE_BACKEND=avx3 is ignored: no backend has this name" env NIBBLE_BACKEND=avx3 "$program" inspect "$model"
[ -z "$(NIBBLE_BACKEND=scalar "$program" inspect "$model" 2>&1 >/dev/null)" ] || fail "a word on a backend that is there"
if [ -w /dev/full ]; then
  for command in "inspect $model" "compare $model $model" "run $model --prompt x --tokens 1000000000"; do
    # shellcheck disable=SC2086
    said=$(timeout 20 "$program" $command 2>&1 >/dev/full) && fail "it cannot have written: $command"
    grep -qF "could not be written" <<<"$said" || fail "$command: '$said'"
  done
fi

# Where it is written.
says "No such file or directory" "${q[@]}" "$model" "$folder/none/out.gguf" --type Q8_0
says "is the input itself" "${q[@]}" "$model" "$model" --type Q8_0
ln -s model.gguf "$folder/link"
ln "$model" "$folder/hard"
says "is the input itself" "${q[@]}" "$model" "$folder/link" --type Q8_0
says "is the input itself" "${q[@]}" "$model" "$folder/hard" --type Q8_0
rm "$folder/link" "$folder/hard"
says "the output has no name" "${q[@]}" "$model" "" --type Q8_0
mkdir "$folder/directory"
says "directory is a directory: name a file in it" "${q[@]}" "$model" "$folder/directory" --type Q8_0
rmdir "$folder/directory"
says "File too large" bash -c 'ulimit -f 500 && exec "$@"' - "${q[@]}" "$model" "$folder/out.gguf" --type Q8_0
# The temporary name is the input's.
cp "$original" "$folder/out.gguf.partial"
says "exists already" "${q[@]}" "$folder/out.gguf.partial" "$folder/out.gguf" --type Q8_0
cmp -s "$original" "$folder/out.gguf.partial" || fail "it changed its input"
rm "$folder/out.gguf.partial"

"${q[@]}" "$model" "$folder/q8" --type Q8_0 2>/dev/null
# A pipe, a device, what stdout is.
mkfifo "$folder/pipe"
cmp "$folder/q8" "$folder/pipe" &
"${q[@]}" "$model" "$folder/pipe" --type q8_0 2>/dev/null
wait $! || fail "through a pipe"
[ -p "$folder/pipe" ] || fail "it replaced a pipe"
rm "$folder/pipe"
"${q[@]}" "$model" /dev/stdout --type q8_0 2>/dev/null | cmp - "$folder/q8" || fail "to /dev/stdout"
"${q[@]}" "$model" /dev/stdout --type q8_0 2>/dev/null >"$folder/out.gguf"
cmp "$folder/out.gguf" "$folder/q8" || fail "to /dev/stdout, which is a file"
if mknod "$folder/null" c 1 3 2>/dev/null && : >"$folder/null"; then
  before=$(mode "$folder/null")
  tells "8.52 bits a weight" "${q[@]}" "$model" "$folder/null" --type Q8_0
  [ "$(mode "$folder/null")" = "$before" ] || fail "it replaced a device: $(mode "$folder/null")"
  mknod "$folder/full" c 1 7
  says "No space left on device" "${q[@]}" "$model" "$folder/full" --type Q8_0
  mknod "$folder/disk" b 7 200
  says "disk is a block device" "${q[@]}" "$model" "$folder/disk" --type Q8_0
  rm "$folder/null" "$folder/full" "$folder/disk"
else
  echo "without device nodes, which root alone makes"
fi
# Links stay, what they name is replaced, with its permissions.
ln -s ../"${folder##*/}"/target "$folder/link"
"${q[@]}" "$model" "$folder/link" --type Q8_0 2>/dev/null
{ [ -L "$folder/link" ] && cmp "$folder/q8" "$folder/target"; } || fail "through a link that leads nowhere yet"
ln -s link "$folder/second"
chmod 640 "$folder/target"
[ "$(id -u)" != 0 ] || chown 1234:56 "$folder/target"
before=$(mode "$folder/target")
"${q[@]}" "$model" "$folder/second" --type Q4_0 2>/dev/null
{ [ -L "$folder/link" ] && [ -L "$folder/second" ] && [ "$(mode "$folder/target")" = "$before" ]; } || fail "through two links: $(ls -l "$folder")"
[ "$(stat -c %s "$folder/target")" = 1056096 ] || fail "through two links: it was not replaced"
(umask 027 && "${q[@]}" "$model" "$folder/new" --type Q4_0 2>/dev/null)
[ "$(stat -c %a "$folder/new")" = 640 ] || fail "a new file does not follow umask"
ln -s loop "$folder/loop"
says "symbolic links" "${q[@]}" "$model" "$folder/loop" --type Q4_0
rm "$folder"/{link,second,target,loop,new,out.gguf}
# What may not be written stays, told before the work.
other=()
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  "${other[@]}" test -r "$model" -a -x "$program" || other=(false)
fi
if [ "$(id -u)" != 0 ] || { [ ${#other[@]} -gt 0 ] && [ "${other[0]}" != false ]; }; then
  mkdir "$folder/mine"
  cp "$folder/q8" "$folder/mine/kept"
  [ "$(id -u)" != 0 ] || chown -R 65534 "$folder/mine"
  chmod 444 "$folder/mine/kept"
  says "cannot write $folder/mine/kept: Permission denied" ${other[@]+"${other[@]}"} "$program" quantize "$model" "$folder/mine/kept" --type Q4_0
  chmod 644 "$folder/mine/kept"
  chmod 555 "$folder/mine"
  says "Permission denied" ${other[@]+"${other[@]}"} "$program" quantize "$model" "$folder/mine/kept" --type Q4_0
  chmod 755 "$folder/mine"
  rm -r "$folder/mine"
fi

# Interrupted while it writes. On a fast machine it may be done before: then again. Ctrl-C in a job of its own, as a terminal has it.
set -m
exec 3>&2 2>/dev/null # where the shell tells of its jobs
for signal in INT TERM HUP; do
  cp "$folder/q8" "$folder/out.gguf"
  for _ in $(seq 50); do
    "$program" quantize "$model" "$folder/out.gguf" --type Q2_K --threads 1 2>"$folder/said" &
    until [ -e "$folder/out.gguf.partial" ] || ! kill -0 $! 2>/dev/null; do :; done
    kill -$signal $! 2>/dev/null || true
    code=0
    wait $! || code=$?
    [ "$code" = 0 ] || break
    cp "$folder/q8" "$folder/out.gguf"
  done
  [ "$code" = $((128 + $(kill -l $signal))) ] || fail "$signal: $code"
  grep -qF "interrupted, the output is as it was" "$folder/said" || fail "$signal: '$(cat "$folder/said")'"
  rm "$folder/said"
  [ "$(ls "$folder" | tr '\n' ' ')" = "model.gguf out.gguf q8 " ] || fail "$signal: left $(ls "$folder")"
  cmp -s "$folder/out.gguf" "$folder/q8" || fail "$signal: changed the output"
done
set +m
exec 2>&3 3>&-
# What was told to ignore a signal goes on: nohup.
for _ in $(seq 50); do
  (trap '' HUP && exec "$program" quantize "$model" "$folder/out.gguf" --type Q2_K --threads 1 2>/dev/null) &
  until [ -e "$folder/out.gguf.partial" ] || ! kill -0 $! 2>/dev/null; do :; done
  kill -HUP $! 2>/dev/null && hung_up=1 || hung_up=0
  wait $! || fail "it did not ignore SIGHUP"
  [ "$hung_up" = 0 ] || break
done
rm "$folder/out.gguf"
# The input becomes shorter while it is read.
for _ in $(seq 50); do
  cp "$original" "$folder/shrinks"
  "$program" quantize "$folder/shrinks" "$folder/out.gguf" --type Q2_K --threads 1 2>"$folder/said" &
  until [ -e "$folder/out.gguf.partial" ] || ! kill -0 $! 2>/dev/null; do :; done
  truncate -s 5000 "$folder/shrinks"
  code=0
  wait $! || code=$?
  [ $code = 0 ] || break
done
{ [ "$code" = 1 ] && grep -qF "became shorter while it was read" "$folder/said"; } || fail "shrinking input: $code, '$(cat "$folder/said")'"
rm "$folder/said" "$folder/shrinks"
[ ! -e "$folder/out.gguf.partial" ] || fail "shrinking input: left a file"

# Rows that no block divides.
small_model 40 a b >"$folder/forty"
small_model 96 a b >"$folder/ninetysix"
for pair in Q8_0:q8_0 IQ4_NL:iq4_nl Q4_K_M:q4_K; do
  tells "f16 instead of ${pair#*:}, whose blocks of" "${q[@]}" "$folder/forty" "$folder/out" --type ${pair%:*}
  tells "do not divide the rows: 1 (blk.0.ffn_up.weight)" "${q[@]}" "$folder/forty" "$folder/out" --type ${pair%:*}
done
for pair in Q2_K:q4_0 Q3_K_S:q4_0 Q4_K_S:q5_0 Q5_K_S:q5_1 Q6_K:q8_0 IQ4_XS:iq4_nl; do
  tells "${pair#*:} instead of" "${q[@]}" "$folder/ninetysix" "$folder/out" --type ${pair%:*}
  "$program" inspect "$folder/out" | grep -q "blk.0.ffn_up.weight *${pair#*:} " || fail "$pair"
done
for type in F16 bf16 F32; do
  tells "1 $(tr '[:upper:]' '[:lower:]' <<<$type)" "${q[@]}" "$folder/forty" "$folder/out" --type $type
  "$program" compare "$folder/forty" "$folder/out" | grep -qE '^all +equal' || fail "$type"
done
"${q[@]}" "$folder/forty" "$folder/out" --type F16 2>/dev/null
"${q[@]}" "$folder/out" "$folder/again" --type F32 2>/dev/null
"$program" inspect "$folder/again" | grep -q "general.file_type *u32 *0$" || fail "the number of F32"
says "q8 is quantized already" "${q[@]}" "$folder/q8" "$folder/again" --type F16
# Another vocabulary, other sizes.
small_model 40 a c >"$folder/other"
said=$("$program" compare "$folder/forty" "$folder/other") && fail "another vocabulary is another model"
grep -qF 'tokenizer.ggml.tokens: 1 of 2 elements differ, the first is element 1: "b" and "c"' <<<"$said" || fail "compare: $said"
said=$("$program" compare "$folder/forty" "$folder/ninetysix") && fail "other sizes are another model"
grep -qF "blk.0.ffn_up.weight: 40 x 2, but 96 x 2 in " <<<"$said" || fail "compare: $said"
rm "$folder"/{forty,ninetysix,other,out,again}

"$program" compare "$model" "$model" | grep -qE '^all +equal' || fail "compare with itself"
tells "tensors: 5 f32, 13 q4_K, 3 q6_K" "${q[@]}" "$model" "$folder/out.gguf" --type q4_k_m
"$program" compare "$model" "$folder/out.gguf" | grep -qE '^all +25\.4' || fail "compare"
prompt="And the LORD said unto "
text=$("$program" run "$folder/out.gguf" --prompt "$prompt" --tokens 40 2>/dev/null)
[ "${text#"$prompt"}" != "$text" ] || fail "run: '$text'"
[ ${#text} -gt 40 ] || fail "run: '$text'"
[ "$(NIBBLE_BACKEND=scalar "$program" run "$folder/out.gguf" --prompt "$prompt" --tokens 40 2>/dev/null)" = "$text" ] ||
  fail "run: another text on another backend"
[ "$("$program" run "$folder/out.gguf" --prompt "$prompt" --tokens 0 2>/dev/null)" = "$prompt" ] || fail "run: no tokens"
echo "all well"
