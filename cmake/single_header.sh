#!/usr/bin/env bash
# single_header.sh [FILE]: writes nibble.hpp with everything that it includes as one file, to standard output or FILE. xsimd stays a header of
# its own. Kernel files appear once for each backend, as they are compiled.
set -euo pipefail
[ $# = 0 ] || { mkdir -p "$(dirname "$1")"; exec >"$1"; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."

echo "// nibble as a single header, made by cmake/single_header.sh. Licence: Apache-2.0."
awk '
  function normal(path,   before) {
    do {
      before = path
      sub(/[^\/]+\/\.\.\//, "", path)
    } while (path != before)
    return path
  }
  # depth: how many #if are open around the include.
  function emit(path, depth,   folder, line, part, opened) {
    if (path in once)
      return
    folder = path
    sub(/[^\/]*$/, "", folder)
    opened = depth
    while ((getline line < path) > 0) {
      split(line, part, " ")
      if (line ~ /^#pragma once/) {
        if (depth > 0) {
          print path " is included under a condition, and would be missing where the condition does not hold" >"/dev/stderr"
          failed = 1
        }
        once[path] = 1
      } else if (line ~ /^#define NIBBLE_KERNEL_(FILE|LIST) "/) {
        named[part[2]] = unquoted(part[3]) # what is included by that name, from backend/
      } else if (line ~ /^#include NIBBLE_KERNEL_(FILE|LIST)/) {
        emit(normal(folder named[part[2]]), opened)
      } else if (line ~ /^#include "/) {
        emit(normal(folder unquoted(part[2])), opened)
      } else {
        opened += (line ~ /^# *if/) - (line ~ /^# *endif/)
        print line
      }
    }
    close(path) # kernel files are read again for the next backend
  }
  function unquoted(text) {
    gsub(/"/, "", text)
    return text
  }
  BEGIN {
    print "#pragma once"
    emit("include/nibble/nibble.hpp", 0)
    exit failed
  }'
