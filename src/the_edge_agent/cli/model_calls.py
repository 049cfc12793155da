"""The model calls of a workflow, found without running it: who asks, which model, how many tokens, how often.

Pure: a walk over a frozen Workflow. What only a run can know (a templated model name, the length of a list) is said to
be unknown, never guessed. It knows nothing of which model will answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from the_edge_agent.workflow.links import links
from the_edge_agent.workflow.nodes import (
    END,
    START,
    ActionCall,
    DynamicParallel,
    Node,
    Steps,
    Subgraph,
    WhileLoop,
    Workflow,
)
from the_edge_agent.workflow.template import Template
from the_edge_agent.workflow.tree import Constant, ListTree, ObjectTree, Tree

PREFIX = "llm."
#: Without a tokenizer at hand: English text has about four characters a token.
CHARS_PER_TOKEN = 4
UNKNOWN = "(decided by the run)"
#: Actions that put text into a vector; they answer with no tokens.
EMBEDDING = frozenset({"llm.embed", "llm.similarity"})


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One place in the file that asks a model.

    ``model``, ``model_path``, ``backend``, ``level`` and ``privacy`` are the node's own words (None: not said; UNKNOWN:
    a template). ``max_tokens`` None means until the context is full. ``repeats`` is how often it can happen in one pass,
    None where only the run knows; ``because`` says what repeats it. ``prompt_tokens`` estimates the text that stands in
    the file; ``templated`` says that more comes from the state.
    """

    node: str
    place: str
    action: str
    model: str | None
    model_path: str | None
    backend: str | None
    level: str | None
    privacy: str | None
    max_tokens: int | None
    prompt_tokens: int
    templated: bool
    repeats: int | None
    because: str

    @property
    def answers(self) -> bool:
        """Whether it generates tokens."""
        return self.action not in EMBEDDING


def model_calls(workflow: Workflow) -> tuple[ModelCall, ...]:
    """Every model call, in the order of the file, subgraphs included."""
    return tuple(_in_nodes(workflow.nodes, "", 1, ""))


def run_order(workflow: Workflow) -> tuple[str, ...]:
    """The nodes in the order in which a run can first come to them: breadth first from the start."""
    following = _following(workflow)
    order: dict[str, None] = {}
    queue = deque(following.get(START, ()))
    while queue:
        name = queue.popleft()
        if name not in order and name != END:
            order[name] = None
            queue.extend(following.get(name, ()))
    return tuple(order)


def can_come_back(workflow: Workflow) -> bool:
    """Whether some node can run twice in one run, so that nothing but max_steps bounds it."""
    following = _following(workflow)
    open_: set[str] = set()
    closed: set[str] = set()
    stack: list[tuple[str, bool]] = [(START, False)]
    while stack:
        name, leaving = stack.pop()
        if leaving:
            open_.discard(name)
            closed.add(name)
            continue
        if name in open_ or name in closed:
            continue
        open_.add(name)
        stack.append((name, True))
        for target in following.get(name, ()):
            if target in open_:
                return True
            stack.append((target, False))
    return False


def _following(workflow: Workflow) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for link in links(workflow.nodes, workflow.edges):
        found.setdefault(link.source, []).append(link.target)
    return found


def _in_nodes(nodes: Iterable[Node], prefix: str, repeats: int | None, because: str) -> Iterator[ModelCall]:
    for node in nodes:
        yield from _in_node(node, prefix + node.name, repeats, because)


def _in_node(node: Node, path: str, repeats: int | None, because: str) -> Iterator[ModelCall]:
    body = node.body
    attempts = node.retry.max_attempts
    if attempts > 1:
        because = _also(because, f"up to {attempts} attempts of {node.name}")
        repeats = _times(repeats, attempts)
    match body:
        case ActionCall():
            if body.uses.startswith(PREFIX):
                yield _call(body, node, path, repeats, because)
        case Steps():
            yield from _in_nodes(body.steps, f"{path}/", repeats, because)
        case WhileLoop():
            said = _also(because, f"up to {body.max_iterations} turns of {node.name}")
            yield from _in_nodes(body.body, f"{path}/", _times(repeats, body.max_iterations), said)
        case DynamicParallel():
            said = _also(because, f"once for each item of {node.name}")
            yield from _in_nodes(body.body, f"{path}/", None, said)
        case Subgraph():
            yield from _in_nodes(body.workflow.nodes, f"{path}/", repeats, because)
        case _:
            return


def _call(body: ActionCall, node: Node, path: str, repeats: int | None, because: str) -> ModelCall:
    params = _entries(body.params)
    texts = [
        params[name] for name in ("system", "prompt", "messages", "text", "texts", "labels") if name in params
    ]
    rounds = _constant(params.get("max_tool_rounds")) if body.uses == "llm.tools" else None
    if isinstance(rounds, int):
        repeats, because = _times(repeats, rounds), _also(because, f"up to {rounds} rounds of tools")
    max_tokens = _constant(params.get("max_tokens"))
    return ModelCall(
        node=path,
        place=str(node.place),
        action=body.uses,
        model=_said(params.get("model")),
        model_path=_said(params.get("model_path")),
        backend=_said(params.get("backend")),
        level=_said(params.get("level")),
        privacy=_said(params.get("privacy")),
        max_tokens=max_tokens if isinstance(max_tokens, int) else None,
        prompt_tokens=-(-sum(map(_static_chars, texts)) // CHARS_PER_TOKEN),
        templated=any(map(_is_templated, texts)),
        repeats=repeats,
        because=because,
    )


def _entries(tree: Tree) -> dict[str, Tree]:
    if isinstance(tree, ObjectTree):
        return dict(tree.entries)
    if isinstance(tree, Constant) and isinstance(tree.value, dict):
        return {str(key): Constant(entry) for key, entry in tree.value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType]
    return {}


def _constant(tree: Tree | None) -> Any:
    return tree.value if isinstance(tree, Constant) else None


def _said(tree: Tree | None) -> str | None:
    if tree is None:
        return None
    return str(tree.value) if isinstance(tree, Constant) else UNKNOWN


def _is_templated(tree: Tree) -> bool:
    return not isinstance(tree, Constant)


def _static_chars(tree: Tree) -> int:
    """Characters of text that stand in the file; a template's own code is not counted."""
    match tree:
        case Constant():
            return _chars(tree.value)
        case Template():
            outside = tree.text.split("{{")
            return sum(len(part.rpartition("}}")[2]) for part in outside)
        case ObjectTree():
            return sum(map(_static_chars, tree.entries.values()))
        case ListTree():
            return sum(map(_static_chars, tree.entries))


def _chars(value: Any) -> int:
    match value:
        case str():
            return len(value)
        case dict():
            return sum(_chars(entry) for entry in value.values())  # pyright: ignore[reportUnknownVariableType]
        case list():
            return sum(_chars(entry) for entry in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return 0


def _times(repeats: int | None, factor: int) -> int | None:
    return None if repeats is None else repeats * factor


def _also(because: str, more: str) -> str:
    return f"{because}, {more}" if because else more
