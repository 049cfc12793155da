"""The picture of a run, from its events alone."""

from __future__ import annotations

from the_edge_agent.cli.run_picture import RunPicture
from the_edge_agent.engine.events import (
    Event,
    Failed,
    Finished,
    Interrupted,
    NodeFinished,
    NodeRetried,
    NodeStarted,
    RunStarted,
    Token,
)


def picture_of(*events: Event) -> RunPicture:
    picture = RunPicture()
    for event in events:
        picture.see(event)
    return picture


STARTED = RunStarted("r1", 100.0, workflow="demo")


def test_a_node_that_streams_shows_its_tokens_and_speed() -> None:
    picture = picture_of(
        STARTED,
        NodeStarted("r1", 100.0, node="ask", address="ask"),
        *(Token("r1", 101.0 + n / 10, node="ask", address="ask", text="x") for n in range(11)),
    )
    row = picture.running["ask"]
    assert row.tokens == 11
    assert row.tail == "x" * 11
    assert row.tokens_per_s(102.0) == 10


def test_a_finished_run_is_done_with_its_state_and_usage() -> None:
    outcome = picture_of(
        STARTED, Finished("r1", 102.0, state={"answer": "4"}, usage={"completion_tokens": 3}, duration_s=2.0)
    ).outcome()
    assert (outcome.status, outcome.exit_code, outcome.run_id) == ("finished", 0, "r1")
    assert outcome.to_json() == {
        "state": {"answer": "4"},
        "run": {"id": "r1", "status": "finished", "usage": {"completion_tokens": 3}, "duration_s": 2.0},
    }


def test_a_run_whose_events_just_stop_was_stopped_and_keeps_what_it_had() -> None:
    outcome = picture_of(
        STARTED,
        NodeFinished("r1", 101.0, node="a", address="a", updates={"x": 1}, usage={"prompt_tokens": 2}),
        NodeStarted("r1", 101.0, node="b", address="b"),
    ).outcome()
    assert (outcome.status, outcome.exit_code, outcome.node) == ("stopped", 130, "b")
    assert outcome.state == {"x": 1}
    assert outcome.usage == {"prompt_tokens": 2}
    assert outcome.duration_s == 1.0


def test_a_run_that_waits_carries_its_question_and_exits_with_3() -> None:
    outcome = picture_of(STARTED, Interrupted("r1", 101.0, node="ask", question={"prompt": "Go?"})).outcome()
    assert (outcome.exit_code, outcome.to_json()["run"]["question"]) == (3, {"prompt": "Go?"})


def test_a_failed_run_carries_its_error_and_exits_with_1() -> None:
    outcome = picture_of(STARTED, Failed("r1", 101.0, node="a", error={"name": "HttpFailed"})).outcome()
    assert (outcome.exit_code, outcome.to_json()["run"]["error"]) == (1, {"name": "HttpFailed"})


def test_a_retry_forgets_the_text_of_the_failed_attempt() -> None:
    picture = picture_of(
        STARTED,
        Token("r1", 100.0, node="a", address="a", text="half"),
        NodeRetried("r1", 100.5, node="a", address="a", attempt=1, wait_s=2.0, error={"what": "broken"}),
    )
    row = picture.running["a"]
    assert (row.tail, row.attempt) == ("", 2)
    assert row.note == "attempt 1 failed (broken); again in 2 s"
