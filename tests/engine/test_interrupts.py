import asyncio

import pytest
from tests.engine.build import call, drive, each, edge, empty, go_on, goto, repeat, sets, steps, workflow

from the_edge_agent.actions.human import ask as human_ask
from the_edge_agent.engine.events import Failed, Finished, Interrupted
from the_edge_agent.engine.memory_log import MemoryLog
from the_edge_agent.engine.question import check_answer
from the_edge_agent.errors import InputInvalid, UsageError
from the_edge_agent.workflow.nodes import Config

HUMAN = {"human.ask": human_ask}


def asking(name="ask", **params):
    return call(name, "human.ask", params={"prompt": "Which?", **params})


def test_a_question_stops_the_run_and_its_answer_goes_on_in_another_process() -> None:
    made = workflow(sets("a", "n", "1"), asking(), sets("b", "said", "'you said ' + state.ask"))
    log = MemoryLog("r")
    told = drive(made, log=log, actions=HUMAN)
    assert told.question == {"kind": "text", "prompt": "Which?", "node": "ask", "address": "ask?1"}
    assert told.state == {"n": 1}
    again = go_on(made, log, answer="this", actions=HUMAN)
    assert again.state == {"n": 1, "ask": "this", "said": "you said this"}
    assert again.ran() == ["ask", "b"]


def test_a_stream_with_interrupts_ends() -> None:
    told = drive(workflow(asking()), actions=HUMAN)
    assert isinstance(told.last, Interrupted)
    assert sum(isinstance(event, Interrupted | Failed | Finished) for event in told.events) == 1


def test_resuming_without_the_answer_asks_again() -> None:
    made, log = workflow(asking()), MemoryLog("r")
    drive(made, log=log, actions=HUMAN)
    assert go_on(made, log, actions=HUMAN).question["address"] == "ask?1"
    assert go_on(made, log, answer="x", actions=HUMAN).state == {"ask": "x"}


def test_an_answer_that_does_not_fit_is_refused_and_nothing_is_written() -> None:
    made, log = workflow(asking(kind="choice", choices=["red", "blue"])), MemoryLog("r")
    drive(made, log=log, actions=HUMAN)
    size = log.size_bytes
    with pytest.raises(InputInvalid, match="red, blue"):
        go_on(made, log, answer="green", actions=HUMAN)
    assert log.size_bytes == size
    assert go_on(made, log, answer="Blue", actions=HUMAN).state == {"ask": "blue"}


def test_an_answer_that_nobody_asked_for_is_refused() -> None:
    made, log = workflow(sets("a", "n", "1")), MemoryLog("r")
    drive(made, log=log)
    with pytest.raises(UsageError, match="no open question"):
        go_on(made, log, answer="x")
    with pytest.raises(UsageError, match="nobody asked"):
        go_on(made, log, answers={"b?1": "x"})


def test_a_person_at_hand_is_asked_at_once() -> None:
    shown: list[dict[str, object]] = []

    async def person(question):
        shown.append(question)
        return "red" if "problem" in question else "green"

    made = workflow(asking(kind="choice", choices=["red", "blue"]))
    assert drive(made, actions=HUMAN, ask=person).state == {"ask": "red"}
    assert len(shown) == 2


def test_a_person_who_never_answers_as_asked_ends_the_run() -> None:
    async def person(_question):
        return "green"

    told = drive(workflow(asking(kind="choice", choices=["red"])), actions=HUMAN, ask=person)
    assert told.error["name"] == "InputInvalid"


def test_the_time_a_person_takes_is_not_the_nodes() -> None:
    async def person(_question):
        await asyncio.sleep(0.05)
        return "late"

    node = call("ask", "human.ask", params={"prompt": "?"}, timeout_s=0.02)
    assert drive(workflow(steps("s", node, timeout_s=0.03)), actions=HUMAN, ask=person).state == {
        "ask": "late"
    }


