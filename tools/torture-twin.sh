#!/usr/bin/env bash
# The torture must find fault with a module that repairs nothing: torture-twin.sh BUILD_DIR [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/twins.sh
twin "$1" 3 '^torture: .* violations [1-9]' tests/torture/torture.py "${2:-10}"
