"""The texts that make the daemon a systemd service: units, sysusers, tmpfiles, a first configuration. Pure.

``packaging/systemd/`` holds the same texts for those who build packages. Knows nothing of files, of processes or of who installs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Scope = Literal["system", "user"]

MARK = "# Written by `tea runtime install`; changes belong in a drop-in: systemctl edit tea-runtime"
"""The first line of every file that the installer may replace and remove."""

SYSTEM_SOCKET = "/run/tea/runtime.sock"
USER_SOCKET = "%t/tea/runtime.sock"

SYSUSERS = f"""\
{MARK}
# Whoever is in this group may call the daemon through {SYSTEM_SOCKET}. The daemon's own user is made by DynamicUser.
g tea -
"""

TMPFILES = f"""\
{MARK}
d /etc/tea 0755 root root -
d /run/tea 0755 root root -
"""

CONFIG = """\
# The daemon's configuration: `tea runtime check --schema` prints every key, docs/runtime.md explains them.
# `systemctl reload tea-runtime` reads it again while answers go on.
models:
  tiny: {level: operational}   # the embedded model; put the name of a larger one above it

# HTTP's address and port are those of tea-runtime.socket. Keys of a gateway belong in runtime.env beside this file.
grpc: {host: 127.0.0.1, port: 50051}
"""


def service_unit(scope: Scope, command: Sequence[str], config: str, *, appimage: bool = False) -> str:
    """``tea-runtime.service`` that starts ``command`` (``["/usr/bin/tea"]``) with the configuration at ``config``.

    An AppImage mounts itself, so its unit allows what mounting needs.
    """
    start = " ".join(quoted(word) for word in (*command, "runtime", "serve", "--config", config))
    install = (
        "WantedBy=multi-user.target" if scope == "system" else "WantedBy=default.target"
    ) + "\nAlso=tea-runtime.socket\n"
    return f"""\
{MARK}
[Unit]
Description=The Edge Agent: models as a service
Requires=tea-runtime.socket
{"After=network.target" if scope == "system" else "After=basic.target"}

[Service]
Type=notify
NotifyAccess=main
WatchdogSec=30
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
# 2 is a configuration that can't be used: trying again would not help.
RestartPreventExitStatus=2
# The first SIGTERM drains (shutdown_s in the configuration); workers die with the daemon.
KillMode=mixed
TimeoutStartSec=180
TimeoutStopSec=60
# A worker that takes too much memory is restarted by the daemon, which must live on to do so.
OOMPolicy=continue
LimitNOFILE=16384
{_identity(scope)}
{_sandbox(scope, appimage)}
[Install]
{install}"""


def socket_unit(scope: Scope) -> str:
    """``tea-runtime.socket``: sockets that exist before the daemon does and outlive its restarts."""
    path = (
        f"ListenStream={SYSTEM_SOCKET}\nSocketMode=0660\nSocketGroup=tea"
        if scope == "system"
        else f"ListenStream={USER_SOCKET}\nSocketMode=0600\nDirectoryMode=0700"
    )
    return f"""\
{MARK}
[Unit]
Description=The Edge Agent: sockets of the daemon

[Socket]
{path}
ListenStream=127.0.0.1:11435

[Install]
WantedBy=sockets.target
"""


def quoted(word: str) -> str:
    """A word of ExecStart that systemd reads back as it is.

    Raises:
        ValueError: it holds a control character, which has no place in a unit.
    """
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in word):
        raise ValueError(f"{word!r} holds a control character")
    escaped = word.replace("%E/", "\0").replace("%", "%%").replace("\0", "%E/")
    escaped = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return escaped if re.fullmatch(r"[\w%+,./:=@-]+", escaped) else f'"{escaped}"'


def _identity(scope: Scope) -> str:
    if scope == "user":
        return "EnvironmentFile=-%E/tea/runtime.env\n"
    return """
DynamicUser=yes
# Its own socket is one it may call.
SupplementaryGroups=tea
StateDirectory=tea
StateDirectoryMode=0755
Environment=TEA_DATA_DIR=/var/lib/tea
EnvironmentFile=-/etc/tea/runtime.env
"""


def _sandbox(scope: Scope, appimage: bool) -> str:
    lines = [
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "RestrictRealtime=yes",
        "LockPersonality=yes",
        "SystemCallArchitectures=native",
        "UMask=0077",
    ]
    if scope == "user":
        lines += [] if appimage else ["RestrictSUIDSGID=yes", "NoNewPrivileges=yes"]
        return "\n".join(lines) + "\n"
    lines += [
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "# Graphics cards are devices.",
        "PrivateDevices=no",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "ProtectProc=invisible",
        "RestrictSUIDSGID=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "KeyringMode=private",
    ]
    if not appimage:
        lines += [
            "# Namespaces are what --offline takes the network away with.",
            "RestrictNamespaces=user net",
            "SystemCallFilter=@system-service",
            "SystemCallErrorNumber=EPERM",
        ]
    return "\n".join(lines) + "\n"