def test_interrupt_before_asks_and_a_plain_resume_means_yes() -> None:
    made = workflow(
        sets("a", "n", "1"), sets("b", "m", "2"), config=Config(interrupt_before=frozenset({"b"}))
    )
    log = MemoryLog("r")
    told = drive(made, log=log)
    assert told.question["kind"] == "approve"
    assert told.question["address"] == "b?before"
    assert told.state == {"n": 1}
    assert go_on(made, log).state == {"n": 1, "m": 2}


def test_interrupt_after_asks_once_the_output_is_committed() -> None:
    made = workflow(sets("a", "n", "1"), sets("b", "m", "2"), config=Config(interrupt_after=frozenset({"a"})))
    log = MemoryLog("r")
    told = drive(made, log=log)
    assert told.question["address"] == "a?after"
    assert told.state == {"n": 1}
    again = go_on(made, log, answer="continue")
    assert again.state == {"n": 1, "m": 2}
    assert again.ran() == ["b"]


def test_the_answer_stop_ends_the_run() -> None:
    made = workflow(sets("a", "n", "1"), config=Config(interrupt_before=frozenset({"a"})))
    log = MemoryLog("r")
    drive(made, log=log)
    told = go_on(made, log, answer="stop")
    assert told.error["name"] == "RunError"
    assert "stopped the run before 'a'" in told.error["what"]


def test_every_visit_of_a_node_is_approved_on_its_own() -> None:
    made = workflow(
        sets("a", "n", "(state.n or 0) + 1", goto=goto(("state.n < 2", "a"), (None, "__end__"))),
        config=Config(interrupt_before=frozenset({"a"})),
    )
    log = MemoryLog("r")
    drive(made, log=log)
    assert go_on(made, log).question["address"] == "a#2?before"
    assert go_on(made, log).state == {"n": 2}


def test_siblings_of_a_branch_that_asks_finish_first() -> None:
    ran: list[str] = []

    async def work(_params, context):
        await asyncio.sleep(0)
        ran.append(context.address)

    made = workflow(
        empty("s"),
        asking("q1"),
        asking("q2"),
        call("w", "work"),
        empty("j", fan_in=True),
        edges=(edge("s", "q1", "q2", "w", fan_in="j"),),
    )
    log = MemoryLog("r")
    shared = {**HUMAN, "work": work}
    assert drive(made, log=log, actions=shared).question["node"] == "q1"
    assert go_on(made, log, answer="one", actions=shared).question["node"] == "q2"
    assert go_on(made, log, answer="two", actions=shared).state == {"q1": "one", "q2": "two", "w": None}
    assert ran == ["s/>w/w"]


def test_all_open_questions_can_be_answered_by_address_at_once() -> None:
    made = workflow(each("m", "[1, 2, 3]", call("q", "human.ask", None, params={"prompt": "{{ item }}?"})))
    log = MemoryLog("r")
    drive(made, log=log, actions=HUMAN)
    answers = {f"m/[{i}]/q?1": f"answer {i}" for i in range(3)}
    assert go_on(made, log, answers=answers, actions=HUMAN).state["m"] == ["answer 0", "answer 1", "answer 2"]


def test_answers_can_be_given_before_the_run() -> None:
    assert drive(workflow(asking()), answers={"ask?1": "known"}, actions=HUMAN).state == {"ask": "known"}


def test_answers_given_before_the_run_are_kept_in_its_log() -> None:
    made, log = workflow(asking(), asking("other")), MemoryLog("r")
    drive(made, answers={"ask?1": "known"}, log=log, actions=HUMAN)
    assert go_on(made, log, answer="later", actions=HUMAN).state == {"ask": "known", "other": "later"}


