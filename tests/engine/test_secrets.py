import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.build import call, drive, go_on, loop, repeat, sets, sub, workflow

from the_edge_agent.actions.human import ask as human_ask
from the_edge_agent.engine.events import Token
from the_edge_agent.engine.memory_log import MemoryLog
from the_edge_agent.engine.ports import Ports
from the_edge_agent.engine.secrets import Redactor, StreamRedactor
from the_edge_agent.errors import ActionError, SettingInvalid
from the_edge_agent.workflow.nodes import Config

SECRET = 'sk-"very"-secret/1 2'
PORTS = Ports(secrets={"KEY": SECRET})


def told_text(told) -> str:
    return json.dumps([event.to_json() for event in told.events])


def traces(text: str) -> list[str]:
    forms = [SECRET, json.dumps(SECRET)[1:-1], json.dumps(json.dumps(SECRET)[1:-1])[1:-1], "sk-%22very%22"]
    return [form for form in forms if form in text]


def test_an_action_gets_the_secret_and_nobody_else_does() -> None:
    seen: list[object] = []

    async def use(params, context):
        seen.append(params["value"])
        context.emit_token("it is " + SECRET)
        context.report.notices.append(f"used {SECRET}")
        return {
            "echo": params["value"],
            SECRET: "as a key",
            "url": "https://x/?k=sk-%22very%22-secret%2F1%202",
        }

    log = MemoryLog("r")
    made = workflow(
        call("a", "use", params={"value": "Bearer {{ secrets.KEY }}"}), sets("b", "copy", "secrets.KEY")
    )
    told = drive(made, log=log, actions={"use": use}, ports=PORTS)
    assert seen == [f"Bearer {SECRET}"]
    assert told.state["a"]["echo"] == "Bearer ***"
    assert told.state["copy"] == "***"
    assert traces(told_text(told)) == []
    assert traces(json.dumps(log.records())) == []


def test_a_resumed_run_sees_what_the_undisturbed_one_saw() -> None:
    made = workflow(sets("a", "copy", "'<' + secrets.KEY + '>'"), sets("b", "size", "state.copy | length"))
    log = MemoryLog("r")
    whole = drive(made, log=log, ports=PORTS)
    cut = MemoryLog("r", log.records()[:2])
    assert go_on(made, cut, ports=PORTS).state == whole.state == {"copy": "<***>", "size": 5}


def test_a_replay_needs_no_secrets() -> None:
    inner = workflow(sets("x", "size", "state.key | length"))
    made = workflow(
        sub("s", inner, {"key": "{{ secrets.KEY }}"}),
        loop("w", "secrets.KEY and (state.n or 0) < 2", sets("i", "n", "(state.n or 0) + 1")),
    )
    log = MemoryLog("r")
    whole = drive(made, log=log, ports=PORTS)
    assert whole.state["s"] == {"key": "***", "size": 3}
    assert repeat(made, log).state == whole.state


def test_a_secret_in_the_input_does_not_enter_the_log() -> None:
    log = MemoryLog("r")
    told = drive(workflow(sets("a", "n", "1")), {"key": SECRET}, log=log, ports=PORTS)
    assert told.state["key"] == "***"
    assert traces(json.dumps(log.records())) == []


@pytest.mark.parametrize(
    "error", [ValueError(f"bad key {SECRET}"), ActionError(f"bad key {SECRET}", fix=f"not {SECRET}")]
)
def test_errors_do_not_tell_it(error: Exception) -> None:
    async def act(_params, _context):
        raise error

    log = MemoryLog("r")
    told = drive(workflow(call("a", "act")), log=log, actions={"act": act}, ports=PORTS)
    assert "***" in told.error["what"]
    assert traces(told_text(told)) == []
    assert traces(json.dumps(log.records())) == []


def test_a_raised_error_does_not_tell_it_not_even_through_its_cause() -> None:
    async def act(_params, _context):
        raise ValueError(f"bad key {SECRET}")

    made = workflow(call("a", "act"), config=Config(raise_exceptions=True))
    with pytest.raises(Exception, match=r"\*\*\*") as caught:
        drive(made, actions={"act": act}, ports=PORTS)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in repr(error)
        error = error.__cause__ or error.__context__


def test_a_question_and_its_answer_do_not_tell_it() -> None:
    made = workflow(call("q", "human.ask", params={"prompt": "Is it {{ secrets.KEY }}?"}))
    log = MemoryLog("r")
    told = drive(made, log=log, actions={"human.ask": human_ask}, ports=PORTS)
    assert told.question["prompt"] == "Is it ***?"
    again = go_on(made, log, answer=f"yes, {SECRET}", actions={"human.ask": human_ask}, ports=PORTS)
    assert again.state == {"q": "yes, ***"}
    assert traces(json.dumps(log.records())) == []


def test_a_secret_that_is_streamed_in_pieces_is_still_masked() -> None:
    async def speak(_params, context):
        for piece in ("the key ", SECRET[:5], SECRET[5:9], SECRET[9:], " is long; sk", "y"):
            context.emit_token(piece)

    told = drive(workflow(call("a", "speak", stream=True)), actions={"speak": speak}, ports=PORTS)
    assert "".join(event.text for event in told.of(Token)) == "the key *** is long; sky"


@given(
    st.lists(st.text(st.sampled_from("abcd"), max_size=4)),
    st.text(st.sampled_from("abcd"), min_size=4, max_size=6),
)
def test_pieces_come_out_like_the_whole(pieces: list[str], secret: str) -> None:
    redactor = Redactor({"S": secret})
    stream = StreamRedactor(redactor)
    out = "".join([*map(stream.feed, pieces), stream.flush()])
    assert secret not in out
    assert out == redactor.text("".join(pieces)) or "***" in out


def test_a_secret_too_short_to_be_kept_out_is_refused() -> None:
    with pytest.raises(SettingInvalid, match="'PIN'"):
        Redactor({"PIN": "123"})


def test_an_empty_secret_is_none() -> None:
    assert not Redactor({"KEY": ""})


def test_a_secret_inside_another_is_masked_as_the_longer_one() -> None:
    assert Redactor({"A": "secret", "B": "secret-longer"}).text("secret-longer") == "***"


def test_values_without_a_secret_are_handed_on_as_they_are() -> None:
    value = {"a": [1, {"b": "text"}]}
    assert Redactor({"A": "secret"}).value(value) is value
