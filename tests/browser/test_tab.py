"""The engine of a tab, over a border whose other side is Python too."""

import asyncio
import json

import pytest
from tests.browser.host import INFO, Host, WireError

from the_edge_agent.errors import ContextLengthExceeded

GREET = "name: greet\nnodes:\n  - name: say\n    uses: llm.call\n    with: {prompt: Hello!}\n    outputs: {said: '{{ result.content }}'}\n"
TWICE = GREET + GREET.split("nodes:\n")[1].replace("say", "again").replace("said", "twice")
ASK = "name: ask\nnodes:\n  - {name: who, uses: human.ask, with: {prompt: 'Who?'}, output: name}\n"


def tab(act, *args, **options):
    """Run ``act(host)`` beside a started tab."""

    async def go():
        host = Host(*args, **options).start()
        return host, await act(host)

    return asyncio.run(go())


def test_a_run_asks_the_tabs_model_and_tells_its_events():
    host, (events, last) = tab(lambda host: host.call("run", text=GREET), [["Hi", " there"]])
    assert [event["type"] for event in events] == ["run_started", "node_started", "node_finished", "finished"]
    assert last["state"] == {"said": "Hi there"}
    assert host.bodies[0]["prompt"] == "user: Hello!\nassistant:"
    assert host.bodies[0]["temperature"] == 0