def test_the_answer_is_to_the_question_the_run_stopped_with_even_where_another_was_asked_first() -> None:
    other_asked = asyncio.Event()

    async def slow(params, context):
        await other_asked.wait()
        return await human_ask(params, context)

    async def quick(params, context):
        other_asked.set()
        return await human_ask(params, context)

    made = workflow(
        empty("s"),
        call("first", "slow", params={"prompt": "1?"}),
        call("second", "quick", params={"prompt": "2?"}),
        empty("j"),
        edges=(edge("s", "first", "second", fan_in="j"),),
    )
    log, shared = MemoryLog("r"), {"slow": slow, "quick": quick}
    assert drive(made, log=log, actions=shared).question["prompt"] == "1?"
    told = go_on(made, log, answer="one", actions=shared)
    assert told.question["prompt"] == "2?"
    assert go_on(made, log, answer="two", actions=shared).state == {"first": "one", "second": "two"}


def test_an_action_may_ask_from_tasks_of_its_own() -> None:
    async def both(_params, context):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(context.ask({"kind": "text", "prompt": name})) for name in "ab"]
        return [task.result() for task in tasks]

    made, log = workflow(call("both", "both")), MemoryLog("r")
    assert drive(made, log=log, actions={"both": both}).question["prompt"] == "a"
    assert go_on(made, log, answer="1", actions={"both": both}).question["prompt"] == "b"
    assert go_on(made, log, answer="2", actions={"both": both}).state == {"both": ["1", "2"]}


def test_a_group_of_errors_of_an_action_is_its_failure() -> None:
    async def fail(_params, _context):
        raise ExceptionGroup("two", [ValueError("one"), KeyError("two")])

    assert drive(workflow(call("a", "fail")), actions={"fail": fail}).error["name"] == "NodeFailed"


def test_a_replay_of_an_interrupted_run_ends_with_its_question() -> None:
    made, log = workflow(sets("a", "n", "1"), asking()), MemoryLog("r")
    first = drive(made, log=log, actions=HUMAN)
    assert repeat(made, log, actions=HUMAN).question == first.question


def test_a_question_is_no_failure_to_on_error_or_retry() -> None:
    from the_edge_agent.workflow.nodes import OnError, Retry
    from the_edge_agent.workflow.tree import parse_tree

    node = call(
        "ask",
        "human.ask",
        params={"prompt": "?"},
        retry=Retry(max_attempts=3, backoff_s=0),
        on_error=OnError(fallback=parse_tree("gave up")),
    )
    assert isinstance(drive(workflow(node), actions=HUMAN).last, Interrupted)


def test_a_choice_without_choices_is_refused() -> None:
    assert drive(workflow(asking(kind="choice")), actions=HUMAN).error["name"] == "ActionParamsInvalid"


@pytest.mark.parametrize(
    ("question", "answer", "seen"),
    [
        ({"kind": "text"}, "x", "x"),
        ({"kind": "text"}, 3, "3"),
        ({"kind": "confirm"}, "Yes", True),
        ({"kind": "confirm"}, False, False),
        ({"kind": "choice", "choices": [1, 2]}, "2", 2),
        ({"kind": "choice", "choices": ["A b"]}, " a B ", "A b"),
        ({"kind": "json"}, {"a": [1]}, {"a": [1]}),
        ({"kind": "json", "schema": {"type": "integer"}}, 3, 3),
        ({"kind": "approve"}, True, "continue"),
        ({"kind": "approve"}, "no", "stop"),
    ],
)
def test_answers_are_taken_as_their_kind(question, answer, seen) -> None:
    got = check_answer({"prompt": "?", **question}, answer)
    assert got == seen
    assert type(got) is type(seen)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({"kind": "text"}, {"a": 1}),
        ({"kind": "text"}, None),
        ({"kind": "confirm"}, "maybe"),
        ({"kind": "choice", "choices": [1]}, 2),
        ({"kind": "json", "schema": {"type": "integer"}}, "three"),
        ({"kind": "approve"}, "later"),
    ],
)
def test_answers_that_do_not_fit_are_refused(question, answer) -> None:
    with pytest.raises(InputInvalid):
        check_answer({"prompt": "?", **question}, answer)
