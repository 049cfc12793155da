#!/bin/sh
# Run by systemd in a machine that it started: installs the daemon as its service, kills what can be killed, and looks.
export PATH=/opt/tea/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/check
SOCKET=/run/tea/runtime.sock
mkdir -p $HOME

say() { echo "TEA $*"; }
ask() { /opt/tea/bin/python /usr/lib/tea-vm/ask.py "What is 2+2?"; }
daemon_pid() { systemctl show --property MainPID --value tea-runtime.service; }
worker_pid() {
    tea runtime ps --json --socket $SOCKET |
        /opt/tea/bin/python -c 'import json, sys; print(*(m["pid"] for m in json.load(sys.stdin) if m["phase"] == "ready"))'
}
# until_other COMMAND BEFORE: what COMMAND prints once that is something, and not BEFORE.
until_other() {
    tries=0
    while [ $tries -lt 240 ]; do
        now=$($1 2>/dev/null)
        if [ -n "$now" ] && [ "$now" != 0 ] && [ "$now" != "$2" ]; then
            echo "$now"
            return
        fi
        sleep 0.5
        tries=$((tries + 1))
    done
    echo nothing
}

# What an administrator may write before and beside an installation: it is kept.
mkdir -p /etc/tea /etc/systemd/system/tea-runtime.service.d
cp /usr/lib/tea-vm/runtime.yaml /etc/tea/runtime.yaml
printf '[Service]\nTimeoutStartSec=600\nWatchdogSec=300\n' >/etc/systemd/system/tea-runtime.service.d/slow.conf

tea runtime install --system --tea /opt/tea/bin/tea
say "installed: $?"
say "service: $(systemctl is-active tea-runtime.service), socket: $(systemctl is-active tea-runtime.socket)"
ask

daemon=$(daemon_pid)
worker=$(until_other worker_pid 0)
say "worker's user is root: $(grep -q '^Uid:[[:space:]]0[[:space:]]' "/proc/$worker/status" && echo yes || echo no)"
say "socket's owner: $(stat -c '%U:%G %a' $SOCKET)"
kill -KILL "$worker"
next=$(until_other worker_pid "$worker")
say "killed worker was replaced: $([ "$next" != nothing ] && [ "$next" != "$worker" ] && echo yes || echo no)"
say "daemon stayed: $([ "$(daemon_pid)" = "$daemon" ] && echo yes || echo no)"
ask

kill -KILL "$daemon"
next=$(until_other daemon_pid "$daemon")
say "killed daemon was restarted: $([ "$next" != nothing ] && echo yes || echo no)"
ask
say "orphans: $(test -e "/proc/$worker" && echo yes || echo no)"

tea runtime install --system --tea /opt/tea/bin/tea
say "installed again: $?"
say "daemon was left alone: $([ "$(daemon_pid)" = "$next" ] && echo yes || echo no)"

systemctl stop tea-runtime.service
say "stopped: $(systemctl show --property Result --value tea-runtime.service)"
say "state was kept: $(test -d /var/lib/tea && echo yes || echo no)"
tea runtime ps --socket $SOCKET >/dev/null
while [ "$(systemctl is-active tea-runtime.service)" = activating ]; do sleep 1; done
say "a call to the socket started it: $(systemctl is-active tea-runtime.service)"

cp /etc/tea/runtime.yaml /run/runtime.yaml
echo 'models: 3' >/etc/tea/runtime.yaml
systemctl restart tea-runtime.service 2>/dev/null
sleep 4
say "bad configuration: $(systemctl is-failed tea-runtime.service), restarts: $(systemctl show --property NRestarts --value tea-runtime.service)"
cp /run/runtime.yaml /etc/tea/runtime.yaml

tea runtime uninstall --system
say "uninstalled: $?"
# The guest has no findutils.
left=0
for unit in /etc/systemd/system/tea-runtime.service /etc/systemd/system/tea-runtime.socket; do
  if [ -e "$unit" ]; then left=$((left + 1)); fi
done
say "units left: $left, configuration left: $([ -e /etc/tea/runtime.yaml ] && echo 1 || echo 0)"
say "done"
