"""Names for executions: the same one in every attempt, process, resume and replay.

A node can run many times (loops, branches, items), so its name isn't enough. An address is a path::

    draft              the first visit of node "draft" on the main line
    draft#2            its second visit
    polish/@3/critique step "critique" in turn 3 of the while_loop "polish"
    split/>left/left   node "left" in the branch that starts with "left", forked after "split"
    map/[7]/embed      step "embed" for item 7 of the dynamic_parallel "map" (counted from 0)
    book/!2/chapter    step "chapter" in attempt 2 of the node "book", which holds steps
    ask?1              the first question that node "ask" put to a person
    send?before        the engine's own, for interrupt_before

A prefix is an address that ends in ``/`` (or is empty). This module knows nothing of graphs or logs.
"""

from __future__ import annotations

from urllib.parse import quote

_SAFE = " ()*,:;=+&$'\"|<-_.~"


def segment(name: str) -> str:
    """A node's name as it stands in an address: characters that structure addresses are percent-encoded."""
    if name.isidentifier():
        return name
    return quote(name, safe=_SAFE, errors="surrogatepass")


def visit(prefix: str, name: str, count: int) -> str:
    """The ``count``-th visit (from 1) of the node whose segment is ``name``."""
    return f"{prefix}{name}" if count == 1 else f"{prefix}{name}#{count}"


def attempt(address: str, number: int) -> str:
    """Prefix of what a node holds inside, in its ``number``-th attempt (from 1)."""
    return f"{address}/" if number == 1 else f"{address}/!{number}/"


def turn(prefix: str, number: int) -> str:
    """Prefix of turn ``number`` (from 1) of a loop."""
    return f"{prefix}@{number}/"


def item(prefix: str, index: int) -> str:
    """Prefix of the item ``index`` (from 0) of a dynamic_parallel."""
    return f"{prefix}[{index}]/"


def branch(address: str, name: str) -> str:
    """Prefix of the branch that starts with the segment ``name`` and was forked after ``address``."""
    return f"{address}/>{name}/"


def question(address: str, number: int | str) -> str:
    """The ``number``-th question (from 1) of one execution, or ``before`` and ``after`` for the engine's own."""
    return f"{address}?{number}"
