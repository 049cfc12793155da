"""Runs programs of another machine under QEMU, children too: binfmt_misc in a user namespace of its own (Linux 6.7)."""

from __future__ import annotations

import subprocess
from pathlib import Path

#: The usual magic of AArch64, but for bytes 7 to 15, where an AppImage has a mark of its own.
_ENTER = r"""
set -eu
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff'
printf '%s' ":tea-aarch64:M::$magic:$mask:/usr/libexec/qemu-binfmt/aarch64-binfmt-P:OPF" \
  > /proc/sys/fs/binfmt_misc/register
exec "$@"
"""


def run_aarch64(*command: str | Path, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run an AArch64 program to its end."""
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", _ENTER, "enter", *command],
        cwd=home,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home), **environ},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1_200, check=False,
    )  # fmt: skip
