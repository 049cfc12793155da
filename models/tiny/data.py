"""Training conversations as token ids, in batches. Knows nothing of the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import tokenizer as bpe
from conversations import render, training_examples
from skills import paraphrase
from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids and, for each, whether the model is to say it."""

    ids: list[int]
    said: list[bool]


#: Skills whose answers are taught letter by letter: turning `HELLO` into `hello` is then one letter after the other.
SPELLED = {"case"}


def spelled(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a rendered conversation with the assistant's answers in single letters."""
    opening = "<|im_start|>assistant\n"
    before, *answers = text.split(opening)
    ids = tokenizer.encode(before).ids
    for answer in answers:
        words, rest = answer.split(bpe.IM_END, 1)
        letters = [piece for letter in words for piece in tokenizer.encode(letter).ids]
        ids += [*tokenizer.encode(opening).ids, *letters, *tokenizer.encode(bpe.IM_END + rest).ids]
    return ids


def encode(tokenizer: Tokenizer, text: str, skill: str = "") -> Encoded:
    """Ids of a rendered conversation; the assistant's words and its `<|im_end|>` are marked as said."""
    ids = spelled(tokenizer, text) if skill in SPELLED else tokenizer.encode(text).ids
    start, end = tokenizer.token_to_id(bpe.IM_START), tokenizer.token_to_id(bpe.IM_END)
    opening = tokenizer.encode("assistant\n").ids
    said = [False] * len(ids)
    for i, token in enumerate(ids):
        if token == start and ids[i + 1 : i + 1 + len(opening)] == opening:
            j = i + 1 + len(opening)
            while j < len(ids):
                said[j] = True
                if ids[j] == end:
                    break
                j += 1
    return Encoded(ids, said)


def batches(tokenizer: Tokenizer, seed: str, tokens: int, longest: int = 700) -> Iterator[list[Encoded]]:
    """Endless batches of conversations of like length, about `tokens` ids each with padding."""
    stream = training_examples(seed)
    rng = Random(f"{seed}:order")
    while True:
        pool: list[Encoded] = []
        while len(pool) < 3000:
            example = next(stream)
            encoded = encode(tokenizer, render(example.messages, example.tools), example.skill)
            if len(encoded.ids) <= longest:
                pool.append(encoded)
        pool.sort(key=lambda item: len(item.ids))
        ready: list[list[Encoded]] = []
        current: list[Encoded] = []
        for item in pool:
            if current and len(item.ids) * (len(current) + 1) > tokens:
                ready.append(current)
                current = []
            current.append(item)
        rng.shuffle(ready)
        yield from ready


def pairs(tokenizer: Tokenizer, seed: str, count: int) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Endless batches of `count` paraphrases, as ids of bare text."""
    rng = Random(f"{seed}:pairs")
    while True:
        yield [
            (tokenizer.encode(one).ids, tokenizer.encode(other).ids)
            for one, other in (paraphrase.pair(rng, False) for _ in range(count))
        ]


def tokenizer_texts(seed: str, count: int) -> Iterator[str]:
    """Rendered conversations for the BPE; control tokens are taken out so that no merge spans them."""
    stream = training_examples(seed)
    for _ in range(count):
        example = next(stream)
        for message in example.messages:
            yield message["content"]
        if example.tools:
            yield (
                render(example.messages, example.tools).replace(bpe.IM_START, "\n").replace(bpe.IM_END, "\n")
            )
    for role in ("system\n", "user\n", "assistant\n", "tool\n"):
        yield from [role] * 200
