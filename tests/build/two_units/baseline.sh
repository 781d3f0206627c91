#!/usr/bin/env bash
# baseline.sh OBJDUMP OBJECT...: outside the backends' namespaces, files compiled for baseline x86-64 have no instruction beyond SSE2: none of
# AVX, and none that SSE3 to SSE4.2, POPCNT and BMI added. Lists the functions that do.
set -euo pipefail

objdump=$1
shift
"$objdump" -dC --no-show-raw-insn "$@" | awk '
  /^[0-9a-f]+ <.*>:$/ {
    name = substr($0, index($0, "<") + 1)
    backend = name ~ /::(avx2|avx512|avx512vnni|avx512amx)::|nibble_xsimd_|abi_[01]+(4avx2|6avx512|10avx512vnni|9avx512amx)/ # the last: names that c++filt gives up on
    functions += !backend
    vector += backend
    next
  }
  !backend && /^ +[0-9a-f]+:\t/ {
    split($0, part, "\t")
    split(part[2], word, " ")
    if (word[1] ~ /^v/ && word[1] !~ /^ver[rw]$/ || part[2] ~ /%[yz]mm/ ||
        word[1] ~ /^(pshufb|phadd|phsub|pmaddubsw|pmulhrsw|psign|pabs|palignr|haddp|hsubp|addsubp|lddqu|movddup|movs[hl]dup)/ ||
        word[1] ~ /^(pblend|blend|ptest|pmovsx|pmovzx|pmulld|pmuldq|pminu[wd]|pmaxu[wd]|pmins[bd]|pmaxs[bd]|round[sp][sd]|dpp[sd])/ ||
        word[1] ~ /^(pextr[bdq]|pinsr[bdq]|extractps|insertps|packusdw|pcmpgtq|pcmpeqq|mpsadbw|phmin|pcmp[ei]str|crc32)/ ||
        word[1] ~ /^(popcnt|andn$|bextr|bls|bzhi|pdep|pext|mulx|rorx|sarx|shlx|shrx|lzcnt|tzcnt)/)
      if (!(name in found)) {
        found[name] = 1
        print "FAILED: " word[1] " in " name
        failures++
      }
  }
  END {
    print functions + 0 " functions for the baseline CPU, " vector + 0 " of the backends"
    exit failures > 0 || functions == 0 || vector == 0
  }'
