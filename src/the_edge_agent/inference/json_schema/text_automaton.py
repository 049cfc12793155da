"""Patterns and lengths of one string together, as a deterministic automaton; what leads nowhere is left out.

One state holds the states of every pattern and the length so far, so any number of patterns, formats and length
bounds meet exactly. Knows nothing of JSON or of grammars.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.regex import Pattern, Ranges, normalized
from the_edge_agent.inference.json_schema.shapes import Text

MAX_TEXT_STATES = 4_000

#: The moves (characters, next state) of a state, and whether the text may end there.
TextState: TypeAlias = tuple[tuple[tuple[Ranges, int], ...], bool]
_Key: TypeAlias = tuple[tuple[frozenset[int], ...], int]


def text_states(text: Text, place: str) -> tuple[TextState, ...]:
    """The automaton of a Text with patterns; state 0 starts.

    Raises:
        SchemaUnsupported: more than MAX_TEXT_STATES states, or no text can match.
    """
    # Lengths count up to the last bound that can still matter.
    longest = text.max_length if text.max_length is not None else text.min_length
    start: _Key = (tuple(pattern.start() for pattern in text.patterns), 0)
    numbers: dict[_Key, int] = {start: 0}
    moves: list[dict[int, list[tuple[int, int]]]] = []
    final: list[bool] = []
    todo: list[_Key] = [start]
    cuts = _cuts(text.patterns)
    for states, length in todo:
        final.append(
            length >= text.min_length
            and all(pattern.accepts(at) for pattern, at in zip(text.patterns, states, strict=True))
        )
        targets: dict[int, list[tuple[int, int]]] = {}
        moves.append(targets)
        if text.max_length is not None and length >= text.max_length:
            continue
        for low, high in cuts:
            following = tuple(p.step(at, low) for p, at in zip(text.patterns, states, strict=True))
            if not all(following):
                continue
            key = (following, min(length + 1, longest) if text.max_length is None else length + 1)
            if key not in numbers:
                if len(numbers) >= MAX_TEXT_STATES:
                    raise SchemaUnsupported(
                        f"pattern and length together need more than {MAX_TEXT_STATES} states",
                        place=place,
                        fix="simplify the pattern or give a smaller maxLength",
                    )
                numbers[key] = len(numbers)
                todo.append(key)
            targets.setdefault(numbers[key], []).append((low, high))
    return _trimmed(moves, final, place)


def _cuts(patterns: tuple[Pattern, ...]) -> list[tuple[int, int]]:
    """Ranges inside which all patterns treat every character alike."""
    edges: set[int] = set()
    for pattern in patterns:
        for entry in pattern.moves:
            for ranges, _ in entry:
                for low, high in ranges:
                    edges.update((low, high + 1))
    points = sorted(edges)
    return [(low, high - 1) for low, high in pairwise(points)]


def _trimmed(
    moves: list[dict[int, list[tuple[int, int]]]], final: list[bool], place: str
) -> tuple[TextState, ...]:
    """Without the states from which no end can be reached, which would trap a generator."""
    before: dict[int, list[int]] = {}
    for state, targets in enumerate(moves):
        for target in targets:
            before.setdefault(target, []).append(state)
    alive = {state for state, ends in enumerate(final) if ends}
    todo = list(alive)
    while todo:
        for state in before.get(todo.pop(), ()):
            if state not in alive:
                alive.add(state)
                todo.append(state)
    if 0 not in alive:
        raise SchemaUnsupported("no text can match pattern, format and length together", place=place)
    kept = sorted(alive)
    number = {state: index for index, state in enumerate(kept)}
    return tuple(
        (
            tuple((normalized(ranges), number[t]) for t, ranges in moves[state].items() if t in alive),
            final[state],
        )
        for state in kept
    )
