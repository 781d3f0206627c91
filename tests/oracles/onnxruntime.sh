#!/usr/bin/env bash
# onnxruntime.sh CASES_PROGRAM NODE_MODULES: has the program write its models and runs them with onnxruntime.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$1" "$work"
NODE_PATH=$2 node "$here/onnxruntime.js" "$work"
