"""What a child does to itself before anything else: die with its parent, see no network. Linux; elsewhere it says so.

A child also watches its end of the connection to the daemon, which closes when the daemon dies, on every system.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from the_edge_agent.errors import UnsupportedFeature

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel send SIGKILL when the parent is gone; exit at once if it is gone already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def leave_network() -> None:
    """Move this process into a network namespace that has nothing, not even loopback.

    Raises:
        UnsupportedFeature: the system doesn't let it; an offline worker must not run then.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET):
            if libc.unshare(flags) == 0:
                return
    raise UnsupportedFeature(
        "this system gives a worker no network namespace of its own",
        place="offline",
        fix="allow user namespaces, or run the daemon without --offline behind a firewall",
    )
