"""A workflow whose every node streams: for somebody who watches. Pure; results stay the same, more tokens are told."""

from __future__ import annotations

from dataclasses import replace

from the_edge_agent.workflow.nodes import DynamicParallel, Node, Steps, Subgraph, WhileLoop, Workflow


def streaming(workflow: Workflow) -> Workflow:
    """The workflow as if each of its nodes, and of those inside them, said ``stream: true``."""
    return replace(workflow, nodes=_all(workflow.nodes))


def _all(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(map(_one, nodes))


def _one(node: Node) -> Node:
    body = node.body
    match body:
        case Steps():
            body = replace(body, steps=_all(body.steps))
        case WhileLoop() | DynamicParallel():
            body = replace(body, body=_all(body.body))
        case Subgraph():
            body = replace(body, workflow=streaming(body.workflow))
        case _:
            pass
    return replace(node, body=body, stream=True)
