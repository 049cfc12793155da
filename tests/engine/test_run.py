import asyncio

import pytest
from tests.engine.build import (
    StillClock,
    call,
    code,
    collected,
    drive,
    each,
    echo,
    empty,
    expr,
    goto,
    loop,
    sets,
    steps,
    sub,
    workflow,
)

from the_edge_agent.engine.events import (
    Failed,
    Finished,
    LoopFinished,
    LoopIteration,
    NodeFinished,
    RunStarted,
    Token,
)
from the_edge_agent.engine.ports import Ports
from the_edge_agent.engine.run import run
from the_edge_agent.errors import EdgeAgentError, InputInvalid, UsageError
from the_edge_agent.workflow.input_schema import Field
from the_edge_agent.workflow.nodes import Config, Node, Settings
from the_edge_agent.workflow.tree import parse_tree


def test_a_workflow_alone_runs() -> None:
    async def states() -> list[dict[str, object]]:
        made = workflow(sets("a", "n", "1 + 1"))
        return [dict(event.state) async for event in run(made, actions={}) if isinstance(event, Finished)]

    assert asyncio.run(states()) == [{"n": 2}]


def test_nodes_run_in_order_and_each_sees_what_the_one_before_wrote() -> None:
    told = drive(
        workflow(call("a", params={"value": "{{ state.q }}"}), sets("b", "n", "state.a + '!'")), {"q": "hi"}
    )
    assert told.state == {"q": "hi", "a": "hi", "n": "hi!"}
    assert told.ran() == ["a", "b"]


def test_the_stream_begins_with_run_started_and_ends_with_exactly_one_end() -> None:
    told = drive(workflow(sets("a", "n", "1")))
    assert isinstance(told.events[0], RunStarted)
    assert isinstance(told.last, Finished)
    assert sum(isinstance(event, Finished | Failed) for event in told.events) == 1


def test_input_wins_over_initial_state() -> None:
    told = drive(workflow(empty("a"), initial_state={"a": 1, "b": 1}), {"b": 2})
    assert told.state == {"a": 1, "b": 2}


def test_input_that_breaks_its_schema_is_raised_before_anything_happens() -> None:
    made = workflow(empty("a"), input_schema={"n": Field("integer", required=True)})
    with pytest.raises(InputInvalid, match=r"input\.n"):
        drive(made, {"n": "many"})


def test_input_that_is_no_json_is_refused() -> None:
    with pytest.raises(InputInvalid, match="is a set"):
        drive(workflow(empty("a")), {"n": {1}})


def test_an_action_that_nobody_gave_is_an_error_before_or_at_its_node() -> None:
    told_or_error = pytest.raises(UsageError, match="no action 'nowhere'")
    with told_or_error:
        drive(workflow(call("a", uses="nowhere")))


def test_outputs_map_the_result_to_several_keys() -> None:
    node = call(
        "a",
        output=None,
        params={"value": {"x": 1, "y": 2}},
        outputs={"left": parse_tree("{{ result.x }}"), "right": parse_tree("{{ result.y }}")},
    )
    assert drive(workflow(node)).state == {"left": 1, "right": 2}


def test_a_node_whose_when_is_false_is_skipped_and_the_flow_goes_on() -> None:
    told = drive(workflow(sets("a", "n", "1", when=expr("state.go")), sets("b", "m", "2")))
    assert told.state == {"m": 2}
    assert [event.skipped for event in told.of(NodeFinished)] == [True, False]


def test_a_loop_through_goto_runs_until_its_condition_ends_it() -> None:
    made = workflow(
        sets("a", "n", "(state.n or 0) + 1", goto=goto(("state.n < 5", "a"), (None, "b"))),
        sets("b", "m", "state.n"),
    )
    told = drive(made)
    assert told.state == {"n": 5, "m": 5}
    assert told.ran() == ["a", "a#2", "a#3", "a#4", "a#5", "b"]


def test_an_endless_loop_fails_at_max_steps_with_the_path() -> None:
    made = workflow(empty("a"), empty("b", goto=goto((None, "a"))), settings=Settings(max_steps=10))
    error = drive(made).error
    assert error["name"] == "StepLimitExceeded"
    assert "a → b → a" in error["what"]
    assert error["place"] == "agent.yaml:1:3"


def test_the_thousandth_node_still_runs_and_the_next_one_fails() -> None:
    made = workflow(sets("a", "n", "(state.n or 0) + 1", goto=goto((None, "a"))))
    told = drive(made)
    assert told.state["n"] == 1000
    assert told.error["name"] == "StepLimitExceeded"


def test_loop_bodies_and_branches_do_not_count_as_steps() -> None:
    made = workflow(
        sets("z", "n", "0"),
        loop("w", "state.n < 50", sets("inc", "n", "state.n + 1")),
        each("m", "range(50)", sets("sq", "y", "item * item")),
        settings=Settings(max_steps=3),
    )
    told = drive(made)
    assert told.state["n"] == 50
    assert told.state["m"][7] == 49


