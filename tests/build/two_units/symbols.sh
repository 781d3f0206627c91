#!/usr/bin/env bash
# symbols.sh NM OBJECT OBJECT: the two files may share no function of nibble's, else one of them could end up calling a copy that was compiled
# for the other's CPU. Data (nm's u and V) they do share.
set -euo pipefail

functions() { "$1" -C "$2" | sed -nE 's/^[0-9a-f]* [WT] (nibble::.*)/\1/p' | sort; }

first=$(functions "$1" "$2")
second=$(functions "$1" "$3")
if [ -z "$first" ] || [ -z "$second" ]; then
  echo "FAILED: no function of nibble's was found"
  exit 1
fi
shared=$(comm -12 <(echo "$first") <(echo "$second"))
if [ -n "$shared" ]; then
  echo "FAILED: in both files:"
  echo "$shared"
  exit 1
fi
