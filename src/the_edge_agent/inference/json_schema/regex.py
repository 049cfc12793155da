"""A subset of ECMAScript's regular expressions as an automaton: matched in linear time, and written as a grammar.

Python's own ``re`` backtracks, so a schema could hang it; this can't. The same automaton answers both "does this text
match" and "which characters may follow". Look-around, back references, word boundaries and Unicode properties are
refused. Knows nothing of JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

#: Inclusive code point ranges, sorted, apart.
Ranges: TypeAlias = tuple[tuple[int, int], ...]

MAX_STATES = 5_000
MAX_REPEAT = 1_000
ANY: Ranges = ((0, 0xD7FF), (0xE000, 0x10FFFF))
_DIGIT: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = (
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
_LINE_END: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CONTROLS = {"n": 0x0A, "t": 0x09, "r": 0x0D, "f": 0x0C, "v": 0x0B, "0": 0x00}
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}


class RegexUnsupported(ValueError):
    """The pattern is outside the subset; the message says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. State 0 starts; ``accept`` ends; equal if their sources are."""

    source: str
    moves: tuple[tuple[tuple[Ranges, int], ...], ...] = field(compare=False, repr=False)
    skips: tuple[tuple[int, ...], ...] = field(compare=False, repr=False)
    accept: int = field(compare=False, repr=False)

    def start(self) -> frozenset[int]:
        """The states before the first character."""
        return self._closed((0,))

    def step(self, states: frozenset[int], code_point: int) -> frozenset[int]:
        """The states behind one more character; empty when nothing can match any more."""
        return self._closed(
            target
            for state in states
            for ranges, target in self.moves[state]
            if any(low <= code_point <= high for low, high in ranges)
        )

    def accepts(self, states: frozenset[int]) -> bool:
        """Whether the text may end here."""
        return self.accept in states

    def matches(self, text: str) -> bool:
        """Whether the whole text matches; time is linear in it."""
        states = self.start()
        for character in text:
            if not states:
                return False
            states = self.step(states, ord(character))
        return self.accepts(states)

    def _closed(self, states: Iterable[int]) -> frozenset[int]:
        found: set[int] = set()
        todo = list(states)
        while todo:
            state = todo.pop()
            if state not in found:
                found.add(state)
                todo.extend(self.skips[state])
        return frozenset(found)


def parse_pattern(source: str) -> Pattern:
    """Compile. A pattern without ``^`` or ``$`` may stand anywhere in the text, as JSON Schema has it.

    Raises:
        RegexUnsupported: outside the subset, or too large.
    """
    return _Compiler(source).compile()


def normalized(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted, merged, without surrogates."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return _both(tuple(merged), ANY)


def negated(ranges: Ranges) -> Ranges:
    """Every other character."""
    result: list[tuple[int, int]] = []
    at = 0
    for low, high in ranges:
        if at < low:
            result.append((at, low - 1))
        at = high + 1
    if at <= 0x10FFFF:
        result.append((at, 0x10FFFF))
    return _both(tuple(result), ANY)


def _both(a: Ranges, b: Ranges) -> Ranges:
    return tuple(
        (max(low, start), min(high, end))
        for low, high in a
        for start, end in b
        if max(low, start) <= min(high, end)
    )


class _Compiler:
    """Recursive descent straight into a Thompson automaton; repeats compile their piece again and again."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.moves: list[list[tuple[Ranges, int]]] = []
        self.skips: list[list[int]] = []
        self.depth = 0

    def compile(self) -> Pattern:
        start, accept = self._state(), self._state()
        while True:
            self._alternative(start, accept)
            if self._peek() != "|":
                break
            self.at += 1
        if self.at < len(self.source):
            raise RegexUnsupported(f"unmatched {self._peek()!r}")
        moves = tuple(tuple(entry) for entry in self.moves)
        return Pattern(self.source, moves, tuple(tuple(entry) for entry in self.skips), accept)

    def _alternative(self, start: int, accept: int) -> None:
        """One top-level alternative with its own anchors."""
        begin = self._state()
        self._skip(start, begin)
        if self._peek() == "^":
            self.at += 1
        else:
            self._move(begin, ANY, begin)
        first = self._state()
        self._skip(begin, first)
        end = self._sequence(first)
        if self._peek() == "$":
            self.at += 1
        else:
            tail = self._state()
            self._skip(end, tail)
            self._move(tail, ANY, tail)
            end = tail
        self._skip(end, accept)

    def _sequence(self, start: int) -> int:
        at = start
        while self._peek() not in ("", "|", ")", "$"):
            at = self._repeated(at)
        return at

    def _repeated(self, start: int) -> int:
        begin = self.at
        end = self._atom(start)
        low, high = self._quantifier()
        if (low, high) == (1, 1):
            return end
        behind = self.at
        at = start
        # The first copy stands already; it counts when at least one is wanted, else it is made optional below.
        copies = max(low, 1) if high is None else high
        if copies == 0:
            return self._state_from(start)
        ends = [end]
        for _ in range(copies - 1):
            self.at = begin
            at = self._state_from(ends[-1])
            ends.append(self._atom(at))
        self.at = behind
        done = self._state()
        for count, place in enumerate(ends, 1):
            if count >= low:
                self._skip(place, done)
        if low == 0:
            self._skip(start, done)
        if high is None:
            self._skip(ends[-1], at if copies > 1 else start)
        return done

    def _quantifier(self) -> tuple[int, int | None]:
        sign = self._peek()
        if sign in ("*", "+", "?"):
            self.at += 1
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif sign == "{":
            end = self.source.find("}", self.at)
            first, comma, second = self.source[self.at + 1 : max(end, 0)].partition(",")
            if end < 0 or not first.isdecimal() or (second and not second.isdecimal()):
                raise RegexUnsupported("a '{' that begins no {m}, {m,} or {m,n}; write \\{")
            low = int(first)
            high = int(second) if second else (None if comma else low)
            self.at = end + 1
        else:
            return 1, 1
        if max(low, high or 0) > MAX_REPEAT or (high is not None and high < low):
            raise RegexUnsupported(f"a repeat of {{{low},{high}}}; at most {MAX_REPEAT} are possible")
        if self._peek() == "?":  # lazy: the same language
            self.at += 1
        if self._peek() in ("*", "+", "{"):
            raise RegexUnsupported("a quantifier behind a quantifier")
        return low, high

    def _atom(self, start: int) -> int:
        sign = self._take()
        if sign == "(":
            return self._group(start)
        if sign == "[":
            ranges = self._set()
        elif sign == ".":
            ranges = negated(_LINE_END)
        elif sign == "\\":
            ranges = self._escape(in_set=False)
        elif sign in "*+?{":
            raise RegexUnsupported(f"a {sign!r} with nothing before it")
        elif sign in "^$":
            raise RegexUnsupported(f"a {sign!r} that isn't at an end of the pattern")
        else:
            ranges = ((ord(sign), ord(sign)),)
        end = self._state()
        self._move(start, normalized(ranges), end)
        return end

    def _group(self, start: int) -> int:
        if self._peek() == "?":
            if self.source[self.at : self.at + 2] != "?:":
                raise RegexUnsupported(f"the group ({self.source[self.at : self.at + 2]}")
            self.at += 2
        self.depth += 1
        if self.depth > 50:
            raise RegexUnsupported("groups nested deeper than 50")
        # A fresh first state: a loop over the group must not lead back into what stands before it.
        end = self._state()
        while True:
            self._skip(self._sequence(self._state_from(start)), end)
            if self._peek() != "|":
                break
            self.at += 1
        if self._take() != ")":
            raise RegexUnsupported("a '$' inside a group, or a group that isn't closed")
        self.depth -= 1
        return end

    def _set(self) -> Ranges:
        negate = self._peek() == "^"
        if negate:
            self.at += 1
        ranges: list[tuple[int, int]] = []
        while (sign := self._take()) != "]":
            if not sign:
                raise RegexUnsupported("a '[' that isn't closed")
            low = self._escape(in_set=True) if sign == "\\" else ((ord(sign), ord(sign)),)
            if self._peek() == "-" and self.source[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                sign = self._take()
                high = self._escape(in_set=True) if sign == "\\" else ((ord(sign), ord(sign)),)
                if len(low) != 1 or len(high) != 1 or low[0][0] > high[0][1]:
                    raise RegexUnsupported(
                        "a range in [] that doesn't go from a smaller to a larger character"
                    )
                low = ((low[0][0], high[0][1]),)
            ranges.extend(low)
        return negated(normalized(ranges)) if negate else normalized(ranges)

    def _escape(self, *, in_set: bool) -> Ranges:
        sign = self._take()
        if sign.lower() in _CLASSES:
            ranges = _CLASSES[sign.lower()]
            return negated(ranges) if sign.isupper() else ranges
        if in_set and sign == "b":
            return ((8, 8),)
        if sign in _CONTROLS:
            return ((_CONTROLS[sign], _CONTROLS[sign]),)
        if sign in ("x", "u"):
            digits = self.source[self.at : self.at + (2 if sign == "x" else 4)]
            if len(digits) != (2 if sign == "x" else 4) or not all(
                c in "0123456789abcdefABCDEF" for c in digits
            ):
                raise RegexUnsupported(f"\\{sign} without its hexadecimal digits")
            self.at += len(digits)
            code_point = int(digits, 16)
            return ((code_point, code_point),)
        if not sign or sign.isalnum():
            raise RegexUnsupported(f"the escape \\{sign}")
        return ((ord(sign), ord(sign)),)

    def _peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def _take(self) -> str:
        sign = self._peek()
        self.at += 1
        return sign

    def _state(self) -> int:
        if len(self.moves) >= MAX_STATES:
            raise RegexUnsupported(f"it needs more than {MAX_STATES} states")
        self.moves.append([])
        self.skips.append([])
        return len(self.moves) - 1

    def _state_from(self, state: int) -> int:
        fresh = self._state()
        self._skip(state, fresh)
        return fresh

    def _skip(self, start: int, end: int) -> None:
        self.skips[start].append(end)

    def _move(self, start: int, ranges: Ranges, end: int) -> None:
        self.moves[start].append((ranges, end))