def test_a_while_loop_says_when_max_iterations_stopped_it() -> None:
    told = drive(workflow(loop("w", "true", sets("inc", "n", "(state.n or 0) + 1"), most=3)))
    assert told.state["n"] == 3
    assert [event.iteration for event in told.of(LoopIteration)] == [1, 2, 3]
    assert told.of(LoopFinished)[0].exhausted


def test_a_while_loop_whose_condition_is_false_never_runs_its_body() -> None:
    told = drive(workflow(loop("w", "false", sets("inc", "n", "1"))))
    assert told.state == {}
    assert told.of(LoopFinished)[0].iterations == 0


def test_steps_run_in_order_and_their_last_value_is_the_nodes() -> None:
    made = workflow(
        steps(
            "s",
            call("one", params={"value": 1}),
            call("two", params={"value": "{{ state.one + 1 }}"}),
            output="both",
        )
    )
    told = drive(made)
    assert told.state == {"one": 1, "two": 2, "both": 2}
    assert told.ran() == ["s", "s/one", "s/two"]


def test_steps_of_one_name_have_addresses_of_their_own() -> None:
    told = drive(workflow(steps("s", sets("x", "a", "1"), sets("x", "b", "2"))))
    assert told.ran() == ["s", "s/x", "s/x~2"]


def test_a_subgraph_has_a_state_of_its_own_and_gives_its_outputs() -> None:
    inner = workflow(
        sets("twice", "answer", "state.n * 2"),
        sets("note", "private", "1"),
        output_schema={"answer": Field("integer")},
    )
    told = drive(workflow(sub("s", inner, {"n": "{{ state.n }}"}, output="result")), {"n": 21})
    assert told.state == {"n": 21, "result": {"answer": 42}}
    assert told.ran() == ["s", "s/twice", "s/note"]


def test_a_subgraph_without_output_merges_what_its_schema_declares() -> None:
    inner = workflow(sets("twice", "answer", "state.n * 2"), output_schema={"answer": Field("integer")})
    assert drive(workflow(sub("s", inner, {"n": 1}, output=None))).state == {"answer": 2}


def test_a_final_state_that_breaks_output_schema_fails_the_run() -> None:
    told = drive(workflow(sets("a", "n", "'text'"), output_schema={"n": Field("integer", required=True)}))
    assert told.error["name"] == "OutputInvalid"


def test_a_value_that_breaks_state_schema_fails_its_node() -> None:
    told = drive(workflow(sets("a", "n", "'text'"), state_schema={"n": Field("integer")}))
    assert told.error["name"] == "OutputInvalid"
    assert "'a'" in told.error["what"] or "state.n" in told.error["place"]


def test_a_reducer_joins_every_write() -> None:
    made = workflow(sets("a", "log", "'one'"), sets("b", "log", "'two'"), reducers={"log": "append"})
    assert drive(made, {"log": ["zero"]}).state == {"log": ["zero", "one", "two"]}


def test_an_actions_result_that_is_no_json_fails_its_node_and_names_the_path() -> None:
    async def bad(_params: object, _context: object) -> object:
        return {"when": object()}

    error = drive(workflow(call("a", uses="bad")), actions={"bad": bad}).error
    assert error["name"] == "OutputInvalid"
    assert "a.when is a object" in error["what"]


def test_an_action_that_keeps_changing_what_it_returned_does_not_change_the_state() -> None:
    kept: list[int] = []

    async def grow(_params: object, _context: object) -> object:
        kept.append(len(kept))
        return kept

    told = drive(workflow(call("a", uses="grow"), call("b", uses="grow")), actions={"grow": grow})
    assert told.state == {"a": [0], "b": [0, 1]}


def test_an_action_that_changes_its_parameters_does_not_change_the_state() -> None:
    async def spoil(params: dict[str, list[int]], _context: object) -> object:
        params["value"].append(9)
        return None

    told = drive(
        workflow(call("a", uses="spoil", params={"value": "{{ state.n }}"})),
        {"n": [1]},
        actions={"spoil": spoil},
    )
    assert told.state["n"] == [1]


def test_tokens_are_told_while_the_node_runs() -> None:
    async def speak(_params: object, context: object) -> str:
        for word in ("Hel", "lo"):
            context.emit_token(word)  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        return "Hello"

    told = drive(workflow(call("a", uses="speak", stream=True)), actions={"speak": speak})
    assert [event.text for event in told.of(Token)] == ["Hel", "lo"]
    kinds = [event.type for event in told.events]
    assert kinds.index("token") < kinds.index("node_finished")


