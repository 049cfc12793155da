"""Choosing a tool and filling its arguments; plain answers where no tool fits; a sentence after the result.

A tool is drawn from families; its name, description and parameter names vary, so that what stands in the prompt must
be read. Held out: one user wording in six by hash; values are mostly made up. `UNSEEN_TOOLS` are whole families
that training never shows; they are scored apart.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from skills import words
from skills.example import Example, assistant, draw, say, system, user
from skills.tool_families import FAMILIES, UNSEEN_FAMILIES, Family
from skills.tool_wordings import MORE

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant with tools.",
    "Use the tools when they help.",
    "Be brief.",
    "You are an agent. Use tools when needed.",
    "You help the user with tasks.",
)
NO_TOOL = "I have no tool for that."


def slot_value(rng: Random, kind: str, held_out: bool) -> Any:
    """A value for a parameter kind of `tool_families.py`."""
    match kind:
        case "city":
            return rng.choice(words.CITIES) if rng.random() < 0.7 else words.made_up_name(rng)
        case "person":
            return (
                draw(rng, words.FIRST_NAMES, held_out, 5) if rng.random() < 0.6 else words.made_up_name(rng)
            )
        case "number":
            return rng.randint(0, 10 ** rng.choice((1, 2, 2, 3)) - 1)
        case "small":
            return rng.randint(1, 60)
        case "time":
            return words.time_text(rng)
        case "date":
            return rng.choice((*words.DAYS, "tomorrow", "today", words.date_text(rng)))
        case "item":
            return rng.choice(words.ITEMS) if rng.random() < 0.7 else words.made_up_word(rng)
        case "topic":
            return (
                " ".join(rng.choice(words.ADJECTIVES + words.NOUNS) for _ in range(rng.randint(1, 2)))
                if rng.random() < 0.8
                else words.made_up_word(rng)
            )
        case "phrase":
            return " ".join(rng.choice(words.NOUNS + words.ADJECTIVES) for _ in range(rng.randint(2, 4)))
        case "file":
            return f"{rng.choice(words.NOUNS) if rng.random() < 0.6 else words.made_up_word(rng)}.{rng.choice(('txt', 'md', 'csv', 'json', 'yaml'))}"
        case "email":
            return words.email_text(rng, words.made_up_word(rng))
        case "order":
            return rng.choice((str(rng.randint(100, 99999)), f"A{rng.randint(10, 9999)}"))
        case "room":
            return rng.choice(
                ("kitchen", "bedroom", "living room", "hall", "office", "bathroom", "garage", "garden")
            )
        case "language":
            return rng.choice(
                ("French", "German", "Spanish", "Italian", "Portuguese", "Japanese", "Polish", "Dutch")
            )
        case "currency":
            return rng.choice(("EUR", "USD", "GBP", "JPY", "BRL", "CHF"))
        case "expression":
            a, b = rng.randint(0, 999), rng.randint(0, 999)
            return f"{a} {rng.choice('+-*/')} {b}"
        case _:
            raise ValueError(kind)


def declare(rng: Random, family: Family, *, renamed: float = 0.0) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A tool in OpenAI's shape and the names its parameters go by here.

    `renamed` is how often a name is made up: what can't be remembered has to be read.
    """
    names = tuple(
        words.made_up_word(rng, 1, 2) if rng.random() < renamed / 2 else rng.choice(choices)
        for choices, _, _ in family.parameters
    )
    properties = {
        name: {"type": "integer" if kind in {"number", "small"} else "string"}
        for name, (_, kind, _) in zip(names, family.parameters, strict=True)
    }
    required = [name for name, (_, _, optional) in zip(names, family.parameters, strict=True) if not optional]
    parameters: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    name = rng.choice(family.names)
    if rng.random() < renamed:
        name = rng.choice(
            (
                words.made_up_word(rng),
                f"{words.made_up_word(rng, 1, 2)}_{rng.choice(words.NOUNS)}",
                f"{name}_{rng.randint(1, 9)}",
            )
        )
    function = {
        "name": name,
        "description": rng.choice(family.descriptions),
        "parameters": parameters,
    }
    return {"type": "function", "function": function}, names


