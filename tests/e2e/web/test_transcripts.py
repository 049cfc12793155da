"""Every example of examples/llm gives the same transcript in a browser as natively, byte for byte."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.web import build
from tests.e2e.web.transcript import transcript

from the_edge_agent.app import App, AppOptions
from the_edge_agent.settings import load_settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples/llm"
MODEL = ROOT / "src/the_edge_agent/store/embedded/tiny.gguf"
RUNS: tuple[tuple[str, dict[str, Any], tuple[Any, ...]], ...] = (
    ("hello-world", {}, ()),
    ("local-chat", {"question": "What is 2+2?"}, ()),
    ("local-embed", {}, ()),
    ("local-rag", {}, ()),
    ("local-rag", {"question": "On which day is the pool closed?"}, ()),
    ("classify", {}, ()),
    ("classify", {"message": "The service was terrible."}, ()),
    ("extract", {}, ()),
    ("map-reduce", {}, ()),
    ("tools", {}, ()),
    ("human-approval", {}, ()),
    ("human-approval", {}, ("yes",)),
)


def test_every_example_is_compared():
    assert {name for name, _, _ in RUNS} == {path.stem for path in EXAMPLES.glob("*.yaml")}


@pytest.mark.parametrize(
    ("browser", "isolated"), [("chromium", True), ("chromium", False), ("firefox", True)]
)
def test_the_examples_give_the_native_transcripts(browser: str, isolated: bool, tmp_path: Path):
    told = in_browser(browser, isolated=isolated)
    assert told["isolated"] is isolated
    assert told["strangers"] in ([], None), "a request left the origin"
    for (name, values, answers), run in zip(RUNS, told["runs"], strict=True):
        assert run["error"] is None, (name, run["error"])
        expected = natively(name, json.dumps(values), json.dumps(answers))
        assert transcript(run["events"]) == expected, (browser, name, values)


def test_scores_are_those_of_the_native_engine_but_for_rounding():
    told = in_browser("chromium", isolated=True)
    index = [name for name, _, _ in RUNS].index("local-embed")
    scores = told["runs"][index]["events"][-1]["state"]["scores"]
    native = native_events("local-embed", "{}", "[]")[-1]["state"]["scores"]
    assert scores == pytest.approx(native, abs=0.01)


@cache
def in_browser(browser: str, *, isolated: bool) -> dict[str, Any]:
    """What the page told of all runs."""
    node = shutil.which("node")
    assert node, "node is missing: sudo make system-deps"
    web = build.package()
    runs = [
        {"yaml": (EXAMPLES / f"{name}.yaml").read_text(), "input": values, "answers": list(answers)}
        for name, values, answers in RUNS
    ]
    job = {"browser": browser, "isolated": isolated, "model": str(MODEL), "runs": runs}
    done = subprocess.run(
        [node, "tests/e2e/agents.js"],
        cwd=web, input=json.dumps(job), capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout)


def natively(name: str, values: str, answers: str) -> str:
    return transcript(native_events(name, values, answers))


@cache
def native_events(name: str, values: str, answers: str) -> list[dict[str, Any]]:
    left = json.loads(answers)

    async def answer(_question: object) -> Any:
        return left.pop(0)

    async def go(home: str) -> list[dict[str, Any]]:
        environment = load_settings({"HOME": home, "TEA_N_THREADS": "1"})
        async with App.open(AppOptions(backend="local"), environment) as app:
            workflow = app.load(EXAMPLES / f"{name}.yaml")
            asker = answer if left else None
            return [event.to_json() async for event in app.run(workflow, json.loads(values), ask=asker)]

    import tempfile

    with tempfile.TemporaryDirectory() as home:
        return asyncio.run(go(home))
