#!/usr/bin/env bash
# Run edge-embed on emulated older processors: tools/old_processor.sh [CPU…]
#
# Needs qemu-user (qemu-x86_64-static) and edge-embed installed for PYTHON. CPUs are those of
# 'qemu-x86_64 -cpu help'; Haswell has AVX2 and no VNNI, Nehalem no AVX at all. What is looked at is
# whether it starts and gives the right vectors, or says why not; speed cannot be judged.
set -euo pipefail
cd "$(dirname "$0")/.."

python=$(realpath -s "$(command -v "${PYTHON:-python3}")")
qemu=$(command -v qemu-x86_64-static || command -v qemu-x86_64)
model=${MODEL:-edge-embed-tiny}
for cpu in "${@:-Haswell}"; do
    printf '\n== %s (%ss)\n' "$cpu" "$SECONDS"
    status=0
    timeout "${TIMEOUT:-1200}" "$qemu" -cpu "$cpu" "$python" tests/golden.py "$model" 2>&1 |
        tail -n 5 || status=${PIPESTATUS[0]}
    echo "exit status $status"
done
