#!/usr/bin/env python3
"""Make the system that the virtual machines run: a Debian tree, a kernel, and The Edge Agent with its libraries in /opt/tea.

    image.py            print the folder, made unless it is in the cache

Packages come from the machine's own apt sources, are checked by apt, and are unpacked without being configured: no chroot, no
scripts of theirs, seconds instead of minutes. Python's packages come from requirements/bundle.lock with their hashes, libllama
from packaging/llama/build.py with every CPU variant. The result is kept in $XDG_CACHE_HOME/the-edge-agent/vm/KEY; an entry is
complete or absent. Doesn't know what will be tested, nor the package's own source: ``boot.py`` adds that fresh every time.
"""

from __future__ import annotations

import hashlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
LOCK = SOURCE / "requirements" / "bundle.lock"
PYTHON_VERSION = "3.11"

#: What the guest needs; apt adds what those need. The first line is Essential, which nothing depends on by name.
PACKAGES = (
    *("base-files", "base-passwd", "dash", "libc-bin", "util-linux", "coreutils", "sed", "grep"),
    *(
        "systemd",
        f"python{PYTHON_VERSION}",
        "libgomp1",
        "libstdc++6",
        "busybox-static",
        "linux-image-cloud-amd64",
    ),
)
#: In the closure of the above, and of no use in a guest.
LEFT_OUT = re.compile(r"linux-(image|base)|initramfs|klibc|libklibc|logsave|adduser|cpio$|dpkg$|debconf$")
MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
)
#: Where the distribution's packages expect links, since /usr was merged.
MERGED = ("bin", "lib", "lib64", "sbin")


class ImageFailed(Exception):
    """The image can't be made; the text says what to do."""


def main() -> int:
    """Run the command line. Returns the exit code."""
    try:
        print(ensure_image())
    except ImageFailed as error:
        print(f"image.py: {error}", file=sys.stderr)
        return 1
    return 0


def ensure_image() -> Path:
    """The folder with ``vmlinuz``, ``modules/`` and ``root/``. An interrupted build leaves nothing behind. Raises ImageFailed."""
    build: dict[str, Any] = runpy.run_path(str(SOURCE / "packaging" / "llama" / "build.py"))
    try:
        plan = build["resolve_plan"]("lib", "dispatch", "none")
        library = build["ensure_entry"](plan, os.cpu_count() or 1)
    except build["BuildFailed"] as error:
        raise ImageFailed(str(error)) from None
    parts = (Path(__file__).read_bytes(), LOCK.read_bytes(), plan.key.encode())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    entry = Path(base) / "the-edge-agent" / "vm" / hashlib.sha256(b"\0".join(parts)).hexdigest()[:24]
    if entry.is_dir():
        return entry
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=entry.parent) as scratch_name:
        scratch = Path(scratch_name)
        ready = scratch / "ready"
        ready.mkdir()
        unpack_system(download_packages(scratch / "apt"), ready)
        install_python(ready / "root" / "opt" / "tea", library)
        compile_python(ready / "root")
        ready.chmod(0o755)
        ready.rename(entry)
    return entry


def download_packages(scratch: Path) -> list[Path]:
    """The packages and all that they depend on, downloaded and checked by apt with a state of its own."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    (scratch / "state" / "status").touch()
    apt = [
        *(
            "apt-get",
            "-qq",
            "-o",
            f"Dir::State={scratch}/state",
            "-o",
            f"Dir::State::status={scratch}/state/status",
        ),
        *(
            "-o",
            f"Dir::Cache={scratch}/cache",
            "-o",
            f"APT::Sandbox::User={_user()}",
            "-o",
            "Debug::NoLocking=1",
        ),
        *("-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64"),
    ]
    run([*apt, "update"])
    run([*apt, "install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES])
    return sorted((scratch / "cache" / "archives").glob("*.deb"))


def unpack_system(debs: Sequence[Path], ready: Path) -> None:
    """The packages' files as ``root/``, the kernel as ``vmlinuz`` and ``modules/``."""
    root, kernel = ready / "root", ready / "kernel"
    root.mkdir()
    kernel.mkdir()
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for deb in debs:
        if not LEFT_OUT.match(deb.name.partition("_")[0]):
            extract(deb, root)
        elif deb.name.startswith("linux-image-"):
            extract(deb, kernel)
    finish_system(root)
    shutil.copy2(next(kernel.glob("boot/vmlinuz-*")), ready / "vmlinuz")
    (ready / "modules").mkdir()
    for name in MODULES:
        shutil.copy2(next(kernel.rglob(f"{name}.ko")), ready / "modules")
    shutil.rmtree(kernel)


