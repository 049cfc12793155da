"""Pictures of a workflow: a text tree, JSON, Graphviz dot and Mermaid. Pure functions of a Workflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from the_edge_agent.workflow.links import Link, links
from the_edge_agent.workflow.nodes import (
    END,
    START,
    ActionCall,
    DynamicParallel,
    Empty,
    ExpressionBody,
    InlineCode,
    Node,
    Steps,
    Subgraph,
    WhileLoop,
    Workflow,
)

Draw: TypeAlias = Callable[[Workflow], str]


def describe(node: Node) -> str:
    """What a node does, in a few words."""
    body = node.body
    if isinstance(body, ActionCall):
        return body.uses
    if isinstance(body, Steps):
        return f"{len(body.steps)} steps"
    if isinstance(body, InlineCode):
        return "Python code"
    if isinstance(body, ExpressionBody):
        return f"{body.output_key or 'value'} = {body.value.text}"
    if isinstance(body, WhileLoop):
        return f"while {body.condition.text}, at most {body.max_iterations} times"
    if isinstance(body, DynamicParallel):
        return f"for each {body.item_var} of {body.items.text}"
    if isinstance(body, Subgraph):
        return f"subgraph {body.workflow.name}"
    return "routes"


def inner_nodes(node: Node) -> tuple[Node, ...]:
    """The steps inside a node; those of a subgraph are its nodes."""
    body = node.body
    if isinstance(body, Steps):
        return body.steps
    if isinstance(body, (WhileLoop, DynamicParallel)):
        return body.body
    if isinstance(body, Subgraph):
        return body.workflow.nodes
    return ()


def to_text(workflow: Workflow) -> str:
    """A tree for people: nodes with what they do, and where they lead."""
    lines = [workflow.name + (f" {workflow.version}" if workflow.version else "")]
    if workflow.description:
        lines.append(f"  {workflow.description.strip()}")
    for name, fields in (("input", workflow.input_schema), ("output", workflow.output_schema)):
        if fields:
            listed = ", ".join(
                f"{key}: {entry.type}{' (required)' if entry.required else ''}"
                for key, entry in fields.items()
            )
            lines.append(f"  {name}: {listed}")
    outgoing = _outgoing(workflow)
    for node in workflow.nodes:
        lines += _text_node(node, outgoing.get(node.name, ()), "")
    return "\n".join(lines) + "\n"


def _text_node(node: Node, ways: Sequence[Link], indent: str) -> Iterator[str]:
    marks = "".join(
        f" [{mark}]"
        for mark, given in (
            (f"when {node.when.text}" if node.when else "", node.when is not None),
            ("fan_in", node.fan_in),
            (f"retry {node.retry.max_attempts}x", node.retry.max_attempts > 1),
            (f"timeout {node.timeout_s:g} s" if node.timeout_s else "", node.timeout_s is not None),
            ("cached", node.cache_ttl_s is not None),
        )
        if given
    )
    target = node.output or ", ".join(node.outputs)
    yield f"{indent}- {node.name}: {describe(node)}{f' -> {target}' if target else ''}{marks}"
    for inner in inner_nodes(node):
        yield from _text_node(inner, (), indent + "    ")
    for link in ways:
        yield f"{indent}    {_ARROWS[link.kind]} {link.target}{f' if {link.condition}' if link.condition else ''}"


_ARROWS: Mapping[str, str] = {
    "next": "then",
    "goto": "goto",
    "edge": "goto",
    "parallel": "start",
    "fan_in": "meet at",
    "on_error": "else",
}


def _outgoing(workflow: Workflow) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for link in links(workflow.nodes, workflow.edges):
        found.setdefault(link.source, []).append(link)
    return found


def to_json(workflow: Workflow) -> str:
    """Nodes, links and schemas as a JSON object."""
    return json.dumps(as_object(workflow), indent=2, ensure_ascii=False) + "\n"


def as_object(workflow: Workflow) -> dict[str, Any]:
    """What ``to_json`` writes, as a JSON value."""
    return {
        "name": workflow.name,
        "description": workflow.description,
        "version": workflow.version,
        "file": workflow.file,
        "digest": workflow.digest,
        "input": {name: _field(entry) for name, entry in workflow.input_schema.items()},
        "output": {name: _field(entry) for name, entry in workflow.output_schema.items()},
        "nodes": [_object_node(node) for node in workflow.nodes],
        "links": [
            {
                "from": link.source,
                "to": link.target,
                "kind": link.kind,
                **({"if": link.condition} if link.condition else {}),
            }
            for link in links(workflow.nodes, workflow.edges)
        ],
    }


def _field(entry: Any) -> dict[str, Any]:
    return {"type": entry.type, "required": entry.required, "description": entry.description}


def _object_node(node: Node) -> dict[str, Any]:
    kind = _KINDS[type(node.body)]
    found: dict[str, Any] = {"name": node.name, "kind": kind, "does": describe(node), "line": node.place.line}
    if isinstance(node.body, ActionCall):
        found["uses"] = node.body.uses
    if node.output or node.outputs:
        found["outputs"] = [node.output] if node.output else list(node.outputs)
    inner = inner_nodes(node)
    if inner:
        found["nodes"] = [_object_node(entry) for entry in inner]
    return found


_KINDS: Mapping[type[Any], str] = {
    ActionCall: "action",
    Steps: "steps",
    InlineCode: "code",
    ExpressionBody: "expression",
    WhileLoop: "while_loop",
    DynamicParallel: "dynamic_parallel",
    Subgraph: "subgraph",
    Empty: "nothing",
}


def to_dot(workflow: Workflow) -> str:
    """Graphviz dot, for ``dot -Tsvg``."""
    lines = [f"digraph {_quoted(workflow.name)} {{", '  node [shape=box, fontname="sans-serif"];']
    lines += [f"  {_quoted(name)} [shape=circle, label={_quoted(name.strip('_'))}];" for name in (START, END)]
    for node in workflow.nodes:
        lines.append(f"  {_quoted(node.name)} [label={_quoted(node.name, describe(node))}];")
    for link in links(workflow.nodes, workflow.edges):
        style = {"parallel": "bold", "fan_in": "bold", "on_error": "dashed"}.get(link.kind, "solid")
        label = f", label={_quoted(link.condition)}" if link.condition else ""
        lines.append(f"  {_quoted(link.source)} -> {_quoted(link.target)} [style={style}{label}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(*texts: str) -> str:
    return '"' + "\\n".join(_one_line(text).replace("\\", "\\\\").replace('"', '\\"') for text in texts) + '"'


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


def to_mermaid(workflow: Workflow) -> str:
    """A Mermaid flowchart, for Markdown."""
    names = [START, *(node.name for node in workflow.nodes), END]
    ids = {name: f"n{number}" for number, name in enumerate(names)}
    lines = ["flowchart TD"]
    lines += [f"  {ids[name]}(({_escaped(name.strip('_'))}))" for name in (START, END)]
    lines += [
        f'  {ids[node.name]}["{_escaped(node.name)}<br/>{_escaped(describe(node))}"]'
        for node in workflow.nodes
    ]
    for link in links(workflow.nodes, workflow.edges):
        arrow = {"parallel": "==>", "fan_in": "==>", "on_error": "-.->"}.get(link.kind, "-->")
        label = f'|"{_escaped(link.condition)}"|' if link.condition else ""
        lines.append(f"  {ids[link.source]} {arrow}{label} {ids[link.target]}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    line = _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return line.replace('"', "&quot;").replace("#", "&num;")


#: Every picture by the name of its format.
FORMATS: Mapping[str, Draw] = {"text": to_text, "json": to_json, "dot": to_dot, "mermaid": to_mermaid}


def render_workflow(workflow: Workflow, format_name: str) -> str:
    """The picture in one of FORMATS: text, json, dot or mermaid."""
    return FORMATS[format_name](workflow)
