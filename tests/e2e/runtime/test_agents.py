"""Workflows over HTTP: started, watched, answered, cancelled. A real daemon, the embedded model."""

import json

import pytest
from tests.serving.process import daemon

pytestmark = pytest.mark.e2e

AGENT = """
name: hello
input_schema: {question: {type: string, required: true}}
nodes:
  - name: ask
    uses: llm.call
    with: {prompt: "{{ state.question }}", max_tokens: 30}
    outputs: {answer: "{{ result.content }}"}
"""
PERSON = """
name: person
nodes:
  - name: ask
    uses: human.ask
    with: {prompt: "Go on?"}
    outputs: {said: "{{ result }}"}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents")
    (folder / "hello.yaml").write_text(AGENT)
    (folder / "person.yaml").write_text(PERSON)
    config = f"agents: {{hello: {folder}/hello.yaml, person: {folder}/person.yaml}}"
    with daemon(config=config) as process, process.client() as client:
        yield client


def events_of(client, url, headers=None):
    text = client.get(url, headers=headers or {}).text
    return [json.loads(block.split("data: ", 1)[1]) for block in text.split("\n\n") if "data: " in block]


def test_a_run_is_started_watched_and_done(served):
    assert [agent["id"] for agent in served.get("/v1/agents").json()["data"]] == ["hello", "person"]
    started = served.post(
        "/v1/agents/hello/runs", json={"input": {"question": "Respond with OK if you are working."}}
    )
    assert started.status_code == 202
    events = events_of(served, started.json()["events"])
    assert (events[0]["type"], events[-1]["type"]) == ("run_started", "finished")
    assert "OK" in events[-1]["state"]["answer"]
    assert any(event["type"] == "token" for event in events)
    run = served.get(f"/v1/agents/hello/runs/{started.json()['id']}").json()
    assert (run["status"], run["state"]) == ("done", events[-1]["state"])
    behind = events_of(served, started.json()["events"], {"last-event-id": str(len(events) - 2)})
    assert behind == events[-1:]


def test_a_run_that_asks_a_person_is_resumed_with_the_answer(served):
    started = served.post("/v1/agents/person/runs", json={"run_id": "ask-1"}).json()
    assert events_of(served, started["events"])[-1]["type"] == "interrupted"
    assert served.get("/v1/agents/person/runs/ask-1").json()["question"]["prompt"] == "Go on?"
    resumed = served.post("/v1/agents/person/runs/ask-1/resume", json={"answer": "yes", "stream": True})
    assert "finished" in resumed.text
    assert served.get("/v1/agents/person/runs/ask-1").json()["state"]["said"] == "yes"


def test_a_run_is_answered_only_through_the_agent_that_it_is_of(served):
    started = served.post("/v1/agents/person/runs", json={"run_id": "ask-3"}).json()
    assert events_of(served, started["events"])[-1]["type"] == "interrupted"
    for agent in ("hello", "nobody"):
        refused = served.post(f"/v1/agents/{agent}/runs/ask-3/resume", json={"answer": "yes"})
        assert refused.status_code == 404, refused.text
    assert served.get("/v1/agents/person/runs/ask-3").json()["status"] == "interrupted"


def test_a_cancelled_run_says_so(served):
    started = served.post("/v1/agents/person/runs", json={"run_id": "ask-2"}).json()
    assert served.post(f"/v1/agents/person/runs/{started['id']}/cancel", json={}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/agents/nobody/runs", {}, 404),
        ("/v1/agents/hello/runs", {"input": {}}, 400),
        ("/v1/agents/hello/runs", {"input": "x"}, 400),
        ("/v1/agents/hello/runs", {"run_id": "../x", "input": {"question": "x"}}, 400),
        ("/v1/agents/hello/runs/none/resume", {}, 404),
        ("/v1/agents/hello/runs/none/cancel", {}, 404),
        ("/v1/agents/hello", {}, 404),
    ],
)
def test_what_can_not_be_run_is_refused(served, path, body, status):
    response = served.post(path, json=body)
    assert response.status_code == status
    assert response.json()["error"]["message"]
