#!/usr/bin/env bash
# Build the container image on a Debian of its own, and run it as a device would:
#
#   tools/image.sh [FOLDER]       keeps the Debian roots and the wheels in FOLDER (build/image)
#
# Needs root, podman, buildah, debootstrap, libfaketime, and a Python 3.13 with pip as PYTHON, which
# fetches the wheels; the image itself is built from them alone. RUN_OPTIONS is what 'podman run' needs
# besides, as '--runtime crun --ulimit nofile=1024:1024'.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(realpath -m "${1:-build/image}")
python=${PYTHON:-python3.13}
image=localhost/edge-embed
name=edge-embed-try
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step "the wheels, and two Debian roots: with Python, and with pip besides"
mkdir -p "$folder"
"$python" -m pip wheel -qq -w "$folder/wheels" '.[server]' hatchling
rm "$folder"/wheels/edge_embed-*.whl
tools/debian_root.sh "$folder/debian" trixie amd64 python3 ca-certificates
tools/debian_root.sh "$folder/debian-build" trixie amd64 python3 python3-venv ca-certificates
for root in debian debian-build; do
    tar -C "$folder/$root" -c . | podman import -q - "localhost/edge-$root"
done

step "build, from the wheels alone"
buildah bud -q --isolation chroot --format docker -f docs/deploy/Containerfile \
    --build-arg BASE=localhost/edge-debian --build-arg BUILD_BASE=localhost/edge-debian-build \
    --build-arg PIP_OPTIONS='--no-index --find-links /wheels' -v "$folder/wheels:/wheels:ro" \
    -t "$image" .
podman images --format '{{.Repository}} {{.Size}}' | grep -E '/edge-(embed|debian) '

work=$(mktemp -d)
clean_up() {
    podman rm -f -t 0 "$name" > /dev/null 2>&1 || true
    podman secret rm edge-embed-keys > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
cp -r models/edge-embed-albert "$work/model"
echo a-secret-key | podman secret create edge-embed-keys - > /dev/null
mkdir -m 0777 "$work/socket" "$work/cache"
limits=(--read-only --network none --memory 512m --memory-swap 512m --cpus 1 --user 12345:12345
    --cap-drop all --security-opt no-new-privileges -v "$work/model:/model:ro"
    -v "$work/socket:/socket" -v "$work/cache:/var/cache/edge-embed" --secret edge-embed-keys,mode=0444)
read -ra options <<< "${RUN_OPTIONS:-}"
limits+=("${options[@]}")

step "no pip, no compiler, no source left behind"
podman run --rm --no-healthcheck "${limits[@]}" --entrypoint sh "$image" -c \
    'ls /source /root/.cache /opt/pip 2> /dev/null; command -v gcc cc pip; test -z "$(find / -xdev -name "*.whl" -o -xdev -name pip -type d 2> /dev/null)"' |
    { ! grep . ; }

step "a quota of one processor: one thread"
podman run --rm --no-healthcheck "${limits[@]}" --entrypoint /opt/edge-embed/bin/edge-embed "$image" \
    info -m /model --json | grep -E '"(processors|INFERENCE_NUM_THREADS|model cache)"'

step "serve: numbered user, read-only root, no network, 512 MB, key as a secret"
podman run -d --name "$name" "${limits[@]}" "$image" --model default=/model \
    --api-keys /run/secrets/edge-embed-keys --unix-socket /socket/http > /dev/null 2>&1
tools/image_requests.py "$work/socket/http" a-secret-key
podman top "$name" user pid nlwp 2> /dev/null || true
grep -E 'VmHWM|Uid' "/proc/$(podman inspect "$name" --format '{{.State.Pid}}')/status"

step "the largest requests, eight at once, in 512 MB: refused, not killed"
tools/image_requests.py "$work/socket/http" a-secret-key large
podman inspect "$name" --format '{{.State.Status}}, killed for memory: {{.State.OOMKilled}}' |
    tee "$work/state"
grep -q 'running, killed for memory: false' "$work/state"

step "kill -9, five times"
for _ in 1 2 3 4 5; do
    podman kill -s KILL "$name" > /dev/null
    podman wait "$name" > /dev/null
    podman start "$name" > /dev/null 2>&1
    tools/image_requests.py "$work/socket/http" a-secret-key again
done

step "SIGTERM while a request is at work"
started=$SECONDS
tools/image_requests.py "$work/socket/http" a-secret-key podman stop -t 40 "$name" 2> /dev/null
podman inspect "$name" --format 'exit status {{.State.ExitCode}}, killed for memory: {{.State.OOMKilled}}' | tee "$work/state"
grep -q 'exit status 0, killed for memory: false' "$work/state"
echo "stopped within $((SECONDS - started + 1)) s"
podman logs "$name"
podman rm "$name" > /dev/null 2>&1

step "health check over TCP, as the image states it"
podman run -d --name "$name" "${limits[@]}" "$image" > /dev/null 2>&1
for _ in $(seq 30); do podman healthcheck run "$name" > /dev/null 2>&1 && break; sleep 0.5; done
podman healthcheck run "$name" && echo healthy
podman rm -f -t 0 "$name" > /dev/null 2>&1

step "sixty rounds of kill -9 under load, in the image: server, clients and a writer of its index"
inside=(-v "$PWD/tools:/tools:ro" --entrypoint /opt/edge-embed/bin/python3)
# The index on a volume: what is in the image's /tmp is part of the 512 MB.
mkdir -m 0777 "$work/volume"
podman run --rm --no-healthcheck "${limits[@]}" "${inside[@]}" -v "$work/volume:/volume" \
    -e TMPDIR=/volume "$image" \
    /tools/survival.py --model edge-embed-tiny | tail -n 3

step "in the image: a full disk, a read-only one, a clock that jumps"
podman run --rm --no-healthcheck "${options[@]}" --privileged --network none --user 0 "${inside[@]}" \
    -v "$work/model:/model:ro" -v /usr/lib/x86_64-linux-gnu/faketime:/usr/lib/x86_64-linux-gnu/faketime:ro \
    "$image" /tools/hardships.py disk clock --model /model
step "done"