def test_events_come_while_the_run_goes_on_and_not_at_its_end() -> None:
    gate = asyncio.Event()

    async def wait(_params: object, _context: object) -> None:
        await gate.wait()

    async def watch() -> None:
        made = workflow(sets("a", "n", "1"), call("b", uses="wait"))
        async for event in run(made, actions={"wait": wait}):
            if event.type == "node_started" and event.node == "b":  # type: ignore[attr-defined]
                gate.set()  # the run could never end if this came only then

    asyncio.run(watch())


def test_a_reader_that_stops_reading_stops_the_run() -> None:
    ran: list[int] = []

    async def count(_params: object, _context: object) -> None:
        ran.append(1)

    made = workflow(*[call(f"n{i}", uses="count") for i in range(900)])

    async def read_three() -> None:
        stream = run(made, actions={"count": count})
        async for event in stream:
            if event.type == "node_finished":
                break
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(read_three())
    assert 0 < len(ran) < 900


def test_a_cancelled_run_cancels_its_action() -> None:
    cancelled: list[str] = []

    async def hang(_params: object, _context: object) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("yes")
            raise

    started = asyncio.Event()

    async def consume() -> None:
        async for _ in run(workflow(call("a", uses="hang")), actions={"hang": hang}):
            pass

    async def main() -> None:
        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert cancelled == ["yes"]


def test_raise_exceptions_raises_after_the_failed_event() -> None:
    made = workflow(sets("a", "n", "state.x.y"), config=Config(raise_exceptions=True))
    seen: list[str] = []

    async def consume() -> None:
        async for event in run(made, actions={}):
            seen.append(event.type)

    with pytest.raises(EdgeAgentError):
        asyncio.run(consume())
    assert seen[-1] == "failed"


def test_variables_of_the_caller_win_over_the_files() -> None:
    made = workflow(sets("a", "n", "variables.x"), variables={"x": 1})
    assert drive(made).state == {"n": 1}
    assert drive(made, variables={"x": 2}).state == {"n": 2}


def test_two_runs_at_once_stay_apart() -> None:
    made = workflow(*[sets(f"s{i}", "n", "state.n + 1") for i in range(200)])

    async def both() -> list[int]:
        async def one(start: int) -> int:
            last = None
            async for event in run(made, {"n": start}, actions={}):
                last = event
            assert isinstance(last, Finished)
            return int(str(last.state["n"]))

        return list(await asyncio.gather(one(0), one(1000)))

    assert asyncio.run(both()) == [200, 1200]


def test_a_cached_node_runs_once_until_its_time_is_over() -> None:
    ran: list[object] = []

    async def count(params: dict[str, object], _context: object) -> int:
        ran.append(params["value"])
        return len(ran)

    clock = StillClock()

    def cached(name: str, value: str) -> Node:
        return call("same", uses="count", output=name, params={"value": value}, cache_ttl_s=60)

    async def pass_time(_params: object, _context: object) -> None:
        clock.time_s += 61

    made = workflow(
        steps(
            "s",
            cached("a", "x"),
            cached("b", "x"),
            cached("c", "other"),
            call("t", uses="pass_time"),
            cached("d", "x"),
        )
    )
    told = drive(made, actions={"count": count, "pass_time": pass_time}, ports=Ports(clock=clock))
    assert (told.state["a"], told.state["b"], told.state["c"], told.state["d"]) == (1, 1, 2, 3)
    assert [event.notices for event in told.of(NodeFinished)][1] == ("taken from the cache",)


def test_a_cached_container_writes_again_what_it_wrote() -> None:
    ran: list[int] = []

    async def count(_params: object, _context: object) -> int:
        ran.append(1)
        return 7

    made = workflow(
        sets("z", "turn", "0"),
        loop(
            "w",
            "state.turn < 2",
            steps("s", call("x", uses="count"), cache_ttl_s=60, when=expr("true")),
            sets("copy", "copy", "state.x"),
            sets("inc", "turn", "state.turn + 1"),
        ),
    )
    # The loop changes `turn`, which the cached node's key covers: two keys, two runs.
    assert drive(made, actions={"count": count}).state["copy"] == 7
    again = workflow(
        steps(
            "a",
            steps("s", call("x", uses="count"), cache_ttl_s=60),
            sets("back", "x", "none"),
            steps("s", call("x", uses="count"), cache_ttl_s=60),
        )
    )
    ran.clear()
    told = drive(again, {"x": None}, actions={"count": count})
    assert told.state["x"] == 7
    assert len(ran) == 1


def test_inline_code_without_leave_is_an_error_that_on_error_sees() -> None:
    error = drive(workflow(code("a", "return {}"))).error
    assert error["name"] == "PermissionDenied"
    assert "'a'" in error["what"]


def test_the_echo_of_the_tests_is_an_action() -> None:
    assert asyncio.run(echo({"value": 1}, None)) == 1
    assert collected(lambda: run(workflow(empty("a")), actions={})).state == {}
