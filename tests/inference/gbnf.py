"""A small GBNF reader for tests: does a grammar derive a text, and what does it derive.

Follows llama.cpp's parser (escapes, classes, groups, repeats, its limit on repeats, its refusal of left recursion) and
its matching by sets of stacks, so what is accepted here is accepted there.
"""

import random
import re
from functools import cached_property

_TOKEN = re.compile(
    r'\s*(?:("(?:\\.|[^"\\])*")|(\[(?:\\.|[^\]\\])*\])|([a-zA-Z0-9-]+)|(\{\d+(?:,\d*)?\})|([()|?*+]))'
)
_ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})|\\(.)|(.)", re.DOTALL)
MAX_REPEAT = 2_000


class Grammar:
    def __init__(self, text):
        self.rules = {}
        self.fresh = 0
        for line in text.strip().split("\n"):
            name, separator, body = line.partition(" ::= ")
            assert separator, line
            assert name not in self.rules, f"{name} is defined twice"
            self.rules[name] = None
            self.rules[name] = self._alternatives(_tokens(body), name)
        for name, options in self.rules.items():
            for option in options:
                for kind, value in option:
                    assert kind == "chars" or value in self.rules, f"{name} uses {value}, which isn't defined"

    def _alternatives(self, tokens, name):
        options, current = [], []
        while tokens and tokens[0] != ")":
            token = tokens.pop(0)
            if token == "|":
                options.append(tuple(current))
                current = []
                continue
            if token.startswith('"'):
                piece, size = tuple(("chars", ((point, point),)) for point in _points(token[1:-1])), 1
            elif token.startswith("["):
                piece, size = (("chars", _ranges(token[1:-1])),), 1
            elif token == "(":
                before = self.fresh
                piece = (("rule", self._new(self._alternatives(tokens, name))),)
                assert tokens.pop(0) == ")"
                size = max(1, self.fresh - before)
            else:
                piece, size = (("rule", token),), 1
            if tokens and (tokens[0] in "?*+" or tokens[0].startswith("{")):
                low, high = _bounds(tokens.pop(0))
                assert size * max(low, high or 0) <= MAX_REPEAT, "llama.cpp refuses such a repeat"
                piece = self._repeated(piece, low, high)
            current.extend(piece)
        options.append(tuple(current))
        return options

    def _repeated(self, piece, low, high):
        if high is None:
            loop = self._new([])
            self.rules[loop] = [(*piece, ("rule", loop)), ()]
            return piece * low + (("rule", loop),)
        tail = ()
        for _ in range(high - low):
            tail = (("rule", self._new([piece + tail, ()])),)
        return piece * low + tail

    def _new(self, options):
        self.fresh += 1
        name = f"_{self.fresh}"
        self.rules[name] = options
        return name

    @cached_property
    def left_recursive(self):
        """Rules that reach themselves without reading a character."""
        nullable, grown = set(), True
        while grown:
            grown = False
            for name, options in self.rules.items():
                if name not in nullable and any(
                    all(k == "rule" and v in nullable for k, v in o) for o in options
                ):
                    nullable.add(name)
                    grown = True
        reach = {name: set() for name in self.rules}
        for name, options in self.rules.items():
            for option in options:
                for kind, value in option:
                    if kind == "chars":
                        break
                    reach[name].add(value)
                    if value not in nullable:
                        break
        found = set()
        for name in self.rules:
            seen, todo = set(), list(reach[name])
            while todo:
                at = todo.pop()
                if at not in seen:
                    seen.add(at)
                    todo.extend(reach[at])
            if name in seen:
                found.add(name)
        return found

    def accepts(self, text):
        """Whether the grammar derives exactly this text. Stacks are linked lists: (element, below)."""
        stacks = self._expanded({(("rule", "root"), None)})
        for character in text:
            point = ord(character)
            stacks = self._expanded(
                below
                for stack in stacks
                if stack is not None
                for (_, ranges), below in (stack,)
                if any(low <= point <= high for low, high in ranges)
            )
            if not stacks:
                return False
        return None in stacks

    def _expanded(self, stacks):
        found, seen, todo = set(), set(), list(stacks)
        while todo:
            stack = todo.pop()
            if stack in seen:
                continue
            seen.add(stack)
            if stack is None or stack[0][0] == "chars":
                found.add(stack)
                continue
            (_, name), below = stack
            for option in self.rules[name]:
                grown = below
                for element in reversed(option):
                    grown = (element, grown)
                todo.append(grown)
        return found

    @cached_property
    def _cost(self):
        """The least depth of derivation of each rule, so that random walks can come to an end."""
        cost, grown = dict.fromkeys(self.rules, 10**9), True
        while grown:
            grown = False
            for name, options in self.rules.items():
                best = min(1 + max((cost[v] for k, v in o if k == "rule"), default=0) for o in options)
                if best < cost[name]:
                    cost[name], grown = best, True
        return cost

    def derive(self, rng: random.Random, budget=400):
        """A random text of the grammar; when the budget is used up it takes the shortest way out."""
        out, todo = [], [("rule", "root")]
        while todo:
            kind, value = todo.pop()
            budget -= 1
            if kind == "chars":
                low, high = rng.choice(value)
                out.append(_character(rng, low, high))
                continue
            options = self.rules[value]
            if budget < 0:
                options = [
                    min(
                        options,
                        key=lambda o: 1 + max((self._cost[v] for k, v in o if k == "rule"), default=0),
                    )
                ]
            todo.extend(reversed(rng.choice(options)))
        return "".join(out)


def _character(rng, low, high):
    point = rng.choice((low, high, rng.randint(low, high), rng.randint(low, min(high, low + 100))))
    return "\ue000" if 0xD800 <= point <= 0xDFFF else chr(point)


def _tokens(body):
    at, found = 0, []
    body = body.rstrip()
    while at < len(body):
        match = _TOKEN.match(body, at)
        assert match, body[at : at + 40]
        found.append(match.group().strip() if not match.group(1) else match.group(1))
        at = match.end()
    return found


def _points(text):
    return [point for point, _ in _escapes(text)]


def _escapes(text):
    for match in _ESCAPE.finditer(text):
        code = match.group(1) or match.group(2) or match.group(3)
        if code:
            yield int(code, 16), True
        elif match.group(4):
            assert match.group(4) in 'trn\\"[]-', match.group()
            yield ord({"t": "\t", "r": "\r", "n": "\n"}.get(match.group(4), match.group(4))), True
        else:
            yield ord(match.group(5)), False


def _ranges(text):
    negate = text.startswith("^")
    signs = list(_escapes(text[1:] if negate else text))
    ranges, index = [], 0
    while index < len(signs):
        low = high = signs[index][0]
        if index + 2 < len(signs) and signs[index + 1] == (ord("-"), False):
            high, index = signs[index + 2][0], index + 2
        ranges.append((low, high))
        index += 1
    if not negate:
        return tuple(ranges)
    gaps, at = [], 0
    for low, high in sorted(ranges):
        if at < low:
            gaps.append((at, low - 1))
        at = max(at, high + 1)
    return (*gaps, (at, 0x10FFFF))


def _bounds(sign):
    if sign in "?*+":
        return {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
    low, comma, high = sign[1:-1].partition(",")
    return int(low), int(high) if high else (None if comma else int(low))
