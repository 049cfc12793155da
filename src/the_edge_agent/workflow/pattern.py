"""Regular expressions that can't blow up: matched by following all ways at once, in time text times pattern.

What a pattern may hold is in ``pattern_syntax``; the rest is refused when it is made. Like JSON Schema's ``pattern`` it
searches: write ``^...$`` to match the whole text. Knows nothing of fields or files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from the_edge_agent.workflow.pattern_syntax import PatternInvalid, PatternParser, Tree, is_word

MAX_PATTERN = 500
MAX_STATES = 2_000
MAX_STEPS = 500_000


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that was checked when it was made. Raises PatternInvalid."""

    text: str
    _program: _Program = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_program", _parse(self.text))

    def matches(self, text: str) -> bool | None:
        """Whether the pattern is found in ``text``; None where that would take more than MAX_STEPS steps."""
        return self._program.search(text)


# A state is ("char", test, next), ("split", a, b), ("assert", kind, next) or ("accept",).
_State = tuple[str, object, int]


@dataclass(frozen=True, slots=True)
class _Program:
    states: tuple[_State, ...]
    start: int

    def search(self, text: str) -> bool | None:
        states = self.states
        live: set[int] = set()
        steps = 0
        for position in range(len(text) + 1):
            live.add(self.start)
            closed: set[int] = set()
            stack = list(live)
            while stack:
                index = stack.pop()
                if index in closed:
                    continue
                closed.add(index)
                kind, value, following = states[index]
                if kind == "accept":
                    return True
                if kind == "split":
                    stack.append(following)
                    stack.append(value)  # type: ignore[arg-type]
                elif kind == "assert" and _holds(value, text, position):
                    stack.append(following)
            steps += len(closed)
            if steps > MAX_STEPS:
                return None
            if position == len(text):
                return False
            character = text[position]
            live = {
                states[index][2]
                for index in closed
                if states[index][0] == "char" and states[index][1](character)  # type: ignore[operator]
            }
        return False


def _holds(kind: object, text: str, position: int) -> bool:
    if kind == "^":
        return position == 0
    if kind == "$":
        return position == len(text)
    before = position > 0 and is_word(text[position - 1])
    after = position < len(text) and is_word(text[position])
    return (before != after) == (kind == "b")


@lru_cache(maxsize=256)
def _parse(text: str) -> _Program:
    if len(text) > MAX_PATTERN:
        raise PatternInvalid(f"it has more than {MAX_PATTERN} characters")
    parser = PatternParser(text)
    try:
        tree = parser.alternatives(0)
    except IndexError as error:
        raise PatternInvalid("it ends too early") from error
    if parser.position < len(text):
        raise PatternInvalid(f"there is a ) too many at character {parser.position + 1}")
    states: list[_State] = [("accept", None, 0)]
    start = _build(tree, 0, states)
    return _Program(tuple(states), start)


def _add(states: list[_State], state: _State) -> int:
    if len(states) >= MAX_STATES:
        raise PatternInvalid("its repetitions are too large")
    states.append(state)
    return len(states) - 1


def _build(node: Tree, following: int, states: list[_State]) -> int:
    kind = node[0]
    if kind == "char":
        return _add(states, ("char", node[1], following))
    if kind == "assert":
        return _add(states, ("assert", node[1], following))
    if kind == "sequence":
        for part in reversed(node[1:]):
            following = _build(part, following, states)  # type: ignore[arg-type]
        return following
    if kind == "either":
        first, *rest = [_build(part, following, states) for part in node[1:]]  # type: ignore[arg-type]
        for other in rest:
            first = _add(states, ("split", first, other))
        return first
    _, inner, low, high = node
    assert isinstance(low, int)
    if high is None:
        loop = _add(states, ("split", following, following))
        states[loop] = ("split", _build(inner, loop, states), following)  # type: ignore[arg-type]
        following = loop
    else:
        end = following
        for _ in range(high - low):  # type: ignore[operator]
            following = _add(states, ("split", _build(inner, following, states), end))  # type: ignore[arg-type]
    for _ in range(low):
        following = _build(inner, following, states)  # type: ignore[arg-type]
    return following
