"""Reads what a bundle is asked to hold: agent files with their imports, and the model by name or path.

Nothing is fetched: a model that isn't on this machine is ModelNotFound with the command that would bring it.
"""

from __future__ import annotations

from pathlib import Path

from the_edge_agent.bundle.plan import AgentSource, ModelSource
from the_edge_agent.errors import Problem, WorkflowInvalid
from the_edge_agent.store.catalogue import EMBEDDED_NAME, find_entry
from the_edge_agent.store.locate import ModelQuery, locate_named
from the_edge_agent.workflow.load import load_workflow, parse_workflow

NO_MODEL = "none"
RULE_MODEL = "--model"


def read_agent(path: Path) -> AgentSource:
    """An agent's file and the closure of its imports, checked. Raises WorkflowInvalid."""
    load_workflow(path, allow_code=True)
    text = path.read_text(encoding="utf-8")
    imports: dict[str, str] = {}

    def read_import(relative: str) -> str:
        name = Path(relative).as_posix()
        if Path(relative).is_absolute() or ".." in Path(relative).parts:
            raise WorkflowInvalid(
                (Problem("an import that leads out of the folder can't go into a bundle", str(path)),)
            )
        imports[name] = (path.parent / relative).read_text(encoding="utf-8")
        return imports[name]

    parse_workflow(text, file=str(path), allow_code=True, read_import=read_import)
    return AgentSource(path, path.stem, text, tuple(sorted(imports.items())))


def find_model(name: str, query: ModelQuery) -> ModelSource | None:
    """The model of that name, reference or path; None for ``none``. Raises ModelNotFound, GgufInvalid."""
    if name == NO_MODEL:
        return None
    located = locate_named(name, query, rule=RULE_MODEL)
    entry = find_entry(located.name)
    embedded = located.name == EMBEDDED_NAME
    title = entry.name if entry else located.path.name.removesuffix(".gguf")
    return ModelSource(
        name=title,
        files=located.shards or (located.path,),
        embedded=embedded,
        license=entry.license if entry else "",
        license_url=(entry.license_url or "") if entry else "",
    )
