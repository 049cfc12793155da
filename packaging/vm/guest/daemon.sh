#!/bin/sh
# A whole machine whose only program is the daemon: boots, loads the operational model, answers over gRPC, powers off.
export PATH=/opt/tea/bin:/usr/bin:/bin HOME=/run XDG_RUNTIME_DIR=/run TEA_DATA_DIR=/run/tea-data
exec </dev/null >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
busybox ip link set lo up
echo "TEA booted: $(cut -d' ' -f1 /proc/uptime) s"
echo "TEA version: $(tea --version)"
tea runtime serve --config /usr/lib/tea-vm/runtime.yaml &
daemon=$!
/opt/tea/bin/python /usr/lib/tea-vm/ask.py "What is 2+2?" || tea runtime logs
echo "TEA answered: $(cut -d' ' -f1 /proc/uptime) s"
kill -TERM $daemon
wait $daemon
echo "TEA daemon ended with: $?"
sync
exec busybox poweroff -f
