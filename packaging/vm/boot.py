#!/usr/bin/env python3
"""Boot a virtual machine that checks The Edge Agent from power on to power off, and print its console.

    boot.py daemon      one program: the daemon, asked over gRPC
    boot.py service     systemd, with the daemon as its service, its worker and itself killed

QEMU emulates every instruction (TCG), so it runs wherever QEMU does and any CPU can be chosen. The disk is a copy that is thrown
away. Knows nothing of what the lines on the console should say: tests/e2e/vm does.
"""

from __future__ import annotations

import argparse
import py_compile
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
DISK_MB = 700
#: What the kernel starts, by machine.
INITS: Mapping[str, str] = {"daemon": "/usr/lib/tea-vm/daemon.sh", "service": "/lib/systemd/systemd"}


class BootFailed(Exception):
    """The machine didn't come to its end; the text holds the end of its console."""


@dataclass(frozen=True)
class Console:
    """What the machine printed."""

    text: str

    def said(self, what: str) -> list[str]:
        """Every ``TEA WHAT: ...`` line's rest, in order."""
        start = f"TEA {what}: "
        lines = [line.strip() for line in self.text.replace("\r", "").splitlines()]
        return [line.removeprefix(start) for line in lines if line.startswith(start)]


def main() -> int:
    """Run the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Boot a machine that checks The Edge Agent.")
    parser.add_argument("machine", choices=sorted(INITS))
    parser.add_argument("--cpu", default="max", help="QEMU's name of a CPU (qemu64 is an old one)")
    parser.add_argument("--timeout-s", type=float, default=1500.0)
    options = parser.parse_args()
    try:
        print(boot(options.machine, cpu=options.cpu, timeout_s=options.timeout_s).text)
    except BootFailed as error:
        print(f"boot.py: {error}", file=sys.stderr)
        return 1
    return 0


def boot(machine: str, *, cpu: str = "max", timeout_s: float = 1500.0) -> Console:
    """Run a machine until it powers itself off. Raises BootFailed, or ImageFailed where its image can't be made."""
    image: Path = runpy.run_path(str(HERE / "image.py"))["ensure_image"]()
    with tempfile.TemporaryDirectory(prefix=".booting-", dir=image.parent) as scratch_name:
        scratch = Path(scratch_name)
        make_disk(image, scratch)
        (scratch / "initrd").write_bytes(initramfs(image))
        command = [
            *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", cpu, "-m", "1024", "-smp", "2"),
            *("-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio"),
            *("-kernel", str(image / "vmlinuz"), "-initrd", str(scratch / "initrd")),
            *("-drive", f"file={scratch / 'disk'},format=raw,if=virtio,cache=unsafe"),
            *("-append", " ".join(kernel_words(machine))),
        ]
        return Console(run_to_end(command, timeout_s))


def kernel_words(machine: str) -> Iterator[str]:
    """The kernel's command line."""
    yield from ("console=ttyS0", "panic=-1", "quiet", "rw", f"tea.init={INITS[machine]}")
    if machine == "service":
        yield from ("systemd.unit=tea-check.target", "systemd.show_status=0", "systemd.log_level=warning")
        yield from ("systemd.mask=systemd-update-done.service", "systemd.mask=ldconfig.service")


def run_to_end(command: list[str], timeout_s: float) -> str:
    """QEMU's output, once the machine is off."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise BootFailed(f"{command[0]} isn't installed; make system-deps") from None
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")[-4000:]
        raise BootFailed(f"the machine wasn't off after {timeout_s:g} s; it last said:\n{said}") from None
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise BootFailed(f"QEMU ended with {done.returncode}:\n{text[-4000:]}")
    return text


def make_disk(image: Path, scratch: Path) -> None:
    """A disk with the image's files, this checkout's package and the guest's scripts."""
    tree = scratch / "tree"
    subprocess.run(
        ["cp", "-al", str(image / "root"), str(tree)], check=True
    )  # links: nothing in it is changed
    packages = next((tree / "opt" / "tea" / "lib").glob("python*/site-packages"))
    shutil.copytree(
        SOURCE / "src" / "the_edge_agent",
        packages / "the_edge_agent",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    if packages.parent.name == f"python{sys.version_info.major}.{sys.version_info.minor}":
        compile_package(packages / "the_edge_agent", tree)
    guest = tree / "usr" / "lib" / "tea-vm"
    shutil.copytree(HERE / "guest", guest)
    for script in (*guest.glob("*.sh"), guest / "initramfs"):
        script.chmod(0o755)
    units = tree / "etc" / "systemd" / "system"
    for unit in guest.glob("tea-check.*"):
        shutil.copy(unit, units)
    with (scratch / "disk").open("wb") as disk:
        disk.truncate(DISK_MB * 1_000_000)
    subprocess.run(
        [_tool("mke2fs"), "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", str(tree), str(scratch / "disk")],
        check=True,
    )  # fmt: skip
    shutil.rmtree(tree)


def compile_package(folder: Path, tree: Path) -> None:
    """Bytecode beforehand: an emulated CPU takes long over it."""
    for file in folder.rglob("*.py"):
        py_compile.compile(
            str(file),
            dfile=f"/{file.relative_to(tree)}",
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def initramfs(image: Path) -> bytes:
    """An archive (cpio, newc) of busybox, the disk's kernel modules and the first program."""
    files = {"init": HERE / "guest" / "initramfs", "bin/busybox": image / "root" / "bin" / "busybox"}
    files |= {f"modules/{module.name}": module for module in sorted((image / "modules").iterdir())}
    entries: list[tuple[str, int, bytes]] = [
        (folder, 0o040755, b"") for folder in ("bin", "dev", "modules", "proc", "root.new")
    ]
    entries += [(name, 0o100755, path.read_bytes()) for name, path in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    archive = bytearray()
    for number, (name, mode, data) in enumerate(entries, start=1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        archive += b"\0" * (-len(archive) % 4) + data
        archive += b"\0" * (-len(archive) % 4)
    return bytes(archive)


def _tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise BootFailed(f"{name} isn't installed; make system-deps")
    return found


if __name__ == "__main__":
    sys.exit(main())
