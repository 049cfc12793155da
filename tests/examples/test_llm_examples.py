"""Every example of examples/llm runs unmodified on the embedded model, and answers rightly."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from the_edge_agent.app import App
from the_edge_agent.settings import load_settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "llm"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def perform(name, folder, values=None, answers=()):
    """The run's last event; questions get the answers in order."""
    left = list(answers)

    async def answer(_question):
        return left.pop(0)

    async def go():
        environment = load_settings({"HOME": str(folder), "TEA_N_THREADS": "1"})
        async with App.open(environment=environment) as app:
            workflow = app.load(EXAMPLES / f"{name}.yaml")
            return [event async for event in app.run(workflow, values, ask=answer if answers else None)]

    last = asyncio.run(go())[-1]
    assert last.type in ("finished", "interrupted"), last
    return last


def test_hello_world_says_hello(tmp_path):
    assert "Hello" in perform("hello-world", tmp_path).state["answer"]


def test_local_chat_answers_the_question(tmp_path):
    state = perform("local-chat", tmp_path, {"question": "What is 2+2?"}).state
    assert "4" in state["answer"].replace("2+2", "").replace("2 + 2", "")
    assert [message["role"] for message in state["messages"]] == ["user", "assistant"]


def test_local_embed_finds_the_sentence_that_means_the_same(tmp_path):
    state = perform("local-embed", tmp_path).state
    assert state["answer"] == "The phone is broken."
    assert state["dimensions"] > 100
    assert len(state["scores"]) == 3


@pytest.mark.parametrize(
    ("question", "answer"),
    [("When does the library open?", "nine"), ("On which day is the pool closed?", "Monday")],
)
def test_local_rag_answers_from_the_notes(tmp_path, question, answer):
    state = perform("local-rag", tmp_path, {"question": question}).state
    assert answer in state["answer"]
    assert any(answer in note for note in state["found"])


@pytest.mark.parametrize(
    ("message", "sentiment", "answer"),
    [
        ("The food was great!", "positive", "Thank you for telling us!"),
        ("The service was terrible.", "negative", "We are sorry to hear that."),
    ],
)
def test_classify_goes_the_way_of_the_label(tmp_path, message, sentiment, answer):
    state = perform("classify", tmp_path, {"message": message}).state
    assert (state["sentiment"], state["answer"]) == (sentiment, answer)


@pytest.mark.parametrize(
    ("text", "person"),
    [
        (None, {"name": "Nina Lopez", "city": "Lisbon", "age": 34}),
        ("Tom Berg lives in Oslo and is 52 years old.", {"name": "Tom Berg", "city": "Oslo", "age": 52}),
    ],
)
def test_extract_reads_the_fields(tmp_path, text, person):
    assert perform("extract", tmp_path, {"text": text} if text else None).state["person"] == person


def test_map_reduce_counts_what_was_said(tmp_path):
    state = perform("map-reduce", tmp_path).state
    assert state["answer"] == "2 of 4 reviews are positive."
    assert state["counts"] == {"positive": 2, "negative": 2}


def test_tools_adds_with_the_tool_and_tells_the_sum(tmp_path):
    state = perform("tools", tmp_path).state
    assert [(call["arguments"], call["result"]) for call in state["calls"]] == [({"a": 137, "b": 455}, 592)]
    assert "592" in state["answer"]


def test_human_approval_waits_for_a_person(tmp_path):
    waiting = perform("human-approval", tmp_path)
    assert waiting.type == "interrupted"
    assert waiting.question["kind"] == "confirm"
    assert "Hello" in waiting.question["prompt"]


@pytest.mark.parametrize(("said", "answer"), [("yes", "sent: Hello"), ("no", "not sent")])
def test_human_approval_does_what_the_person_said(tmp_path, said, answer):
    assert perform("human-approval", tmp_path, answers=[said]).state["answer"].startswith(answer)


def test_the_command_line_runs_an_example_too(tmp_path):
    command = [sys.executable, "-m", "the_edge_agent.cli", "run", EXAMPLES / "hello-world.yaml"]
    result = subprocess.run(
        command,
        check=False,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert "Hello" in result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_example_explains_itself(name):
    text = (EXAMPLES / f"{name}.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../../docs/schema/agent.schema.json\n")
    assert f"tea run examples/llm/{name}.yaml" in text
    assert {"name", "description"} <= set(yaml.safe_load(text))