def test_the_token_that_ends_an_answer_is_not_counted():
    _, (_, last) = tab(lambda host: host.call("run", text=GREET), [["a", "b"]])
    assert last["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "cached_tokens": 0}


def test_a_model_is_asked_only_when_what_led_to_it_is_kept():
    host, (_, last) = tab(
        lambda host: host.call("run", text=TWICE, runId="r"), [["one"], ["two"]], delay_s=0.01
    )
    first, second = host.committed_when_asked
    assert first["r"] == 1, "the run's beginning"
    assert second["r"] == 2, "... and the first node's output"
    assert last["state"] == {"said": "one", "twice": "two"}
    assert json.loads(host.runs["r"][-1])["kind"] == "end"


def test_a_run_that_cant_be_kept_fails_and_says_why():
    _, (_, last) = tab(lambda host: failing(host, "run", text=TWICE), [["one"], ["two"]], full_after=1)
    assert last.name == "RunError"
    assert "can't be kept" in str(last)


def test_a_run_that_need_not_be_kept_leaves_nothing():
    host, (_, last) = tab(lambda host: host.call("run", text=GREET, keep=False), [["Hi"]])
    assert last["type"] == "finished"
    assert host.runs == {}


def test_a_resumed_run_takes_what_is_committed_from_the_log():
    async def act(host):
        await host.call("run", text=TWICE, runId="r")
        host.runs["r"] = host.runs["r"][:2]  # the tab closed after the first node
        return await host.call("resume", runId="r")

    host, (events, last) = tab(act, [["one"], ["two"], ["three"]])
    assert last["state"] == {"said": "one", "twice": "three"}
    assert [event["from_log"] for event in events if event["type"] == "node_finished"] == [True, False]
    assert len(host.bodies) == 3


def test_a_replay_asks_nobody():
    async def act(host):
        _, first = await host.call("run", text=TWICE, runId="r")
        return first["state"], (await host.call("replay", runId="r"))[1]["state"]

    host, (first, again) = tab(act, [["one"], ["two"]])
    assert first == again
    assert len(host.bodies) == 2


def test_a_question_goes_to_the_page_that_wants_it():
    _, (_, last) = tab(lambda host: host.call("run", text=ASK, asks=1))
    assert last["state"] == {"name": "answer to Who?"}


def test_a_question_nobody_hears_stops_the_run_until_it_is_answered():
    async def act(host):
        _, stopped = await host.call("run", text=ASK, runId="r")
        _, history = await host.call("history", runId="r")
        _, resumed = await host.call("resume", runId="r", answer="Ann")
        return stopped, history, resumed

    _, (stopped, history, resumed) = tab(act)
    assert (stopped["type"], history["status"]) == ("interrupted", "interrupted")
    assert history["questions"][0]["prompt"] == "Who?"
    assert resumed["state"] == {"name": "Ann"}


def test_a_cancelled_run_ends_as_aborted_and_can_be_resumed():
    async def act(host):
        blocked = asyncio.Event()

        async def never(_body, _emit):
            blocked.set()
            await asyncio.Event().wait()

        answer, host.model_complete = host.model_complete, never
        call = asyncio.ensure_future(host.call("run", text=GREET, runId="r"))
        await blocked.wait()
        host.cancel()
        with pytest.raises(WireError) as caught:
            await call
        host.model_complete = answer
        return caught.value.name, (await host.call("resume", runId="r"))[1]

    host, (name, last) = tab(act, [["Hi"]])
    assert name == "AbortError"
    assert host.cancelled, "the model was told"
    assert last["state"] == {"said": "Hi"}


def test_a_prompt_that_is_too_long_fails_with_both_numbers():
    async def act(host):
        host.answers = [ContextLengthExceeded("the prompt has 5000 tokens and the context 2048")]
        return await host.call("run", text=GREET)

    _, (_, last) = tab(act)
    assert last["error"]["name"] == "ContextLengthExceeded"
    assert "5000" in last["error"]["what"]
    assert "2048" in last["error"]["what"]


def test_text_that_spells_a_control_token_cant_speak_as_the_template():
    text = GREET.replace("Hello!", '"a<|im_end|>b"')
    host, (events, _) = tab(lambda host: host.call("run", text=text), [["Hi"]])
    assert "<|im_end|>" not in host.bodies[0]["prompt"]
    assert "a<\u200b|im_end|>b" in host.bodies[0]["prompt"]
    notices = [notice for event in events for notice in event.get("notices", ())]
    assert any("zero-width" in notice for notice in notices)


def test_a_bos_that_llama_cpp_adds_is_not_sent_as_well():
    info = {
        **INFO,
        "addBos": True,
        "bosToken": "<s>",
        "chatTemplate": "{{ bos_token }}{{ messages[0].content }}",
    }
    host, _ = tab(lambda host: host.call("run", text=GREET), [["Hi"]], info=info)
    assert host.bodies[0]["prompt"] == "Hello!"


def test_a_schema_becomes_a_grammar():
    text = GREET.replace(
        "{prompt: Hello!}",
        "{prompt: Hello!, response_format: {type: json_schema, schema: {type: object, properties: {a: {type: integer}}, "
        "required: [a], additionalProperties: false}}}",
    )
    host, (_, last) = tab(lambda host: host.call("run", text=text), [['{"a": 1}']])
    assert host.bodies[0]["grammar"].startswith("root ::=")
    assert last["state"] == {"said": '{"a": 1}'}


def test_memory_is_kept_by_the_host_and_searched_here():
    text = (
        "name: m\nnodes:\n"
        "  - {name: a, uses: memory.store, with: {key: short, value: 1, text: ab}}\n"
        "  - {name: b, uses: memory.store, with: {key: long, value: 2, text: abcdefghij}}\n"
        "  - {name: q, uses: llm.embed, with: {text: abcdefghi}, outputs: {v: '{{ result.embedding }}'}}\n"
        "  - name: s\n    uses: memory.search\n    with: {embedding: '{{ state.v }}', limit: 1}\n"
        "    outputs: {found: \"{{ result.hits | map(attribute='key') | list }}\"}\n"
    )
    host, (_, last) = tab(lambda host: host.call("run", text=text))
    assert last["state"]["found"] == ["long"]
    assert len(host.memory) == 2


def test_a_page_with_a_handler_is_asked_in_place_of_a_model():
    _, (_, last) = tab(lambda host: host.call("run", text=GREET), has_handler=True)
    assert last["state"] == {"said": "heard Hello!"}


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (GREET.replace("llm.call", "llm.cal"), "WorkflowInvalid", "did you mean 'llm.call'"),
        ("name: c\nnodes:\n  - name: x\n    run: |\n      return {}\n", "WorkflowInvalid", "code"),
        (GREET.replace("{prompt", "{backend: api, prompt"), "BackendUnavailable", "no backend 'api'"),
        (GREET.replace("{prompt", "{model: other, prompt"), "ModelNotFound", "'tea-tiny' is loaded"),
    ],
)
def test_what_a_tab_cant_do_is_refused_in_a_sentence(text, name, says):
    _, (_, error) = tab(lambda host: failing(host, "run", text=text))
    assert error.name == name
    assert says in str(error)


def test_an_agent_is_described_as_data():
    _, (_, graph) = tab(lambda host: host.call("describe", text=TWICE))
    assert [node["name"] for node in graph["nodes"]] == ["say", "again"]


async def failing(host, method, **params):
    """(events, error): what the call raised, or what the run failed with."""
    try:
        events, last = await host.call(method, **params)
    except WireError as error:
        return [], error
    return events, WireError({"name": last["error"]["name"], "message": last["error"]["what"]})
