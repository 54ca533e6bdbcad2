#!/usr/bin/env bash
# Run edge-embed on emulated older processors: tools/old_processor.sh [CPU…]
#
# Needs root, qemu-user (qemu-x86_64-static) and edge-embed installed for PYTHON. CPUs are those of
# 'qemu-x86_64 -cpu help'; Haswell has AVX2 and no VNNI, Nehalem no AVX, core2duo no SSE4.2. What is
# looked at is whether it starts and gives the right vectors, or says why not; speed cannot be judged.
set -euo pipefail
cd "$(dirname "$0")/.."

python=$(realpath -s "$(command -v "${PYTHON:-python3}")")
qemu=$(command -v qemu-x86_64-static || command -v qemu-x86_64)
loader=$(realpath /lib64/ld-linux-x86-64.so.2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" tools/demo_lines.py > "$work/lines.txt"

emulated() { # CPU COMMAND…: the emulator shows the machine's own /proc/cpuinfo, so it is replaced
    local cpu=$1
    shift
    unshare --mount sh -c 'mount --bind "$0" /proc/cpuinfo && exec "$@"' "$work/cpuinfo" \
        timeout "${TIMEOUT:-1800}" "$qemu" -cpu "$cpu" "$@" 2>&1 | { grep -v 'warning: TCG' || true; }
}

failed=0
for cpu in "${@:-Haswell}"; do
    printf '\n== %s (%ss)\n' "$cpu" "$SECONDS"
    # Which instruction sets it has, as the C library finds by asking the processor.
    levels=$("$qemu" -cpu "$cpu" "$loader" --help 2> /dev/null | grep -oE 'x86-64-v[234] \(sup' || true)
    flags='fpu sse sse2'
    [[ $levels == *v2* ]] && flags+=' ssse3 sse4_1 sse4_2 popcnt'
    [[ $levels == *v3* ]] && flags+=' avx avx2 fma'
    [[ $levels == *v4* ]] && flags+=' avx512f avx512bw avx512vl'
    printf 'model name : %s\nflags : %s\n\n' "$cpu" "$flags" > "$work/cpuinfo"
    echo "flags: $flags"
    status=0
    emulated "$cpu" "$python" -m edge_embed info --json > "$work/info" || status=$?
    if [ "$status" != 0 ]; then
        echo "status $status: $(tail -n 1 "$work/info")"
        continue
    fi
    for model in ${MODELS:-edge-embed-small edge-embed-tiny}; do
        emulated "$cpu" "$python" tests/golden.py "$model" || { echo "exit status $?"; failed=1; }
        "$python" -m edge_embed embed -m "$model" -i "$work/lines.txt" -o "$work/here.npy"
        emulated "$cpu" "$python" -m edge_embed embed --no-cache -m "$model" -i "$work/lines.txt" \
            -o "$work/there.npy" || { echo "exit status $?"; failed=1; continue; }
        "$python" tools/demo_lines.py "$work/here.npy" "$work/there.npy" "$model" || failed=1
    done
done
printf '\n== done (%ss)\n' "$SECONDS"
exit "$failed"
