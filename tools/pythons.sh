#!/usr/bin/env bash
# Install the base in each Python, from a wheel and without the repository, and check it there:
#
#   tools/pythons.sh python3.10 python3.13 …
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp tests/golden.py "$work"
"$1" -m pip wheel -qq --no-deps -w "$work" .
for python in "$@"; do
    printf '\n== %s (%ss)\n' "$("$python" --version)" "$SECONDS"
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install -qq "$work"/edge_embed-*.whl
    (
        cd "$work"
        unset PYTHONPATH
        venv/bin/python -c 'import numpy, openvino; print("numpy", numpy.__version__, "openvino", openvino.__version__)'
        venv/bin/python golden.py ${MODELS:-edge-embed-small edge-embed-tiny}
        venv/bin/edge-embed demo | grep -E '^[0-9]\. |^ +[0-9]+ queries' | wc -l
    )
    rm -rf "$work/venv"
done
