"""Composes YAML text to values that know where they stand: scalars by YAML 1.2's core schema, objects with text keys, lists.

Refused here, each with its place: tags, merge keys, duplicate and non-text keys, aliases of themselves or of too much,
deep nesting, too many values, more than one document, text that isn't UTF-8. libyaml's parser is used where PyYAML has
it, else PyYAML's own; both give the same values. This module knows nothing of workflows.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from the_edge_agent.workflow.document import Array, Object, Scalar, Value
from the_edge_agent.workflow.kinds import type_of
from the_edge_agent.workflow.nodes import Place
from the_edge_agent.workflow.refusals import Refusals

MAX_BYTES = 10_000_000
MAX_DEPTH = 64
MAX_VALUES = 400_000
#: Values that aliases may repeat in all.
MAX_REPEATED = 50_000

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_JSON = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Stop(Exception):
    """Nothing after this can be understood."""


def parse_document(text: str, refusals: Refusals) -> Value | None:
    """The one document of ``text``, or None where it can't be read. Problems go to ``refusals``."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        refusals.add_at(
            Place(refusals.file, 1, 1),
            f"the file has {size:,} bytes",
            f"keep it below {MAX_BYTES:,}; move data out",
        )
        return None
    unreadable = _UNREADABLE.search(text)
    if unreadable:
        before = text[: unreadable.start()]
        place = Place(refusals.file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        refusals.add_at(
            place,
            f"the character U+{ord(unreadable[0]):04X} can't stand in YAML",
            "remove it; save the file as UTF-8",
        )
        return None
    loader = None
    try:
        loader = _PARSER(text)
        return _Composer(loader, refusals).compose()
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(refusals.file, mark.line + 1, mark.column + 1) if mark else Place(refusals.file, 1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        refusals.add_at(
            place, f"this isn't YAML: {what}", "mend the indentation, the quotes or the brackets here"
        )
        return None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        refusals.add_at(Place(refusals.file, 1, 1), f"this isn't YAML: {error}", "mend the file")
        return None
    finally:
        if loader is not None:
            loader.dispose()


class _Composer:
    """Builds values from the parser's events, without recursion."""

    def __init__(self, loader: Any, refusals: Refusals) -> None:
        self.loader = loader
        self.refusals = refusals
        self.anchors: dict[str, Value | None] = {}
        self.values = 0
        self.repeated = 0

    def compose(self) -> Value | None:
        root: Value | None = None
        documents = 0
        # Each open object or list: [value, its anchor, the key that waits for a value].
        stack: list[list[Any]] = []
        get_event = self.loader.get_event
        while (event := get_event()) is not None:
            kind = type_of(event)
            if kind is ScalarEvent:
                value: Value = self._scalar(event)
            elif kind is MappingStartEvent:
                self._refuse_tag(event)
                mark = event.start_mark
                stack.append([Object({}, {}, mark.line + 1, mark.column + 1), event.anchor, None])
                self._open(event, len(stack))
                continue
            elif kind is SequenceStartEvent:
                self._refuse_tag(event)
                mark = event.start_mark
                stack.append([Array([], mark.line + 1, mark.column + 1), event.anchor, None])
                self._open(event, len(stack))
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value, anchor, _ = stack.pop()
                if anchor is not None:
                    self.anchors[anchor] = value
            elif kind is AliasEvent:
                value = self._alias(event)
            elif kind is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document starts here", "keep one document in a file")
                continue
            else:
                continue
            if not stack:
                root = value
                continue
            self._put(stack[-1], value)
        return root

    def _put(self, owner: list[Any], value: Value) -> None:
        """Add ``value`` to the innermost open object or list."""
        container = owner[0]
        container.size += getattr(value, "size", 1)
        if type(container) is Array:
            container.entries.append(value)
            return
        key: Scalar | None = owner[2]
        if key is None:
            owner[2] = self._key(value, container)
            return
        owner[2] = None
        if key.text in container.entries:
            first = container.keys[key.text]
            self.refusals.add(
                key,
                f"the key {key.text[:100]!r} stands twice, first in line {first.line}",
                "remove one of them or rename it",
            )
            return
        container.entries[key.text] = value
        container.keys[key.text] = key

    def _open(self, event: Any, depth: int) -> None:
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self._count(event)
        if depth > MAX_DEPTH:
            self._stop(event, f"values nest more than {MAX_DEPTH} deep", "nest less")

    def _count(self, event: Any) -> None:
        self.values += 1
        if self.values > MAX_VALUES:
            self._stop(event, f"the file has more than {MAX_VALUES:,} values", "move data out of the file")

    def _stop(self, event: Any, what: str, fix: str) -> None:
        mark = event.start_mark
        self.refusals.add_at(Place(self.refusals.file, mark.line + 1, mark.column + 1), what, fix)
        raise _Stop

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            mark = event.start_mark
            self.refusals.add_at(
                Place(self.refusals.file, mark.line + 1, mark.column + 1),
                f"the YAML tag {event.tag!r} can't be used",
                "remove it; quote the value if it is text",
            )

    def _scalar(self, event: Any) -> Scalar:
        self._count(event)
        if event.tag is not None:
            self._refuse_tag(event)
        mark = event.start_mark
        text = event.value
        if not event.style:
            value = self._plain(text, mark)
            scalar = Scalar(value, text, mark.line + 1, mark.column + 1)
        else:
            if event.style == '"' and not text.isascii() and _UNREADABLE.search(text):
                text = self._without_surrogates(text, mark)
            scalar = Scalar(text, text, mark.line + 1, mark.column + 1, event.style == "|")
        if event.anchor is not None:
            self.anchors[event.anchor] = scalar
        return scalar

    def _without_surrogates(self, text: str, mark: Any) -> str:
        if _SURROGATE.search(text):
            self.refusals.add_at(
                Place(self.refusals.file, mark.line + 1, mark.column + 1),
                "an escape in the text is half a character",
                "write the whole character",
            )
        return _SURROGATE.sub("?", text)

    def _plain(self, text: str, mark: Any) -> Any:
        if text in _NULL:
            return None
        first = text[0]
        if first in "tTfF":
            return _BOOLEAN.get(text, text)
        if first not in "0123456789+-.":
            return text
        place = Place(self.refusals.file, mark.line + 1, mark.column + 1)
        if _INTEGER.match(text) or _BASED.match(text):
            if len(text) > 300:
                self.refusals.add_at(place, "the number has more than 300 digits", "quote it if it is text")
                return 0
            return int(text, 0) if _BASED.match(text) else int(text)
        if _FLOAT.match(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                self.refusals.add_at(place, f"{text[:40]} is too large a number", "quote it if it is text")
                return 0.0
            return number
        if _NOT_JSON.match(text):
            self.refusals.add_at(place, f"{text} is no number of JSON", "quote it if it is text, or use null")
            return 0.0
        return text

    def _alias(self, event: Any) -> Value:
        value = self.anchors.get(event.anchor)
        mark = event.start_mark
        if value is None:
            what = "contains itself" if event.anchor in self.anchors else "isn't defined above"
            self._stop(event, f"the alias *{event.anchor} {what}", "write the value out")
        assert value is not None
        self.repeated += getattr(value, "size", 1)
        if self.repeated > MAX_REPEATED:
            self._stop(event, f"aliases repeat more than {MAX_REPEATED:,} values", "write fewer aliases")
        if isinstance(value, Scalar):
            return Scalar(value.value, value.text, mark.line + 1, mark.column + 1, literal=False)
        return value

    def _key(self, value: Value, owner: Object) -> Scalar:
        if isinstance(value, Scalar):
            if value.text == "<<" and value.value == "<<":
                self.refusals.add(value, "merge keys (<<) can't be used", "write the keys out")
            if value.text or isinstance(value.value, str):
                return value
            self.refusals.add(value, "a key is missing before the colon", "name the key")
            return value
        self.refusals.add(value, "a key must be text", "write a name before the colon")
        return Scalar("", f"\0{len(owner.entries)}", value.line, value.column)
