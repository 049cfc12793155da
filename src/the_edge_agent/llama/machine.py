"""What this machine has for inference: cores, load, memory. Reads; decides nothing.

Does not know what the figures are used for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """``physical_cores`` that this process may use, the load average of the last minute, bytes that can be had, and who
    made the processor, as it calls itself (``AuthenticAMD``); empty where it doesn't say.
    """

    physical_cores: int
    load: float
    available_bytes: int
    cpu_vendor: str = ""


def read_machine(root: Path = Path("/")) -> Machine:
    """Look at this machine; ``root`` is where its /proc and /sys are. Unknown memory is reported as 0."""
    usable = _usable_cpus()
    try:
        load = os.getloadavg()[0]
    except OSError:
        load = 0.0
    return Machine(_physical(usable, root), load, _available(root), _vendor(root))


def _usable_cpus() -> set[int]:
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return set(range(os.cpu_count() or 1))


def _physical(usable: set[int], root: Path) -> int:
    """Cores, not hardware threads: two threads of one core share the units that inference needs."""
    cores: set[str] = set()
    for cpu in usable:
        siblings = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        try:
            cores.add(siblings.read_text(encoding="ascii").strip())
        except OSError:
            return max(1, len(usable))
    return max(1, len(cores))


def _vendor(root: Path) -> str:
    try:
        with (root / "proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            named = (line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id"))
            return next(named, "")
    except OSError:
        return ""


def _available(root: Path) -> int:
    return min((size for size in (_meminfo(root), _cgroup_room(root)) if size > 0), default=0)


def _meminfo(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _sysconf_bytes()
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _sysconf_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _cgroup_room(root: Path) -> int:
    """What the container's limit leaves; 0 where there is none."""
    base = root / "sys/fs/cgroup"
    try:
        limit = (base / "memory.max").read_text(encoding="ascii").strip()
        used = int((base / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
    return max(1, int(limit) - used) if limit.isdigit() else 0
