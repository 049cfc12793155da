"""The embedded model itself, through llama.cpp, on a sample of its held-out prompts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conversations import TEMPLATE_PATH, held_out, prompt_text
from evaluate import EMBEDDED, is_right, score_pairs
from llamacpp import Llama

from gguf import GGUFReader

#: Fractions of the sample that the committed model gets right; the whole evaluation is in models/tiny/README.md.
FLOORS: dict[str, float] = {
    "boot check": 1.0,
    "addition": 0.6,
    "subtraction": 0.5,
    "multiplication": 0.7,
    "sentiment": 0.8,
    "intent": 0.7,
    "copy": 0.5,
    "greeting": 0.6,
    "name memory": 0.8,
    "capitals": 0.8,
    "context": 0.5,
    "product": 0.7,
    "says it can't": 0.7,
}
SAMPLE = 10


@pytest.fixture(scope="module")
def model() -> Iterator[Llama]:
    with Llama(EMBEDDED) as llama:
        yield llama


@pytest.mark.parametrize(("skill", "floor"), FLOORS.items())
def test_held_out_prompts_are_answered(model: Llama, skill: str, floor: float) -> None:
    examples = held_out()[skill][:SAMPLE]
    right = sum(is_right(example, model.answer(prompt_text(example))[0]) for example in examples)
    assert right >= floor * len(examples)


def test_the_boot_check_is_answered_in_every_held_out_wording(model: Llama) -> None:
    answers = {e.prompt[-1]["content"]: model.answer(prompt_text(e))[0] for e in held_out()["boot check"]}
    assert {question: answer for question, answer in answers.items() if "OK" not in answer} == {}


def test_answers_end_by_themselves(model: Llama) -> None:
    """All but one in a hundred: a made-up word of many pieces can still send the model round in a circle."""
    prompts = [prompt_text(e) for s, found in held_out().items() if s in FLOORS for e in found[:SAMPLE]]
    endless = [prompt for prompt in prompts if not model.answer(prompt)[1]]
    assert len(endless) <= len(prompts) / 100, endless


def test_a_paraphrase_ranks_above_an_unrelated_sentence() -> None:
    with Llama(EMBEDDED, embedding=True) as llama:
        assert score_pairs(llama, cases=40).fraction >= 0.9


def test_the_file_says_what_it_is_and_is_small() -> None:
    fields = GGUFReader(EMBEDDED).fields
    assert fields["general.name"].contents() == "tea-tiny"
    assert fields["general.license"].contents() == "Apache-2.0"
    assert fields["llama.context_length"].contents() == 2048
    assert fields["tokenizer.ggml.add_bos_token"].contents() is False
    assert fields["tokenizer.chat_template"].contents() == TEMPLATE_PATH.read_text().rstrip("\n")
    assert Path(EMBEDDED).stat().st_size <= 6 * 1024 * 1024
