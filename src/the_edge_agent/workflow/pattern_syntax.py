r"""The syntax of ``pattern``, parsed to a tree: nested tuples of what is a character, a sequence, a choice, a repetition.

The subset: characters, ``.``, classes ``[a-z]``, ``\d \w \s`` and their opposites, ``^ $ \b``, groups, ``|`` and the
quantifiers ``* + ? {m} {m,n}``. Back references, look-around and flags are refused. Knows nothing of matching.
"""

from __future__ import annotations

from collections.abc import Callable
from string import hexdigits

_MAX_REPEAT = 1_000

Test = Callable[[str], bool]
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}


class PatternInvalid(ValueError):
    """The pattern can't be used; the text says why."""


def is_word(character: str) -> bool:
    r"""Whether ``\w`` matches the character."""
    return character.isalnum() or character == "_"


#: Nested tuples that begin with their kind: char, assert, sequence, either or repeat.
Tree = tuple[object, ...]


class PatternParser:
    """Reads one pattern; IndexError where it ends too early. ``position`` is how far it came."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def _peek(self) -> str:
        return self.text[self.position] if self.position < len(self.text) else ""

    def _next(self) -> str:
        character = self.text[self.position]
        self.position += 1
        return character

    def alternatives(self, depth: int) -> Tree:
        """What stands between here and the next ``)`` or the end, inside ``depth`` groups. Raises PatternInvalid."""
        if depth > 20:
            raise PatternInvalid("its groups nest too deep")
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self._next()
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else ("either", *branches)

    def _sequence(self, depth: int) -> Tree:
        parts: list[Tree] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom(depth)))
        return ("sequence", *parts)

    def _repeated(self, atom: Tree) -> Tree:
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

    def _atom(self, depth: int) -> Tree:
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

    def _escape(self) -> Tree:
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
    "w": is_word,
    "W": lambda found: not is_word(found),
    "s": str.isspace,
    "S": lambda found: not found.isspace(),
}
