"""Training conversations and the held-out ones, without overlap, and the chat template that renders them.

Conversations are made on the fly from a seed. Knows nothing of tokens or of the network; needs Jinja2 alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment
from skills.catalogue import SKILLS
from skills.example import Example, Message, system

TEMPLATE_PATH = Path(__file__).with_name("chat_template.jinja")
HELD_OUT_SEED = 20_250_101
SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful AI assistant.",
    "You are a concise assistant.",
    "Be brief.",
    "You are tea-tiny.",
    "You are a friendly assistant.",
    "Answer shortly.",
    "You are a helpful assistant that runs on the user's machine.",
    "You are an agent of The Edge Agent.",
    "Answer the user's questions.",
    "You are a polite and careful assistant.",
    "Keep your answers short.",
    "You are a bot.",
    "You answer in one sentence.",
    "You are an expert.",
    "Help the user.",
    "You are a customer service agent.",
    "Do what the user says.",
    "You are a smart assistant. Be precise.",
    "Today is a good day. You are a helpful assistant.",
)
JOINABLE = {
    "boot check",
    "addition",
    "subtraction",
    "multiplication",
    "copy",
    "case",
    "greeting",
    "capitals",
    "days",
    "product",
    "says it can't",
    "sentiment",
    "intent",
    "extraction",
    "context",
}


@lru_cache(maxsize=1)
def _template() -> Any:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE_PATH.read_text())


def render(
    messages: tuple[Message, ...],
    tools: tuple[dict[str, Any], ...] = (),
    *,
    add_generation_prompt: bool = False,
) -> str:
    return _template().render(
        messages=list(messages), tools=list(tools), add_generation_prompt=add_generation_prompt
    )


def prompt_text(example: Example) -> str:
    return render(example.prompt, example.tools, add_generation_prompt=True)


def normalised(text: str) -> str:
    """Letters and digits alone, so that case and punctuation make no new prompt."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def prompt_keys(example: Example) -> Iterator[str]:
    """A key for every question in the conversation: system text, tools and that user turn."""
    before = " ".join(m["content"] for m in example.messages if m["role"] == "system")
    offered = json.dumps(example.tools) if example.tools else ""
    for message in example.messages:
        if message["role"] == "user":
            key = normalised(f"{before} {message['content']} {offered}")
            # Two examples of `What is my name?` differ in what came before.
            yield (
                normalised(f"{key} {example.messages[0]['content']}")
                if example.skill == "name memory"
                else key
            )


@lru_cache(maxsize=1)
def held_out() -> dict[str, tuple[Example, ...]]:
    """The evaluation's conversations by skill, always the same."""
    found: dict[str, tuple[Example, ...]] = {}
    for skill in SKILLS:
        rng = Random(f"{HELD_OUT_SEED}:{skill.name}")
        chosen: dict[str, Example] = {}
        for _ in range(skill.cases * 30):
            example = skill.generate(rng, True)
            chosen.setdefault(list(prompt_keys(example))[-1], example)
            if len(chosen) == skill.cases:
                break
        found[skill.name] = tuple(chosen.values())
    return found


@lru_cache(maxsize=1)
def held_out_keys() -> frozenset[str]:
    return frozenset(
        list(prompt_keys(example))[-1] for examples in held_out().values() for example in examples
    )


def training_examples(seed: str) -> Iterator[Example]:
    """An endless stream; nothing in it asks a held-out question."""
    rng = Random(seed)
    trained = [skill for skill in SKILLS if skill.share > 0]
    shares = [skill.share for skill in trained]
    forbidden = held_out_keys()

    def one() -> Example:
        while True:
            example = rng.choices(trained, shares)[0].generate(rng, False)
            if forbidden.isdisjoint(prompt_keys(example)):
                return example

    while True:
        example = one()
        plain = not example.tools and example.messages[0]["role"] != "system"
        if plain and example.skill in JOINABLE and rng.random() < 0.08:
            messages = list(example.messages)
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 8))):
                other = one()
                if not other.tools and other.messages[0]["role"] != "system" and other.skill in JOINABLE:
                    messages += other.messages
            example = Example("mixed", tuple(messages))
        if plain and rng.random() < 0.25:
            example = Example(example.skill, (system(rng.choice(SYSTEMS)), *example.messages), example.check)
            if not forbidden.isdisjoint(prompt_keys(example)):
                continue
        yield example
