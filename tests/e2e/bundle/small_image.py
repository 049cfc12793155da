"""A small AppImage around a shell script, made by the same code as the big ones, to try the runtime on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from the_edge_agent.bundle.appimage import write_appimage
from the_edge_agent.bundle.native import RUNTIME_LIBRARIES, RUNTIME_SOURCES, build_runtime, runtime_sysroot
from the_edge_agent.bundle.variants import ARCHITECTURES, Architecture
from the_edge_agent.bundle.workshop import Workshop, open_workshop

X86 = ARCHITECTURES["x86_64"]
SCRIPT = """#!/bin/sh
echo "APPDIR=$APPDIR"
echo "APPIMAGE=$APPIMAGE"
echo "ARGV0=$ARGV0"
echo "OWD=$OWD"
echo "HOME=$HOME"
for word in "$@"; do echo "<$word>"; done
cat "$APPDIR/folder/text"
exit 7
"""


def workshop() -> Workshop:
    return open_workshop(os.environ)


def make_image(
    folder: Path,
    script: str = SCRIPT,
    name: str = "small image.AppImage",
    arch: Architecture = X86,
    more: Mapping[str, bytes] | None = None,
) -> Path:
    """Write the AppImage into the folder; ``more`` files lie beside its own."""
    tree = folder / "tree"
    (tree / "folder" / "deep").mkdir(parents=True)
    (tree / "AppRun").write_text(script)
    (tree / "AppRun").chmod(0o755)
    (tree / "folder" / "text").write_text("text\n")
    (tree / "folder" / "deep" / "model.gguf").write_bytes(b"GGUF" + bytes(range(256)) * 4_000)
    (tree / "link").symlink_to("folder/text")
    for file, content in (more or {}).items():
        (tree / file).write_bytes(content)
    target = folder / name
    write_appimage(tree, build_runtime(workshop(), arch), target, 0)
    return target


def run(image: Path, *arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it with nothing in the environment but what is given."""
    return subprocess.run(
        [image, *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def build_checked_runtime(folder: Path) -> Path:
    """The runtime's own sources under AddressSanitizer and UBSan, which need a dynamic program."""
    shop = workshop()
    headers, libraries = runtime_sysroot(shop, X86)
    target = folder / "runtime-checked"
    subprocess.run(
        [
            "gcc", "-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *headers,
            *(shop.native / source for source in RUNTIME_SOURCES), "-o", target, *libraries, *RUNTIME_LIBRARIES,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return target
