"""What a node holds inside. Knows nothing of running it."""

from __future__ import annotations

from the_edge_agent.workflow.nodes import Body, DynamicParallel, Node, Steps, Subgraph, WhileLoop


def inner_nodes(body: Body) -> tuple[Node, ...]:
    """What a node holds, whole subgraphs included."""
    match body:
        case Steps():
            return body.steps
        case WhileLoop() | DynamicParallel():
            return body.body
        case Subgraph():
            return body.workflow.nodes
        case _:
            return ()
