"""systemd's two small protocols: readiness and watchdog by datagram, listening sockets by number. No library needed."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

FIRST_DESCRIPTOR = 3


class Notifier:
    """Tells systemd how the daemon is; silent where nobody asked."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watched = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(microseconds) / 1e6 if watched and microseconds.isdigit() else 0.0
        """How often systemd wants to hear; 0 for never."""

    def tell(self, *lines: str) -> None:
        """Send ``READY=1``, ``STATUS=...``, ``STOPPING=1``, ``WATCHDOG=1``. A systemd that is gone is no error."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as telling:
            try:
                telling.sendto("\n".join(lines).encode(), address)
            except OSError:
                return


def activated_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """Listening sockets that systemd opened for this process (socket activation)."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return []
    sockets = [socket.socket(fileno=FIRST_DESCRIPTOR + place) for place in range(int(count))]
    for listening in sockets:
        listening.setblocking(False)
        os.set_inheritable(listening.fileno(), False)
    return sockets
