"""What a template may use up: counted, never timed, because a browser has no timer that could stop a loop.

One ``Budget`` serves one rendering. Everything that repeats takes turns from it, everything that makes text takes
output from it, and a value that a template builds is weighed before anything walks it, so that a value which holds
itself many times over never reaches code that would print it. This module knows nothing of Jinja.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from the_edge_agent.errors import TemplateLimitExceeded
from the_edge_agent.workflow.kinds import type_of

MAX_TURNS = 1_000_000
MAX_OUTPUT = 16 * 1024 * 1024
#: Characters of one text, and of all texts in one built value.
MAX_TEXT = MAX_OUTPUT
#: Entries of one built value, those inside counted as often as they appear.
MAX_ENTRIES = 1_000_000
#: Lists inside lists inside ...
MAX_DEPTH = 100
#: Whole numbers stay below 2 to this power.
MAX_BITS = 4096
#: Expressions inside expressions.
MAX_NESTING = 80

_PLAIN: frozenset[object] = frozenset({str, int, float, bool, type(None)})


class Budget:
    """Turns and output left to one rendering."""

    __slots__ = ("output", "turns")

    def __init__(self) -> None:
        self.turns = MAX_TURNS
        self.output = MAX_OUTPUT

    def take(self, turns: int) -> None:
        """Use ``turns`` up. Raises TemplateLimitExceeded."""
        self.turns -= turns
        if self.turns < 0:
            raise TemplateLimitExceeded(
                f"the template takes more than {MAX_TURNS:,} loop turns",
                fix="loop over less, or do the work in a node of its own",
            )

    def put(self, characters: int) -> None:
        """Account for text that was made. Raises TemplateLimitExceeded."""
        self.output -= characters
        if self.output < 0:
            raise too_much_text()

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """The same values, a turn each."""
        for value in values:
            self.turns -= 1
            if self.turns < 0:
                self.take(0)
            yield value


def too_much_text() -> TemplateLimitExceeded:
    """The error of a template that makes too much text."""
    return TemplateLimitExceeded(
        f"the template makes more than {MAX_OUTPUT // 1024 // 1024} MB of text", fix="make it say less"
    )


def check_text(characters: int) -> None:
    """Refuse to make a text so long. Call it before making the text."""
    if characters > MAX_TEXT:
        raise too_much_text()


def check_entries(length: int) -> None:
    """Refuse to make a list so long. Call it before making the list."""
    if length > MAX_ENTRIES:
        raise TemplateLimitExceeded(f"a list grows beyond {MAX_ENTRIES:,} entries", fix="build less at once")


def weigh(value: Any, budget: Budget | None = None) -> bool:
    """Check that ``value`` is data of bearable size and depth; return whether it is JSON as it stands.

    False means that it holds tuples or other stand-ins that ``as_json`` has to replace. Each entry is counted as often
    as it appears. Raises TemplateLimitExceeded.
    """
    level = [value]
    entries = characters = depth = 0
    plain = True
    while level:
        depth += 1
        entries += len(level)
        if entries > MAX_ENTRIES or depth > MAX_DEPTH:
            raise TemplateLimitExceeded(
                f"the template builds a value of more than {MAX_ENTRIES:,} entries or {MAX_DEPTH} levels",
                fix="build less at once",
            )
        below: list[Any] = []
        for entry in level:
            kind = type_of(entry)
            if kind is str:
                characters += len(entry)
            elif kind in _PLAIN:
                continue
            elif kind is list:
                below += entry
            elif kind is dict:
                below += entry.values()
                for key in entry:
                    if type(key) is str:
                        characters += len(key)
                    else:
                        plain = False
            elif isinstance(entry, Mapping):
                plain = False
                below += entry.values()
            elif isinstance(entry, (list, tuple)):
                plain = False
                below += entry
            elif isinstance(entry, str):
                plain = False
                characters += len(entry)
            else:
                plain = False
        check_text(characters)
        level = below
    if budget is not None and entries > 16:
        budget.take(entries // 16)
    return plain
