r"""Regular expressions that can't blow up: matched by following all ways at once, in time text times pattern.

The subset: characters, ``.``, classes ``[a-z]``, ``\d \w \s`` and their opposites, ``^ $ \b``, groups, ``|`` and the
quantifiers ``* + ? {m} {m,n}``. Back references, look-around and flags are refused when parsing. Like JSON Schema's
``pattern`` it searches: write ``^...$`` to match the whole text. Knows nothing of fields or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from string import hexdigits

MAX_PATTERN = 500
MAX_STATES = 2_000
MAX_STEPS = 500_000
_MAX_REPEAT = 1_000

Test = Callable[[str], bool]
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}


class PatternInvalid(ValueError):
    """The pattern can't be used; the text says why."""


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
    before = position > 0 and _is_word(text[position - 1])
    after = position < len(text) and _is_word(text[position])
    return (before != after) == (kind == "b")


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


# --- the tree: nested tuples that are turned into states from the end backwards -----------------------------------

_Node = tuple[object, ...]


@lru_cache(maxsize=256)
def _parse(text: str) -> _Program:
    if len(text) > MAX_PATTERN:
        raise PatternInvalid(f"it has more than {MAX_PATTERN} characters")
    parser = _Parser(text)
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


def _build(node: _Node, following: int, states: list[_State]) -> int:
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


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def _peek(self) -> str:
        return self.text[self.position] if self.position < len(self.text) else ""

    def _next(self) -> str:
        character = self.text[self.position]
        self.position += 1
        return character

    def alternatives(self, depth: int) -> _Node:
        if depth > 20:
            raise PatternInvalid("its groups nest too deep")
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self._next()
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else ("either", *branches)

    def _sequence(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom(depth)))
        return ("sequence", *parts)

    def _repeated(self, atom: _Node) -> _Node:
        while True:
            bounds = self._quantifier()
            if bounds is None:
                return atom
            if atom[0] == "assert":
                raise PatternInvalid("an anchor can't be repeated")
            if atom[0] == "repeat":
                raise PatternInvalid("a repetition is repeated; put it in a group")
            low, high = bounds
            if (high is not None and high < low) or max(low, high or 0) > _MAX_REPEAT:
                raise PatternInvalid(f"the repetition {{{low},{high}}} can't be used")
            atom = ("repeat", atom, low, high)
            if self._peek() in ("?", "+") and self._peek():
                if self._next() == "+":
                    raise PatternInvalid("possessive repetition can't be used")
                return atom

    def _quantifier(self) -> tuple[int, int | None] | None:
        character = self._peek()
        if character and character in "*+?":
            self._next()
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[character]
        if character != "{":
            return None
        end = self.text.find("}", self.position)
        low, comma, high = self.text[self.position + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not low.isdecimal() or (high and not high.isdecimal()) or len(low) > 4 or len(high) > 4:
            return None
        self.position = end + 1
        return int(low), (int(low) if not comma else int(high) if high else None)

    def _atom(self, depth: int) -> _Node:
        character = self._next()
        if character == "(":
            if self._peek() == "?":
                if self.text[self.position : self.position + 2] != "?:":
                    raise PatternInvalid("look-around, flags and named groups can't be used")
                self.position += 2
            inner = self.alternatives(depth + 1)
            if self._peek() != ")":
                raise PatternInvalid("a ) is missing")
            self._next()
            return ("sequence", inner)
        if character in "^$":
            return ("assert", character)
        if character == ".":
            return ("char", "\n".__ne__)
        if character == "[":
            return ("char", self._class())
        if character == "\\":
            return self._escape()
        if character in "*+?":
            raise PatternInvalid(f"there is nothing before {character} to repeat")
        return ("char", character.__eq__)

    def _escape(self) -> _Node:
        following = self._peek()
        if following in ("b", "B"):
            self._next()
            return ("assert", following)
        return ("char", self._escaped())

    def _escaped(self) -> Test:
        character = self._next()
        if character in _CLASSES:
            return _CLASSES[character]
        return self._literal(character).__eq__

    def _literal(self, character: str) -> str:
        if character in "xu":
            wanted = 2 if character == "x" else 4
            digits = self.text[self.position : self.position + wanted]
            if len(digits) < wanted or any(digit not in hexdigits for digit in digits):
                raise PatternInvalid(f"\\{character}{digits} is no character")
            self.position += wanted
            return chr(int(digits, 16))
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isalnum():
            raise PatternInvalid(f"\\{character} can't be used")
        return character

    def _class(self) -> Test:
        negated = self._peek() == "^"
        if negated:
            self._next()
        tests: list[Test] = []
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            character = self._next()
            if character == "\\" and self._peek() in _CLASSES:
                tests.append(_CLASSES[self._next()])
                continue
            low = self._literal(self._next()) if character == "\\" else character
            if self._peek() == "-" and self.text[self.position + 1 : self.position + 2] not in ("]", ""):
                self._next()
                character = self._next()
                high = self._literal(self._next()) if character == "\\" else character
                if high < low:
                    raise PatternInvalid(f"the range {low}-{high} is empty")
                ranges.append((low, high))
            else:
                singles.add(low)
        self._next()

        def test(found: str) -> bool:
            inside = (
                found in singles
                or any(low <= found <= high for low, high in ranges)
                or any(other(found) for other in tests)
            )
            return inside != negated

        return test


_CLASSES: dict[str, Test] = {
    "d": str.isdecimal,
    "D": lambda found: not found.isdecimal(),
    "w": _is_word,
    "W": lambda found: not _is_word(found),
    "s": str.isspace,
    "S": lambda found: not found.isspace(),
}
