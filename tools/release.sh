#!/usr/bin/env bash
# Build and check a release: tools/release.sh [FOLDER]      (writes to dist/)
#
# sdist and wheel, the wheel again from the sdist, their contents against git's list, the wheel
# installed into a clean environment, and a bill of materials of that. Uploading is left to a
# person: twine upload dist/edge_embed-*.whl dist/edge_embed-*.tar.gz
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(realpath -m "${1:-dist}")
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step "build: the sdist, and the wheel from the sdist"
"$python" -m venv "$work/tools"
"$work/tools/bin/pip" install -qq build twine cyclonedx-bom
rm -rf "$out"
"$work/tools/bin/python" -m build --outdir "$out" . > "$work/build.log" 2>&1 ||
    { tail -n 20 "$work/build.log" >&2; exit 1; }
"$work/tools/bin/twine" check --strict "$out"/*

step "contents and size"
"$python" tools/release_contents.py "$out"/*.whl "$out"/*.tar.gz

step "installed into a clean environment"
"$python" -m venv "$work/clean"
"$work/clean/bin/python" -m pip install -qq "$out"/*.whl
cp tests/golden.py "$work"
(
    cd "$work"
    clean/bin/edge-embed --version
    clean/bin/edge-embed embed "hello" > /dev/null
    clean/bin/python golden.py edge-embed-small edge-embed-tiny
)

step "bill of materials"
"$work/tools/bin/cyclonedx-py" environment "$work/clean/bin/python" \
    --output-reproducible -o "$out/edge-embed.cdx.json"
"$python" -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["components"]), "components")' \
    "$out/edge-embed.cdx.json"
sha256sum "$out"/*
