"""What the embedded model is trained on, and what is kept from it."""

from __future__ import annotations

from itertools import islice

import pytest
from conversations import held_out, held_out_keys, prompt_keys, prompt_text, render, training_examples
from skills.arithmetic import pair_is_held_out
from skills.catalogue import SKILLS
from skills.example import Example

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def training() -> list[Example]:
    return list(islice(training_examples("a seed of the tests"), 3000))


def test_no_held_out_question_is_in_training(training: list[Example]) -> None:
    kept = held_out_keys()
    assert not [key for example in training for key in prompt_keys(example) if key in kept]


def test_no_held_out_sum_is_in_training(training: list[Example]) -> None:
    equations = [
        message["content"].split(" = ")[0].split(" ")
        for example in training
        if example.skill in {"addition", "subtraction"}
        for message in example.messages
        if message["role"] == "assistant" and " = " in message["content"]
    ]
    assert len(equations) > 500
    assert not [(a, op, b) for a, op, b in equations if pair_is_held_out(int(a), int(b), op)]


@pytest.mark.parametrize("skill", [skill.name for skill in SKILLS])
def test_every_skill_has_held_out_questions(skill: str) -> None:
    assert len(held_out()[skill]) >= 16


def test_the_boot_check_has_fifty_held_out_wordings() -> None:
    assert len(held_out()["boot check"]) == 50


def test_one_seed_gives_one_stream() -> None:
    assert list(islice(training_examples("7"), 50)) == list(islice(training_examples("7"), 50))


def test_the_template_lists_tools_one_a_line_after_the_system_text() -> None:
    text = render(({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}), (WEATHER,))
    assert text.startswith(
        "<|im_start|>system\nBe brief.\n\n# Tools\n"
        '{"name": "get_weather", "description": "Get the weather", "parameters": {"city": "string", "unit": "C|F?"}}\n'
    )
    assert text.endswith("<|im_start|>user\nHi<|im_end|>\n")


@pytest.mark.parametrize("arguments", ['{"city": "Rome"}', {"city": "Rome"}])
def test_a_tool_call_reads_the_same_from_text_and_from_an_object(arguments: object) -> None:
    call = {"type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    text = render(
        (
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        )
    )
    assert text.endswith(
        '<|im_start|>assistant\n<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call><|im_end|>\n'
    )


def test_a_prompt_ends_where_the_assistant_begins() -> None:
    assert prompt_text(held_out()["addition"][0]).endswith("<|im_end|>\n<|im_start|>assistant\n")
