"""Whole runs beside an API that would gladly answer: what reaches it, and what never does."""

import asyncio

import pytest
from tests.backends.fake_api import HELLO, answer, fake_api, stream

from the_edge_agent.app import App, AppOptions
from the_edge_agent.settings import load_settings
from the_edge_agent.workflow.nodes import Workflow

KEY = "sk-never-to-be-seen-0815"
AGENT = """
name: private
settings: {{llm: {{model: phi-4-mini{settings}}}}}
nodes:
  - name: ask
    uses: {uses}
    with: {{{text}: my secret diary{words}}}
    output: result
"""


def perform(tmp_path, *, settings="", words="", flags=None, uses="llm.call", raw=None, environ=None):
    """The last event, what the API saw, and every byte that was kept or told."""

    async def go():
        async with fake_api(raw or stream(*HELLO)) as api:
            text = AGENT.format(
                settings=settings, words=words, uses=uses, text="text" if uses == "llm.embed" else "prompt"
            )
            environment = load_settings(
                {"HOME": str(tmp_path), "TEA_API_BASE_URL": api.url, "OPENAI_API_KEY": KEY, **(environ or {})}
            )
            async with App.open(AppOptions(**(flags or {})), environment) as app:
                events = [event async for event in app.run(Workflow.parse(text), {})]
            return events[-1], api.seen, repr([event.to_json() for event in events])

    last, seen, told = asyncio.run(go())
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert kept
    assert KEY not in told
    assert KEY.encode() not in kept
    return last, seen


@pytest.mark.parametrize("uses", ["llm.call", "llm.chat", "llm.stream", "llm.embed"])
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"words": ", privacy: may-leave"},
        {"settings": ", fallback: api", "words": ", privacy: local-only"},
        {"settings": ", backend: api", "words": ", privacy: local-only"},
        {"words": ", backend: api, privacy: local-only"},
        {"flags": {"backend": "api"}, "words": ", privacy: local-only"},
        {"settings": ", fallback: api", "flags": {"backend": "local"}},
        {"settings": ", fallback: api", "environ": {"TEA_OFFLINE": "1"}},
    ],
)
def test_a_private_prompt_never_goes_to_the_api_without_leave(tmp_path, uses, said):
    last, seen = perform(tmp_path, uses=uses, **said)
    assert last.type == "failed"
    assert seen == []


@pytest.mark.parametrize(
    "said",
    [
        {"settings": ", backend: api"},
        {"words": ", backend: api"},
        {"flags": {"backend": "api"}},
        {"settings": ", backend: api", "words": ", privacy: may-leave"},
    ],
)
def test_with_leave_the_api_answers(tmp_path, said):
    last, seen = perform(tmp_path, **said)
    assert last.type == "finished"
    assert last.state["result"]["content"] == "Hello"
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_fallback_shows_in_the_result(tmp_path):
    last, _ = perform(tmp_path, settings=", fallback: api")
    (notice,) = last.state["result"]["notices"]
    assert notice.startswith("the API answers: ")
    assert "phi-4-mini" in notice


def test_a_key_that_the_api_repeats_reaches_no_log_and_no_event(tmp_path):
    raw = answer(401, body={"error": {"message": f"Incorrect API key provided: {KEY}"}})
    last, seen = perform(tmp_path, settings=", backend: api", raw=raw)
    assert last.error["name"] == "AuthFailed"
    assert len(seen) == 1
