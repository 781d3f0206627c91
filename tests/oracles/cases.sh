#!/usr/bin/env bash
# cases.sh SCRIPT CASES_PROGRAM NODE_MODULES: has the program write its cases and the script run them with a library of others.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$2" "$work"
NODE_PATH=$3 node "$here/$1" "$work"
