"""One exchange with the daemon over its Unix socket, and whatever can go wrong with it as a sentence.

Knows nothing of what is asked.
"""

from __future__ import annotations

import argparse
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from the_edge_agent.settings import Environment

#: What a daemon that is well says at once; one that is frozen must not freeze the operator too.
ANSWER_S = 10.0


def check_unix_sockets() -> None:
    """Raise UnsupportedFeature on a system where the daemon can't be, or be called."""
    import socket

    from the_edge_agent.errors import UnsupportedFeature

    if not hasattr(socket, "AF_UNIX"):
        raise UnsupportedFeature(
            "the daemon needs Unix sockets, which Python doesn't have on this system",
            place="tea runtime",
            fix="use Linux, macOS, WSL or the container; models answer in this process here: tea run, tea chat",
        )


def _socket_path(args: argparse.Namespace) -> Path:
    from the_edge_agent.settings import load_settings

    environment: Environment = load_settings()
    return Path(os.path.abspath(args.socket or environment.runtime_socket))  # noqa: PTH100 - a symlink stays one


def ask_daemon(
    args: argparse.Namespace,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    answer_s: float | None = ANSWER_S,
) -> dict[str, Any]:
    """One exchange over the Unix socket; ``answer_s`` None waits as long as the work takes.

    Raises:
        BackendUnavailable: nobody is there, or it ended or was full before it answered.
        BackendTimeout: somebody is there and says nothing.
        PermissionDenied: the socket is somebody else's.
        EdgeAgentError: the daemon's own.
    """
    import httpx

    from the_edge_agent.backends.runtime_answers import parse_error
    from the_edge_agent.errors import BackendTimeout, BackendUnavailable, PermissionDenied

    check_unix_sockets()
    socket_path = _socket_path(args)
    transport = httpx.HTTPTransport(uds=str(socket_path), verify=False)
    with httpx.Client(
        transport=transport, base_url="http://localhost", timeout=httpx.Timeout(ANSWER_S, read=answer_s)
    ) as client:
        try:
            response = client.request(method, path, json=body)
        except httpx.TimeoutException:
            raise BackendTimeout(
                f"the daemon at {socket_path} is there and doesn't answer",
                place="tea runtime",
                fix="its process is stopped, or stuck: see its log, and end it if it stays so",
            ) from None
        except httpx.ConnectError as error:
            if f"[Errno {errno.EACCES}]" in str(error):
                raise PermissionDenied(
                    f"{socket_path} may not be called by you",
                    place="tea runtime",
                    fix="call as the daemon's user; a system service's may be called by the group tea",
                ) from None
            raise BackendUnavailable(
                f"no daemon answers at {socket_path}",
                place="tea runtime",
                fix="start one with `tea runtime serve`",
            ) from None
        except httpx.TransportError:
            raise BackendUnavailable(
                f"the daemon at {socket_path} ended before it answered",
                place="tea runtime",
                fix="see its log",
            ) from None
    try:
        tree: Any = response.json()
    except ValueError:
        said = (
            f"{response.status_code} {response.text!r:.80}"  # 503 in plain words: all connections are taken
        )
        raise BackendUnavailable(
            f"the daemon answered {said}", place="tea runtime", fix="try again"
        ) from None
    if response.status_code >= 400:
        given: dict[str, Any] = tree.get("error", {})
        raise parse_error(given.get("edge_agent") or {"what": given.get("message")})
    return cast("dict[str, Any]", tree)
