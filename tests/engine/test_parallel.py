import asyncio
import json
import tracemalloc

import pytest
from tests.engine.build import call, drive, each, edge, empty, goto, loop, sets, steps, sub, workflow

from the_edge_agent.engine.events import BranchFinished, BranchStarted
from the_edge_agent.workflow.nodes import Settings


def fork(*branches, join=None, settings=None, **more):
    """A workflow that runs one branch from each of the nodes given, then ``join``."""
    end = join or empty("j", fan_in=True)
    names = [node.name for node in branches]
    return workflow(
        empty("a"),
        *branches,
        end,
        edges=(edge("a", *names, fan_in=end.name),),
        settings=settings or Settings(),
        **more,
    )


class Meeting:
    """An action that only returns once so many calls of it are under way: they can't be one after another."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.inside = 0
        self.most = 0
        self.full = asyncio.Event()

    async def __call__(self, params, _context):
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside == self.size:
            self.full.set()
        await self.full.wait()
        self.inside -= 1
        return params.get("value")


def test_branches_run_at_the_same_time() -> None:
    meeting = Meeting(3)
    made = fork(*[call(name, uses="meet", params={"value": name}) for name in "xyz"])
    assert drive(made, actions={"meet": meeting}).state == {"x": "x", "y": "y", "z": "z"}


def test_items_run_at_the_same_time() -> None:
    meeting = Meeting(20)
    made = workflow(
        each("m", "range(20)", call("x", uses="meet", output=None, params={"value": "{{ item * 2 }}"}))
    )
    assert drive(made, actions={"meet": meeting}).state["m"] == [2 * i for i in range(20)]


def test_no_more_items_than_max_concurrency_run_at_once() -> None:
    meeting = Meeting(3)
    made = workflow(
        each(
            "m", "range(30)", call("x", uses="meet", output=None, params={"value": "{{ index }}"}), at_once=3
        )
    )
    assert drive(made, actions={"meet": meeting}).state["m"] == list(range(30))
    assert meeting.most == 3


def test_a_branch_sees_the_state_before_the_fork_and_not_its_siblings() -> None:
    made = fork(sets("x", "left", "[state.n, state.right]"), sets("y", "right", "[state.n, state.left]"))
    assert drive(made, {"n": 1}).state == {"n": 1, "left": [1, None], "right": [1, None]}


def test_the_fan_in_receives_results_in_the_order_of_the_branches() -> None:
    order: list[str] = []
    other_done = asyncio.Event()

    async def slow_first(params, _context):
        if params["value"] == "x":
            await other_done.wait()
        order.append(params["value"])
        other_done.set()
        return params["value"].upper()

    made = fork(
        call("x", uses="slow", params={"value": "x"}),
        call("y", uses="slow", params={"value": "y"}),
        join=sets("j", "all", "parallel_results", fan_in=True),
    )
    told = drive(made, {"n": 1}, actions={"slow": slow_first})
    assert order == ["y", "x"]
    assert told.state["all"] == [
        {"node": "x", "output": "X", "state": {"n": 1, "x": "X"}},
        {"node": "y", "output": "Y", "state": {"n": 1, "y": "Y"}},
    ]


def test_parallel_results_are_gone_after_the_fan_in() -> None:
    made = workflow(
        empty("a"),
        sets("x", "p", "1"),
        sets("j", "q", "parallel_results | length", fan_in=True),
        empty("after", when=None),
        edges=(edge("a", "x", fan_in="j"),),
    )
    assert drive(made).state == {"p": 1, "q": 1}


def test_two_branches_that_write_one_key_are_an_error_that_names_both() -> None:
    error = drive(fork(sets("left", "n", "1"), sets("right", "n", "1"))).error
    assert error["name"] == "StateConflict"
    assert "'left'" in error["what"]
    assert "'right'" in error["what"]
    assert "'n'" in error["what"]
    assert "reducer" in error["fix"]


def test_a_reducer_joins_what_branches_write_in_their_order() -> None:
    made = fork(
        steps("x", sets("x1", "log", "'x1'"), sets("x2", "log", "'x2'")),
        sets("y", "log", "'y'"),
        reducers={"log": "append"},
    )
    assert drive(made, {"log": ["start"]}).state["log"] == ["start", "x1", "x2", "y"]


def test_a_branch_of_several_nodes_follows_its_gotos_to_the_fan_in() -> None:
    made = workflow(
        empty("a"),
        sets("x", "p", "1", goto=goto((None, "x2"))),
        sets("y", "q", "1"),
        sets("x2", "r", "state.p + 1"),
        sets("j", "end", "state.r + state.q", fan_in=True),
        edges=(edge("a", "x", "y", fan_in="j"),),
    )
    told = drive(made)
    assert told.state["end"] == 3
    assert "a/>x/x2" in told.ran()


def test_forks_nest() -> None:
    made = workflow(
        empty("a"),
        empty("x"),
        sets("x1", "p", "1"),
        sets("x2", "q", "2"),
        sets("xj", "r", "state.p + state.q", fan_in=True, goto=goto((None, "j"))),
        sets("y", "s", "10"),
        sets("j", "end", "state.r + state.s", fan_in=True),
        edges=(edge("a", "x", "y", fan_in="j"), edge("x", "x1", "x2", fan_in="xj")),
    )
    told = drive(made)
    assert told.state["end"] == 13
    assert "a/>x/x/>x2/x2" in told.ran()


def test_a_fork_in_a_loop_gives_every_turn_addresses_of_its_own() -> None:
    made = workflow(
        empty("a"),
        sets("x", "p", "(state.n or 0) + 1"),
        sets("j", "n", "state.p", fan_in=True, goto=goto(("state.n < 3", "a"), (None, "__end__"))),
        edges=(edge("a", "x", fan_in="j"),),
    )
    told = drive(made)
    assert told.state["n"] == 3
    assert [at for at in told.ran() if at.endswith("/x")] == ["a/>x/x", "a#2/>x/x", "a#3/>x/x"]


def test_a_failing_branch_cancels_its_siblings() -> None:
    cancelled: list[str] = []

    async def hang(_params, _context):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("x")
            raise

    told = drive(fork(call("x", uses="hang"), sets("y", "n", "state.a.b")), actions={"hang": hang})
    assert told.error["name"] == "TemplateError"
    assert cancelled == ["x"]
    assert {(event.node, event.ok) for event in told.of(BranchFinished)} == {("x", False), ("y", False)}


def test_without_fail_fast_siblings_finish_before_the_run_fails() -> None:
    done: list[str] = []

    async def work(_params, _context):
        for _ in range(3):
            await asyncio.sleep(0)
        done.append("x")

    told = drive(
        fork(call("x", uses="work"), sets("y", "n", "state.a.b"), settings=Settings(fail_fast=False)),
        actions={"work": work},
    )
    assert told.error["name"] == "TemplateError"
    assert done == ["x"]


def test_a_failing_item_cancels_the_others_only_with_fail_fast() -> None:
    done: list[int] = []

    async def work(params, _context):
        if params["value"] == 0:
            raise ValueError("zero")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.append(params["value"])

    for fail_fast, finished in ((True, []), (False, [1, 2])):
        done.clear()
        body = call("x", uses="work", output=None, params={"value": "{{ item }}"})
        told = drive(workflow(each("m", "[0, 1, 2]", body, fail_fast=fail_fast)), actions={"work": work})
        assert told.error["name"] == "NodeFailed"
        assert "ValueError: zero" in told.error["what"]
        assert done == finished


def test_what_an_item_writes_stays_in_the_item() -> None:
    made = workflow(each("m", "[1, 2]", sets("x", "n", "state.n + item"), sets("y", "k", "state.n * 10")))
    assert drive(made, {"n": 0}).state == {"n": 0, "m": [10, 20]}


def test_items_see_their_index_and_what_is_around_them() -> None:
    inner = workflow(sets("x", "out", "state.pair"))
    made = workflow(
        each(
            "m",
            "['a', 'b']",
            each("k", "[1, 2]", sets("x", "v", "[item, index]")),
            sub("s", inner, {"pair": "{{ [item, index] }}"}),
        )
    )
    told = drive(made)
    assert [entry["out"] for entry in told.state["m"]] == [["a", 0], ["b", 1]]


def test_items_that_are_no_list_fail_the_node() -> None:
    for items in ("state.missing", "'text'", "{'a': 1}"):
        assert "must be a list" in drive(workflow(each("m", items, empty("x")))).error["what"]


def test_no_items_give_an_empty_list() -> None:
    assert drive(workflow(each("m", "[]", empty("x")))).state == {"m": []}


def test_a_loop_inside_an_item_is_the_items_own() -> None:
    made = workflow(
        each(
            "m",
            "[3, 5]",
            loop("w", "(state.n or 0) < item", sets("inc", "n", "(state.n or 0) + 1")),
            sets("o", "out", "state.n"),
        )
    )
    assert drive(made).state["m"] == [3, 5]


def test_events_tell_every_branch_with_its_index() -> None:
    told = drive(fork(sets("x", "p", "1"), sets("y", "q", "1")))
    assert [(event.node, event.index) for event in told.of(BranchStarted)] == [("x", 0), ("y", 1)]
    assert [event.ok for event in told.of(BranchFinished)] == [True, True]


def test_what_many_items_share_is_not_copied_for_each() -> None:
    def peak_bytes(count: int) -> int:
        made = workflow(each("m", f"range({count})", sets("x", "n", "item + (state.text | length)")))
        tracemalloc.start()
        told = drive(made, {"text": "x" * 100_000})
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert told.state["m"] == [100_000 + i for i in range(count)]
        return found

    assert peak_bytes(800) < 3 * peak_bytes(400) < 400 * 100_000


def test_ten_thousand_items_keep_their_order() -> None:
    made = workflow(each("m", "range(10000)", sets("x", "n", "item * 2")))
    assert drive(made).state["m"] == [2 * i for i in range(10_000)]


@pytest.mark.parametrize("limit", [0, 1, 2, 7])
def test_the_files_own_limit_counts_where_the_node_has_none(limit: int) -> None:
    inside = most = 0

    async def work(_params, _context):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    made = workflow(
        each("m", "range(20)", call("x", uses="work", output=None)), settings=Settings(max_concurrency=limit)
    )
    drive(made, actions={"work": work})
    assert most == (limit or 20)


def test_the_final_state_is_plain_json() -> None:
    made = fork(sets("x", "p", "[1]"), join=sets("j", "all", "parallel_results", fan_in=True))
    state = drive(made).state
    assert json.loads(json.dumps(state)) == state
