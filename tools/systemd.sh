#!/usr/bin/env bash
# Start the units of docs/deploy for real, in a Debian 12 of their own whose PID 1 is systemd:
#
#   tools/systemd.sh [FOLDER]     keeps the Debian root and the wheels in FOLDER (build/systemd)
#
# Needs root, debootstrap, systemd-nspawn (package systemd-container) and pip of a Python 3.11 as
# PYTHON, which fetches the wheels; Debian installs from them alone and runs without a network.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(realpath -m "${1:-build/systemd}")
python=${PYTHON:-python3.11}
root=$folder/debian
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step "a Debian with systemd, and the wheels"
tools/debian_root.sh "$root" bookworm amd64 systemd-sysv dbus python3 python3-venv curl
rm -f "$root"/wheels/edge_embed-*.whl
"$python" -m pip wheel -qq -w "$root/wheels" '.[server]'

step "install"
rm -rf "$root/opt/edge-embed" "$root/opt/models" "$root/var/log/journal"
chroot "$root" python3 -m venv /opt/edge-embed
chroot "$root" sh -c '/opt/edge-embed/bin/pip install -qq --no-index --find-links /wheels \
    "$(echo /wheels/edge_embed-*.whl)[server]"'
mkdir -p "$root/opt/models" "$root/etc/edge-embed" "$root/var/log/journal"
cp -r models/edge-embed-small "$root/opt/models/small"
cp -r models/edge-embed-tiny "$root/opt/models/tiny"
echo a-secret-key > "$root/etc/edge-embed/keys"
chmod 600 "$root/etc/edge-embed/keys"
cp docs/deploy/edge-embed.{service,socket} "$root/etc/systemd/system/"
cp tools/systemd_checks.sh "$root/root/"
cat > "$root/etc/systemd/system/checks.service" <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/bash /root/systemd_checks.sh
ExecStopPost=/bin/systemctl --no-block exit $EXIT_STATUS
StandardOutput=file:/root/checks.log
StandardError=inherit
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../checks.service "$root/etc/systemd/system/multi-user.target.wants/checks.service"

step "boot"
status=0
rm -f "$root/root/checks.log"
systemd-nspawn -q -D "$root" --register=no --keep-unit --private-network --link-journal=no \
    --boot > "$folder/boot.log" 2>&1 || status=$?
cat "$root/root/checks.log" || tail -n 20 "$folder/boot.log"
step "done, status $status"
exit "$status"
