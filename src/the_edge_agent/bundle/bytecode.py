"""Bytecode of the bundle's modules, compiled ahead: the bundle may be read-only, and compiling at each start is slow.

It is never checked against the source (nothing in a bundle changes), and compiled without any path of this machine.
"""

from __future__ import annotations

from pathlib import Path

from the_edge_agent.bundle.workshop import call

_COMPILE = """
import compileall, os, py_compile, sys
root, folder, keep_sources = sys.argv[1:]
keep_sources = keep_sources == "True"
done = compileall.compile_dir(
    folder, maxlevels=50, quiet=2, force=True, stripdir=root, workers=1, legacy=not keep_sources,
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
)
for where, _, names in os.walk(folder):
    for name in names:
        if not keep_sources and name.endswith(".py") and name + "c" in names:
            os.unlink(os.path.join(where, name))
"""


def compile_folder(python: Path, folder: Path, root: Path, *, keep_sources: bool) -> None:
    """Compile every module below ``folder`` with a Python of the bundle's own version: into ``__pycache__``, or in place
    of the source where that isn't kept.

    A file that is no valid Python (a template that ends in .py) stays uncompiled.
    """
    call([python, "-c", _COMPILE, root, folder, str(keep_sources)])
