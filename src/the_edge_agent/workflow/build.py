"""Turns what was read of a file into the frozen ``Workflow``; checks what one table alone can't know.

Problems are noted, never raised, and reading goes on, so that a file shows all of them at once. This module knows
nothing of YAML text, of other files (it asks for them) or of how nodes hang together (see ``graph``).
"""

from __future__ import annotations

from dataclasses import replace

from the_edge_agent.workflow.build_bodies import LoadOther, entries_of
from the_edge_agent.workflow.build_fields import build_fields, build_initial_state, build_reducers
from the_edge_agent.workflow.build_nodes import NodeBuilder
from the_edge_agent.workflow.build_routes import build_edge
from the_edge_agent.workflow.build_settings import build_config, build_settings
from the_edge_agent.workflow.document import Array, Object, Scalar, Value
from the_edge_agent.workflow.nodes import Workflow
from the_edge_agent.workflow.reading import Reader, Record
from the_edge_agent.workflow.signatures import Signatures


def build_workflow(
    reader: Reader,
    root: Value,
    *,
    file: str,
    text: str,
    default_name: str,
    actions: Signatures,
    allow_code: bool,
    load_other: LoadOther,
) -> Workflow | None:
    """The workflow of one file, or None where the file is no object. Its graph isn't checked yet."""
    record = reader.record(root, "workflow", "the file")
    if record is None:
        return None
    settings = build_settings(reader, record)
    imports = _Imports(reader, record, load_other)
    builder = NodeBuilder(
        reader, actions=actions, allow_code=allow_code, settings=settings, load_other=imports.load
    )
    edges = [edge for value in entries_of(record, "edges") if (edge := build_edge(reader, value)) is not None]
    joins = {edge.fan_in for edge in edges if edge.fan_in}
    nodes = [
        node for value in entries_of(record, "nodes") if (node := builder.node(value, joins)) is not None
    ]
    if record.has("nodes") and isinstance(record.at("nodes"), Array) and not entries_of(record, "nodes"):
        reader.refusals.add(record.at("nodes"), "there are no nodes", "add one: - name: ...")
    state_schema = build_fields(reader, record, "state_schema")
    initial_state = build_initial_state(reader, record, state_schema)
    workflow = Workflow(
        name=record.get("name") or default_name,
        description=record.get("description") or "",
        version=record.get("version") or "",
        file=file,
        text=text,
        digest="",
        nodes=tuple(nodes),
        edges=tuple(edges),
        variables=record.get("variables") or {},
        initial_state=initial_state,
        input_schema=build_fields(reader, record, "input_schema"),
        # The defaults are in the initial state; a null that is written later stays null.
        state_schema={name: replace(entry, has_default=False) for name, entry in state_schema.items()},
        output_schema=build_fields(reader, record, "output_schema"),
        reducers=build_reducers(record),
        settings=settings,
        config=build_config(reader, record, nodes),
    )
    imports.refuse_unused()
    return workflow


class _Imports:
    """The ``imports`` of a file by name, and which of them are used."""

    def __init__(self, reader: Reader, record: Record, load_other: LoadOther) -> None:
        self.refusals = reader.refusals
        self.load_other = load_other
        self.named: dict[str, Scalar] = {}
        self.used: set[str] = set()
        value = record.get("imports")
        for name, entry in value.entries.items() if isinstance(value, Object) else ():
            if isinstance(entry, Scalar) and isinstance(entry.value, str) and entry.value:
                self.named[name] = entry
            else:
                self.refusals.wrong(entry, f"the import {name!r}", "the path of an agent file")

    def load(self, value: Scalar, path: str) -> Workflow | None:
        """The file that ``path`` names, or that is imported under this name; None where it can't be loaded."""
        if path in self.named:
            self.used.add(path)
            return self.load_other(self.named[path], self.named[path].value)
        return self.load_other(value, path)

    def refuse_unused(self) -> None:
        """Note the imports that no subgraph has asked for."""
        for name, value in self.named.items():
            if name not in self.used:
                self.refusals.add(
                    value, f"the import {name!r} is never used", f"use it: subgraph: {name}; or remove it"
                )
