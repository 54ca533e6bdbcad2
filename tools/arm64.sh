#!/usr/bin/env bash
# Install and use edge-embed on an emulated ARM machine (Debian 12, Python 3.11, arm64):
#
#   tools/arm64.sh [FOLDER]       keeps the Debian root and the wheels in FOLDER (build/arm64)
#
# Needs root, debootstrap, qemu-user-static registered with the kernel (binfmt_misc), and edge-embed
# installed for PYTHON, whose vectors of this machine are compared. Packages and wheels are unpacked
# by this machine; what runs emulated is edge-embed. CPUS are those of 'qemu-aarch64 -cpu help'.
# Where SOURCE names a model folder with an OpenVINO graph of float weights ('edge-embed convert
# --precision fp32' makes one), it is converted, without torch. Speed and memory cannot be judged
# under emulation.
set -euo pipefail

# In namespaces of its own, so that at its end, however that comes, nothing stays mounted or running.
if [ "${NAMESPACE:-}" != own ]; then
    exec env NAMESPACE=own unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
cd "$(dirname "$0")/.."

folder=$(realpath -m "${1:-build/arm64}")
python=${PYTHON:-python3}
root=$folder/debian
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }
inside() { # as CPU ARGUMENTS OF PYTHON…
    local cpu=$1
    shift
    QEMU_CPU=$cpu chroot "$root" env HOME=/tmp HF_HUB_OFFLINE=1 PYTHONPATH=/opt/edge-embed \
        python3 "$@"
}

step "a Debian for arm64"
tools/debian_root.sh "$root" bookworm arm64 python3

step "the package and its wheels for arm64"
"$python" -m pip wheel -qq --no-deps -w "$folder/wheels" .
platforms=(--platform=manylinux2014_aarch64)
for glibc in 17 26 27 28 31 34 35; do platforms+=("--platform=manylinux_2_${glibc}_aarch64"); done
"$python" -m pip download -qq -d "$folder/wheels" --python-version 3.11 --only-binary=:all: \
    "${platforms[@]}" "$(echo "$folder"/wheels/edge_embed-*.whl)[server]" ${SOURCE:+nncf safetensors}
(cd "$folder/wheels" && ls ./*aarch64*)
rm -rf "$root/opt/edge-embed"
mkdir -p "$root/opt/edge-embed"
for wheel in "$folder"/wheels/*.whl; do "$python" -m zipfile -e "$wheel" "$root/opt/edge-embed"; done
# The engine reads the processor's topology there, and fails without.
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"

step "what it finds: processor, threads, rows"
inside max -m edge_embed info

step "demo"
inside max -m edge_embed demo

step "golden values of what ships"
cp tests/golden.py "$root/opt/golden.py"
for model in ${MODELS:-edge-embed-small edge-embed-tiny}; do
    inside max /opt/golden.py "$model"
done

if [ -n "${SOURCE:-}" ]; then
    step "convert"
    rm -rf "$root/opt/source" "$root/opt/converted"
    cp -r "$SOURCE" "$root/opt/source"
    inside max -m edge_embed convert /opt/source -o /opt/converted --precision w8
    inside max -m edge_embed similarity -m /opt/converted "I forgot my password" \
        "How do I reset my login?" "When do you open on Sundays?"
fi

step "serve, and a request"
# The smaller model, for texts of up to 64 tokens: a server compiles every shape before it is ready.
rm -rf "$root/opt/short"
cp -r models/edge-embed-tiny "$root/opt/short"
sed -i 's/"max_seq_length": [0-9]*/"max_seq_length": 64/' "$root/opt/short/sentence_bert_config.json"
grep max_seq_length "$root/opt/short/sentence_bert_config.json"
inside max -m edge_embed serve -m default=/opt/short --unix-socket /opt/http > "$folder/serve.log" 2>&1 &
job=$!
tools/socket_client.py "$root/opt/http" 3600
server=$(pgrep -P "$job") # of this namespace
grep VmHWM "/proc/$server/status"
kill -TERM "$server"
wait "$job" && echo "stopped with status 0"
cat "$folder/serve.log"

step "vectors beside those of this machine, by processor"
"$python" tools/demo_lines.py > "$root/opt/lines.txt"
for cpu in ${CPUS:-cortex-a53 cortex-a72 cortex-a76 neoverse-n1}; do
    for model in ${MODELS:-edge-embed-small edge-embed-tiny}; do
        "$python" -m edge_embed embed -m "$model" -i "$root/opt/lines.txt" -o "$folder/here.npy"
        inside "$cpu" -m edge_embed embed --no-cache -m "$model" -i /opt/lines.txt \
            -o /opt/there.npy || { echo "$cpu: exit status $?"; continue; }
        printf '%-12s ' "$cpu"
        "$python" tools/demo_lines.py "$folder/here.npy" "$root/opt/there.npy" "$model"
    done
done
step "done"
