#!/usr/bin/env bash
# What tools/systemd.sh runs as root in its Debian, after the boot.
set -euo pipefail

step() { printf '\n== %s\n' "$1"; }
get() { curl -sS --max-time 300 -H "Authorization: Bearer ${KEY:-a-secret-key}" "$@"; }
embed() { # print the status; a model that takes over a minute to load is a 503, and one asks again
    local status=503
    while [ "$status" = 503 ]; do
        status=$(get -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' \
            -d '{"input": "a confidential sentence"}' http://127.0.0.1:8080/v1/embeddings)
    done
    echo "$status"
}
expect() { # expect WHAT FOUND WANTED
    echo "$1: $2"
    [ "$2" = "$3" ] || { echo "$1: $2 instead of $3"; journalctl -u edge-embed -n 30 --no-pager; exit 1; }
}
fingerprint() { get http://127.0.0.1:8080/ready | grep -o '"fingerprint":"[0-9a-f]*' | cut -d'"' -f4; }
use() { # use MODEL: swap the link at once
    ln -sfn "/opt/models/$1" /opt/models/default.new
    mv -T /opt/models/default.new /opt/models/default
}
property() { systemctl show -P "$1" edge-embed; }

step "PID 1 and its version"
cat /proc/1/comm
systemctl --version | head -n 1

step "socket activation: the first request starts the service"
use small
systemctl start edge-embed.socket
expect "before it" "$(systemctl is-active edge-embed.service || true)" inactive
expect "the first request" "$(embed)" 200
expect "after it" "$(systemctl is-active edge-embed.service)" active
expect "without a key" "$(KEY=wrong embed)" 401

step "how it is confined"
grep -E '^(Uid|NoNewPrivs|Seccomp|CapBnd|VmHWM):' "/proc/$(property MainPID)/status"
systemd-analyze security edge-embed --no-pager | tail -n 1

step "kill -9, and a request at once"
old=$(property MainPID)
kill -9 "$old"
expect "a request, which waited" "$(embed)" 200
[ "$(property MainPID)" != "$old" ] && echo "answered by another process"
expect "restarts" "$(property NRestarts)" 1

step "another model, in place: copy, doctor, swap, reload; and back"
small=$(fingerprint)
cp -r /opt/models/tiny /opt/models/next
/opt/edge-embed/bin/edge-embed doctor -m /opt/models/next > /root/doctor ||
    { cat /root/doctor; exit 1; }
grep -E 'model|vectors' /root/doctor
use next
systemctl reload edge-embed
for _ in $(seq 600); do [ "$(fingerprint)" != "$small" ] && break; sleep 0.2; done
next=$(fingerprint)
[ "$next" != "$small" ] && echo "fingerprint: ${small:0:12} became ${next:0:12}"
expect "a request" "$(embed)" 200
use small
systemctl reload edge-embed
for _ in $(seq 600); do [ "$(fingerprint)" = "$small" ] && break; sleep 0.2; done
expect "back at" "$(fingerprint)" "$small"

step "a damaged model: refused by doctor, and the server keeps the old one"
cp -r /opt/models/tiny /opt/models/damaged
truncate -s 1000 /opt/models/damaged/openvino/*.bin
/opt/edge-embed/bin/edge-embed doctor -m /opt/models/damaged > /dev/null 2>&1 && exit 1
echo "doctor: status 1"
use damaged
systemctl reload edge-embed
for _ in $(seq 100); do journalctl -u edge-embed | grep -q damaged && break; sleep 0.2; done
expect "a request" "$(embed)" 200
expect "still" "$(fingerprint)" "$small"
use small
systemctl reload edge-embed

step "new keys"
echo another-key > /etc/edge-embed/keys
systemctl restart edge-embed
expect "the new key after a restart" "$(KEY=another-key embed)" 200
expect "the old key" "$(embed)" 401

step "stop"
systemctl stop edge-embed.socket edge-embed.service
expect "result" "$(property Result) $(property ExecMainStatus)" "success 0"

step "the journal"
journalctl -u edge-embed -o cat --no-pager
expect "lines with text of a request, or a key" \
    "$(journalctl -u edge-embed --no-pager | grep -cE 'confidential|secret-key|another-key' || true)" 0