def call_text(name: str, arguments: dict[str, Any]) -> str:
    filled = ", ".join(f'"{key}": {json.dumps(value)}' for key, value in arguments.items())
    return f'<tool_call>{{"name": "{name}", "arguments": {{{filled}}}}}</tool_call>'


def tool_use(
    rng: Random, held_out: bool, families: tuple[Family, ...] = FAMILIES, skill: str = "tools"
) -> Example:
    """A question that a tool answers, or one that none does, or the sentence after the result."""
    offered = rng.sample(families, min(len(families), rng.choice((1, 1, 2, 2, 2, 3))))
    family = rng.choice(offered)
    declared = {id(f): declare(rng, f, renamed=0.0 if held_out else 0.35) for f in offered}
    tools = tuple(declared[id(f)][0] for f in offered)
    start = [system(rng.choice(SYSTEMS))] if rng.random() < 0.3 else []
    # A refusal is short beside a call, so training sees it more often than the evaluation asks for it.
    if rng.random() < (0.14 if held_out else 0.42):
        question, answer = plain(rng, held_out, offered)
        return Example(
            skill, (*start, user(question), assistant(answer)), "number" if "=" in answer else "exact", tools
        )
    question, call, values = ask(rng, family, declared[id(family)], held_out)
    turns = [*start, user(question), assistant(call)]
    if rng.random() < 0.25:
        result, sentence = family.outcome(rng, values)
        turns += [{"role": "tool", "content": result}, assistant(sentence)]
        return Example(skill, tuple(turns), "exact", tools)
    if not held_out:
        # Further questions under one list of tools cost few tokens.
        for _ in range(rng.choice((0, 1, 1, 2))):
            family = rng.choice(offered)
            question, call, _ = ask(rng, family, declared[id(family)], held_out)
            turns += [user(question), assistant(call)]
    return Example(skill, tuple(turns), "tool", tools)


def ask(
    rng: Random, family: Family, declared: tuple[dict[str, Any], tuple[str, ...]], held_out: bool
) -> tuple[str, str, list[Any]]:
    """A question for this tool, the call that answers it, and the values in both."""
    tool, names = declared
    wording = _wording(rng, family, held_out)
    values = [slot_value(rng, kind, held_out) for _, kind, _ in family.parameters]
    question = say(rng, wording, 0.3, **{f"p{i}": value for i, value in enumerate(values)})
    arguments = {names[i]: values[i] for i in range(len(values)) if f"{{p{i}}}" in wording}
    return question, call_text(tool["function"]["name"], arguments), values


def _wording(rng: Random, family: Family, held_out: bool) -> str:
    if not held_out and rng.random() < 0.45:
        return rng.choice(MORE[family.names[0]])
    return draw(rng, family.wordings, held_out, 6)


def plain(rng: Random, held_out: bool, offered: list[Family]) -> tuple[str, str]:
    """A question that none of the offered tools answers."""
    kind = rng.random()
    if kind < (0.3 if held_out else 0.15):
        return rng.choice(
            (
                ("Hello", "Hello! How can I help you?"),
                ("Hi!", "Hello! How can I help you?"),
                ("Thanks!", "You're welcome!"),
                ("thank you", "You're welcome!"),
                ("Good morning", "Good morning! How can I help you?"),
            )
        )
    others = [family for family in FAMILIES if not any(family.kind == f.kind for f in offered)]
    family = rng.choice(others)
    wording = _wording(rng, family, held_out)
    slots = {f"p{i}": slot_value(rng, k, held_out) for i, (_, k, _) in enumerate(family.parameters)}
    return say(rng, wording, 0.3, **slots), NO_TOOL


def tools(rng: Random, held_out: bool) -> Example:
    return tool_use(rng, held_out)


def unseen_tools(rng: Random, held_out: bool) -> Example:
    """Families that training never shows; evaluation only."""
    if not held_out:
        raise ValueError("unseen_tools is never trained on")
    while True:
        example = tool_use(rng, True, UNSEEN_FAMILIES, "unseen tools")
        if example.check == "tool":
            return example
