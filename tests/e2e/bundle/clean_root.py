"""A bare file system to run an artifact in: own namespaces, no network, a minimal /dev, nothing of ours but the artifact."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

#: Run by Python inside fresh namespaces. It changes the root by pivot_root: in a chroot the kernel grants no user
#: namespaces, and a real machine isn't one.
_ENTER = r"""
import ctypes, os, subprocess, sys
root, artifact, place, fuse, home, user, *command = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)

def mount(*words):
    subprocess.run(["mount", *words], check=True)

def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

mount("--make-rprivate", "/")
mount("--bind", root, root)
mount("-t", "tmpfs", "tmpfs", root + "/tmp")
mount("-t", "proc", "proc", root + "/proc")
mount("-t", "tmpfs", "dev", root + "/dev")
for name in ("null", "zero", "random", "urandom"):
    open(root + "/dev/" + name, "w").close()
    mount("--bind", "/dev/" + name, root + "/dev/" + name)
if fuse == "fuse":
    os.mknod(root + "/dev/fuse", 0o020666, os.makedev(10, 229))
    os.chmod(root + "/dev/fuse", 0o666)
os.chmod(root + "/tmp", 0o1777)
os.makedirs(root + "/tmp/home")
os.chown(root + "/tmp/home", 1234, 1234)
os.makedirs(os.path.dirname(root + place), exist_ok=True)
open(root + place, "w").close()
mount("--bind", artifact, root + place)
if home == "ro":
    mount("--bind", root + "/tmp/home", root + "/tmp/home")
    mount("-o", "remount,bind,ro", root + "/tmp/home")
subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
os.chdir(root)
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
checked(libc.syscall(PIVOT_ROOT, b".", b"."))
checked(libc.umount2(b".", 2))
os.chdir("/")
number = int(user)
os.setgroups([])
os.setgid(number)
os.setuid(number)
environ = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/tmp/home"}
os.execvpe(command[0], command, environ)
"""


class Done(NamedTuple):
    """How a program in the root ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class CleanRoot:
    """A root file system, used by one program at a time."""

    path: Path

    def run(
        self,
        artifact: Path,
        *arguments: str,
        place: str = "/tmp/an app/my agent.AppImage",
        fuse: bool = True,
        user: int = 0,
        read_only_home: bool = False,
        through: Sequence[str] = (),
        timeout_s: float = 300,
    ) -> Done:
        """Run the artifact there (behind ``through``, such as an emulator); /tmp is empty before and gone afterwards."""
        done = subprocess.run(
            [
                "unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
                sys.executable, "-c", _ENTER, self.path, artifact, place,
                "fuse" if fuse else "nofuse", "ro" if read_only_home else "rw", str(user),
                *through, place, *arguments,
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)


def cache_folder() -> Path:
    """Where roots are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "the-edge-agent" / "e2e" / "roots"


def debian_root(suite: str) -> CleanRoot:
    """The unpacked packages of a minimal Debian, from the mirror that the machine's apt uses."""
    path = cache_folder() / suite
    if not path.is_dir():
        making = path.with_name(f".{suite}-{os.getpid()}")
        making.parent.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(
                ["debootstrap", "--foreign", "--variant=minbase", suite, making, mirror()],
                check=True, capture_output=True, timeout=900,
            )  # fmt: skip
            if (making / "proc").is_symlink():  # debootstrap in a container borrows the host's
                (making / "proc").unlink()
                (making / "proc").mkdir()
            making.rename(path)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return CleanRoot(path)


def busybox_root() -> CleanRoot:
    """One static busybox and empty folders: no C library, no loader, no Python."""
    path = cache_folder() / "busybox"
    if not path.is_dir():
        making = path.with_name(f".busybox-{os.getpid()}")
        for folder in ("bin", "dev", "proc", "tmp"):
            (making / folder).mkdir(parents=True)
        shutil.copy(shutil.which("busybox") or "/bin/busybox", making / "bin" / "busybox")
        (making / "bin" / "sh").symlink_to("busybox")
        making.rename(path)
    return CleanRoot(path)


def mirror() -> str:
    """The Debian mirror in the machine's own apt sources."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if file.suffix in (".list", ".sources") and file.is_file():
            found = re.search(
                r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+/debian)/?(?:\s|$)", file.read_text(), re.MULTILINE
            )
            if found:
                return found[1]
    raise AssertionError("the apt sources name no Debian mirror")
