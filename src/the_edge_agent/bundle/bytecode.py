"""Bytecode of the bundle's modules, compiled ahead: the bundle may be read-only, and compiling at each start is slow.

It is never checked against the source (nothing in a bundle changes), and compiled without any path of this machine.
"""

from __future__ import annotations

from pathlib import Path

from the_edge_agent.bundle.workshop import call

_COMPILE = """
import compileall, py_compile, sys
root, folder = sys.argv[1:]
done = compileall.compile_dir(
    folder, maxlevels=50, quiet=2, force=True, stripdir=root, workers=1,
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
)
"""


def compile_folder(python: Path, folder: Path, root: Path) -> None:
    """Write ``__pycache__`` beside every module below ``folder``, with a Python of the bundle's own version.

    A file that is no valid Python (a template that ends in .py) stays uncompiled.
    """
    call([python, "-c", _COMPILE, root, folder])
