"""Questions to a person: their shape, and whether an answer fits. Pure; knows neither terminals nor logs.

A question is ``{kind, prompt, choices?, schema?, context?, node, address}``. Kinds: ``text``, ``choice``, ``confirm``
(the answer is true or false), ``json``, and ``approve`` (interrupt_before and interrupt_after: ``continue`` or
``stop``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from the_edge_agent.errors import InputInvalid, Problem
from the_edge_agent.inference import JsonObject, JsonValue

CONTINUE = "continue"
STOP = "stop"
_YES = frozenset({"yes", "y", "true", "1", "ok", CONTINUE})
_NO = frozenset({"no", "n", "false", "0", STOP})


class Interruption(BaseException):
    """Unwinds a line that has to wait for a person. No failure: ``except Exception`` must not see it."""

    def __init__(self, question: JsonObject) -> None:
        super().__init__()
        self.question = question


def approval(when: str, node: str) -> dict[str, Any]:
    """The question of ``interrupt_before`` and ``interrupt_after``; ``when`` is ``before`` or ``after``."""
    text = f"Run {node!r} now?" if when == "before" else f"{node!r} is done. Go on?"
    return {"kind": "approve", "prompt": text, "choices": [CONTINUE, STOP], "when": when}


def check_answer(question: Mapping[str, Any], answer: JsonValue) -> JsonValue:
    """The answer as the node will see it. Raises InputInvalid saying what fits."""
    kind = question.get("kind", "text")
    if kind in {"confirm", "approve"}:
        said = _yes_or_no(answer)
        if said is None:
            raise _unfit(
                question, answer, "answer continue or stop" if kind == "approve" else "answer yes or no"
            )
        return said if kind == "confirm" else (CONTINUE if said else STOP)
    if kind == "choice":
        return _one_of(question, answer)
    if kind == "json":
        schema = question.get("schema")
        if schema is None:
            return answer
        from the_edge_agent.inference.json_schema import (
            validate,  # few runs need it, and it takes time to load
        )

        problems = validate(schema, answer)
        if problems:
            raise InputInvalid(
                tuple(Problem(entry.what, f"answer{entry.place}", entry.fix) for entry in problems)
            )
        return answer
    if isinstance(answer, str):
        return answer
    if isinstance(answer, bool) or answer is None or not isinstance(answer, int | float):
        raise _unfit(question, answer, "answer with text")
    return str(answer)


def _yes_or_no(answer: JsonValue) -> bool | None:
    if answer is None:
        return None
    if isinstance(answer, bool):
        return answer
    word = str(answer).strip().lower()
    return True if word in _YES else False if word in _NO else None


def _one_of(question: Mapping[str, Any], answer: JsonValue) -> JsonValue:
    choices: list[Any] = list(question.get("choices") or ())
    for choice in choices:
        if choice == answer and type(choice) is type(answer):
            return choice
    for choice in choices:  # a terminal and a flag only have text
        if isinstance(answer, str) and str(choice).strip().lower() == answer.strip().lower():
            return choice
    raise _unfit(question, answer, f"answer one of {', '.join(map(str, choices))}")


def _unfit(question: Mapping[str, Any], answer: JsonValue, fix: str) -> InputInvalid:
    shown = repr(answer)[:80]
    return InputInvalid((Problem(f"{shown} doesn't answer {question.get('prompt')!r}", "answer", fix),))
