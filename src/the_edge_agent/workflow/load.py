"""Agent files as workflows: ``parse_workflow`` is pure, ``load_workflow`` reads files. Both refuse with every problem.

A file is read in four steps, each a module: ``compose`` (YAML with places), ``reading`` (tables of keys), ``build``
(frozen values), ``graph`` (how they hang together). Other agent files it names are loaded with it, from its own folder or
below. This module knows nothing of running.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from the_edge_agent.errors import EdgeAgentError, Problem, WorkflowInvalid
from the_edge_agent.workflow.build import build_workflow
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.compose import MAX_BYTES, parse_document
from the_edge_agent.workflow.document import Scalar
from the_edge_agent.workflow.graph import check_graph
from the_edge_agent.workflow.nodes import Workflow
from the_edge_agent.workflow.reading import Reader
from the_edge_agent.workflow.refusals import Refusals
from the_edge_agent.workflow.signatures import Signatures

#: Reads another agent file, by its path relative to the first one's folder, with /.
ReadImport: TypeAlias = Callable[[str], str]

MAX_FILES = 50
MAX_IMPORT_DEPTH = 10


def parse_workflow(
    text: str,
    *,
    file: str = "<text>",
    actions: Signatures = BUILTIN,
    allow_code: bool = False,
    read_import: ReadImport | None = None,
) -> Workflow:
    """The workflow of ``text``; ``file`` is its name in messages.

    ``actions`` are the actions it may use, ``allow_code`` admits ``run: |``, ``read_import`` reads the files it
    imports. Raises WorkflowInvalid with every problem of every file.
    """
    loading = _Loading(file, actions, allow_code, read_import)
    workflow = loading.parse(text, "", ())
    if workflow is None or loading.refusals:
        raise WorkflowInvalid(loading.problems())
    return workflow


def load_workflow(
    path: str | os.PathLike[str], *, actions: Signatures = BUILTIN, allow_code: bool = False
) -> Workflow:
    """The workflow of a file, and of those it imports. Raises WorkflowInvalid with every problem."""
    file = os.fspath(path)
    try:
        text = _read_text(Path(file))
    except WorkflowInvalid:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WorkflowInvalid(
            (Problem(f"the file can't be read: {reason}", file, "check the path"),)
        ) from error
    folder = Path(file).parent

    def read_import(relative: str) -> str:
        inner = folder / relative
        if not inner.resolve().is_relative_to(folder.resolve()):
            raise WorkflowInvalid(
                (Problem("it leads out of the folder", str(inner), "keep it beside this file"),)
            )
        return _read_text(inner)

    return parse_workflow(text, file=file, actions=actions, allow_code=allow_code, read_import=read_import)


def _read_text(path: Path) -> str:
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise WorkflowInvalid(
            (Problem(f"the file has more than {MAX_BYTES:,} bytes", str(path), "move data out of it"),)
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        raise WorkflowInvalid(
            (Problem("this isn't UTF-8", f"{path}:{line}:{column}", "save the file as UTF-8"),)
        ) from error


class _Loading:
    """One load: the first file and all it imports, each read once."""

    def __init__(
        self, file: str, actions: Signatures, allow_code: bool, read_import: ReadImport | None
    ) -> None:
        self.file = file
        self.folder = os.path.dirname(file)  # noqa: PTH120 - a name in messages, not always a path
        self.actions = actions
        self.allow_code = allow_code
        self.read_import = read_import
        self.refusals: list[Refusals] = []
        self.loaded: dict[str, Workflow | None] = {}

    def problems(self) -> tuple[Problem, ...]:
        """What every file is refused for, the first file's problems first."""
        return tuple(problem for refusals in reversed(self.refusals) for problem in refusals.sorted())

    def parse(self, text: str, relative: str, around: tuple[str, ...]) -> Workflow | None:
        """The workflow of one file; ``relative`` is its path, empty for the first, ``around`` the files that import it."""
        file = os.path.join(self.folder, relative) if relative else self.file  # noqa: PTH118
        refusals = Refusals(file)
        reader = Reader(refusals)
        inner_digests: list[str] = []

        def load_other(value: Scalar, path: str) -> Workflow | None:
            workflow = self._import(refusals, value, path, relative, (*around, relative))
            if workflow is not None:
                inner_digests.append(workflow.digest)
            return workflow

        root = parse_document(text, refusals)
        default_name = Path(file).stem if file != "<text>" else "agent"
        workflow = None
        if root is None and not refusals.found:
            refusals.add_at(f"{file}:1:1", "the file is empty", "write nodes: with at least one node")
        if root is not None:
            workflow = build_workflow(
                reader,
                root,
                file=file,
                text=text,
                default_name=default_name,
                actions=self.actions,
                allow_code=self.allow_code,
                load_other=load_other,
            )
        if workflow is not None:
            edges = check_graph(workflow.nodes, workflow.edges, refusals.add_at)
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
            for inner in inner_digests:
                digest.update(inner.encode())
            workflow = replace(workflow, edges=edges, digest=digest.hexdigest())
        if refusals.found:
            self.refusals.append(refusals)
        return workflow

    def _import(
        self, refusals: Refusals, value: Scalar, path: str, relative: str, around: tuple[str, ...]
    ) -> Workflow | None:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(relative), path))
        if path.startswith("/") or target.startswith("..") or "\\" in path or "\0" in path or ":" in path:
            refusals.add(
                value, f"{path[:100]!r} leads out of the folder", "keep the file beside this one or below"
            )
            return None
        if target in around or (not any(around) and target == posixpath.basename(self.file)):
            refusals.add(value, f"{path[:100]!r} imports itself in a circle", "break the circle")
            return None
        if target in self.loaded:
            return self.loaded[target]
        if self.read_import is None:
            refusals.add(value, f"{path[:100]!r} can't be read here", "load the workflow from a file")
            return None
        if len(around) > MAX_IMPORT_DEPTH or len(self.loaded) >= MAX_FILES:
            refusals.add(
                value, f"more than {MAX_FILES} files, or {MAX_IMPORT_DEPTH} deep", "import fewer files"
            )
            return None
        self.loaded[target] = None
        try:
            text = self.read_import(target)
        except (OSError, KeyError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            refusals.add(value, f"{path[:100]!r} can't be read: {reason}", "check the path")
            return None
        except EdgeAgentError as error:
            refusals.add(value, f"{path[:100]!r} can't be read: {error.what}", error.fix)
            return None
        self.loaded[target] = self.parse(text, target, around)
        return self.loaded[target]