def extract(deb: Path, folder: Path) -> None:
    """Unpack a package through the links that stand for /bin, /lib and /sbin."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as reading:
        tar = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(folder), "-f", "-"]
        done = subprocess.run(tar, stdin=reading.stdout, check=False)
    if reading.returncode != 0 or done.returncode != 0:
        raise ImageFailed(f"{deb.name} can't be unpacked")


def finish_system(root: Path) -> None:
    """The little that the packages' scripts would have done and that is needed."""
    masters = root / "usr" / "share" / "base-passwd"
    shutil.copy2(masters / "passwd.master", root / "etc" / "passwd")
    shutil.copy2(masters / "group.master", root / "etc" / "group")
    (root / "etc" / "hostname").write_text("tea\n")
    (root / "etc" / "machine-id").write_text("")
    (root / "usr" / "bin" / "python3").unlink(missing_ok=True)
    (root / "usr" / "bin" / "python3").symlink_to(f"python{PYTHON_VERSION}")
    for folder in (
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/zoneinfo",
        "usr/share/info",
    ):
        shutil.rmtree(root / folder, ignore_errors=True)
    run(["ldconfig", "-r", str(root)])


def install_python(prefix: Path, library: Path) -> None:
    """A virtual environment of the guest's Python, made by hand: packages, bindings, libllama, ``bin/tea``."""
    packages = prefix / "lib" / f"python{PYTHON_VERSION}" / "site-packages"
    packages.mkdir(parents=True)
    run([
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-compile", "--no-deps"),
        *("--require-hashes", "--only-binary=:all:", "--python-version", PYTHON_VERSION, "--implementation", "cp"),
        *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64", "--platform", "any"),
        *("--target", str(packages), "-r", str(LOCK)),
    ])  # fmt: skip
    with zipfile.ZipFile(next(library.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    libraries = prefix / "lib" / "tea-llama"
    libraries.mkdir()
    for file in library.iterdir():
        if file.suffix != ".whl":
            shutil.copy2(file, libraries / file.name, follow_symlinks=False)
    (prefix / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {PYTHON_VERSION}\n")
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").symlink_to(f"/usr/bin/python{PYTHON_VERSION}")
    tea = prefix / "bin" / "tea"
    tea.write_text(
        "#!/opt/tea/bin/python\nimport sys\n\nfrom the_edge_agent.cli.main import main\n\nsys.exit(main())\n"
    )
    tea.chmod(0o755)


def compile_python(root: Path) -> None:
    """Bytecode beforehand, where this Python writes the guest's: an emulated CPU takes long over it."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHON_VERSION:
        folders = [root / "usr" / "lib" / f"python{PYTHON_VERSION}", root / "opt" / "tea" / "lib"]
        run([
            *(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(root), "-p", "/", *map(str, folders)),
        ])  # fmt: skip


def run(command: Sequence[str]) -> None:
    """Run quietly; on failure show the end of what was said."""
    print("+", " ".join(command[:4]), "...", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except FileNotFoundError:
        raise ImageFailed(f"{command[0]} isn't installed; make system-deps") from None
    if done.returncode != 0:
        raise ImageFailed(
            f"{command[0]} failed with {done.returncode}:\n" + "\n".join(done.stdout.splitlines()[-20:])
        )


def _user() -> str:
    import getpass

    return getpass.getuser()


if __name__ == "__main__":
    sys.exit(main())
