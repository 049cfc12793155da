"""A run is cut off after every single record it wrote, and resumed: nothing committed runs again, nothing is lost."""

import asyncio
import json

import pytest
from tests.engine.build import (
    Told,
    call,
    collected,
    drive,
    each,
    edge,
    empty,
    expr,
    go_on,
    goto,
    loop,
    repeat,
    sets,
    steps,
    sub,
    workflow,
)

from the_edge_agent.engine.events import Failed, Finished, NodeFinished, RunStarted
from the_edge_agent.engine.memory_log import MemoryLog
from the_edge_agent.engine.records import read_history
from the_edge_agent.engine.run import run
from the_edge_agent.errors import ReplayDiverged, RunIdTaken, RunLogCorrupt
from the_edge_agent.inference import Usage
from the_edge_agent.workflow.input_schema import Field
from the_edge_agent.workflow.nodes import OnError, Retry, Settings, Workflow
from the_edge_agent.workflow.tree import parse_tree


class Counter:
    """An action with a side effect: it notes the address of every execution."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def __call__(self, params, context):
        self.ran.append(context.address)
        context.report.usage += Usage(3, 2, 1)
        await asyncio.sleep(0)
        return params.get("value")


def linear() -> Workflow:
    return workflow(
        call("a", "count", params={"value": "{{ state.q }}"}),
        call("b", "count", params={"value": ["{{ state.a }}", "{{ state.a }}"]}),
        sets("c", "m", "state.b + [1]"),
        call("d", "count", "m", params={"value": "{{ state.m + [2] }}"}, outputs={}),
        call(
            "e",
            "count",
            None,
            params={"value": 1},
            outputs={"x": parse_tree("{{ result + 1 }}"), "y": parse_tree("{{ state.m }}")},
        ),
    )


def looping() -> Workflow:
    return workflow(
        sets("z", "log", "[]"),
        loop(
            "w",
            "(state.log | length) < 4",
            call("one", "count", "last", params={"value": "{{ state.log | length }}"}),
            sets("add", "log", "state.log + [state.last]"),
            output="tail",
        ),
        call(
            "again",
            "count",
            "n",
            params={"value": "{{ (state.n or 0) + 1 }}"},
            goto=goto(("state.n < 3", "again")),
        ),
    )


def parallel() -> Workflow:
    return workflow(
        call("a", "count", params={"value": 1}),
        call("x", "count", params={"value": "{{ state.a + 1 }}"}, goto=goto((None, "x2"))),
        call("y", "count", params={"value": "{{ state.a + 2 }}"}),
        call("x2", "count", "log", params={"value": "x2"}),
        steps(
            "w",
            call("w1", "count", "log", params={"value": "w1"}),
            call("w2", "count", "log", params={"value": "w2"}),
        ),
        sets("j", "all", "parallel_results", fan_in=True),
        each("m", "[10, 20, 30]", call("i", "count", None, params={"value": "{{ item + index }}"})),
        each(
            "k",
            "state.m",
            call("k1", "count", "v", params={"value": "{{ item }}"}),
            sets("k2", "u", "state.v * 2"),
            at_once=2,
        ),
        edges=(edge("a", "x", "y", "w", fan_in="j"),),
        reducers={"log": "append"},
    )


def nested() -> Workflow:
    inner = workflow(
        call("first", "count", params={"value": "{{ state.n }}"}),
        each(
            "many",
            "[1, 2]",
            steps("s", call("deep", "count", "d", params={"value": "{{ item * state.n }}"}), output="o"),
        ),
        output_schema={"many": Field("array")},
    )
    return workflow(
        sub("one", inner, {"n": 2}, output="r1"),
        empty("f"),
        sub("p", inner, {"n": 3}, output="r2"),
        sub("q", inner, {"n": 4}, output=None),
        sets("j", "end", "parallel_results | map(attribute='output') | list", fan_in=True),
        edges=(edge("f", "p", "q", fan_in="j"),),
    )


def skipping_and_failing() -> Workflow:
    return workflow(
        call("no", "count", when=expr("false")),
        call("bad", "fail", on_error=OnError(fallback=parse_tree("fallback"))),
        call("worse", "fail", on_error=OnError(goto="handler")),
        call("never", "count"),
        sets("handler", "seen", "error.name"),
        steps(
            "tries",
            call("t", "count", "t", params={"value": "{{ (state.t or 0) + 1 }}"}),
            call("flaky", "flaky"),
            retry=Retry(max_attempts=3, backoff_s=0),
            output="tried",
        ),
        each("m", "[1, 2]", call("i", "fail", None, on_error=OnError(fallback=parse_tree("none")))),
        call("kept", "count", params={"value": 5}, cache_ttl_s=60),
    )


SHAPES = {
    "linear": linear,
    "looping": looping,
    "parallel": parallel,
    "nested": nested,
    "skipping": skipping_and_failing,
}


def actions(counter: Counter) -> dict[str, object]:
    async def fail(_params, context):
        counter.ran.append(context.address)
        raise ValueError("always")

    failures = [1, 2]

    async def flaky(_params, context):
        counter.ran.append(context.address)
        if failures and "!3" not in context.address:
            failures.pop()
            raise ValueError("not yet")
        return "at last"

    return {"count": counter, "fail": fail, "flaky": flaky}


def run_whole(made: Workflow) -> tuple[Told, MemoryLog, Counter]:
    counter, log = Counter(), MemoryLog("r")
    told = drive(made, {"q": "\ud800 odd"}, log=log, actions=actions(counter))
    assert isinstance(told.last, Finished), told.last
    return told, log, counter


def committed(log: MemoryLog) -> set[str]:
    return {str(record["at"]) for record in log.records() if record["kind"] == "node"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_cut_off_after_any_record_goes_on_to_the_same_end(shape: str) -> None:
    made = SHAPES[shape]()
    whole, log, _ = run_whole(made)
    records = log.records()
    for cut in range(1, len(records) + 1):
        part = MemoryLog("r", records[:cut])
        before = committed(part)
        counter = Counter()
        told = go_on(made, part, actions=actions(counter))
        assert isinstance(told.last, Finished), (cut, told.last)
        assert json.dumps(told.state) == json.dumps(whole.state), cut
        assert not before & set(counter.ran), cut
        assert told.last.usage == whole.last.usage, cut
        assert {event.address for event in told.of(NodeFinished) if event.from_log} <= before, cut


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_that_is_cut_off_again_and_again_runs_each_node_once(shape: str) -> None:
    made = SHAPES[shape]()
    whole, _, counted = run_whole(made)

    class Dying(MemoryLog):
        left = 0

        def append(self, record) -> None:
            if self.left == 0:
                raise SystemError("the power is gone")
            self.left -= 1
            super().append(record)

    log = Dying("r")
    counter = Counter()
    shared = actions(counter)
    lives = 0
    last: object = None
    while not isinstance(last, Finished):
        log.left = 3
        lives += 1
        assert lives < 100
        try:
            last = (
                go_on(made, log, actions=shared)
                if log.records()
                else drive(made, {"q": "\ud800 odd"}, log=log, actions=shared)
            ).last
        except SystemError:
            last = None
    assert lives >= 3
    assert json.dumps(last.state) == json.dumps(whole.state)
    done = [at for at in counter.ran if at in committed(log)]
    assert set(done) <= set(counted.ran) | set(counter.ran)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_replay_repeats_the_run_without_running_anything(shape: str) -> None:
    made = SHAPES[shape]()
    whole, log, _ = run_whole(made)
    size = log.size_bytes
    counter = Counter()
    told = repeat(made, log, actions=actions(counter))
    assert json.dumps(told.state) == json.dumps(whole.state)
    assert counter.ran == []
    assert told.ran() == [at for at in told.ran() if at not in committed(log)] == []
    assert log.size_bytes == size
    assert all(event.from_log for event in told.of(NodeFinished))


def test_a_replay_of_an_unfinished_log_says_where_it_ends() -> None:
    made = linear()
    _, log, _ = run_whole(made)
    told = repeat(made, MemoryLog("r", log.records()[:3]), actions=actions(Counter()))
    assert told.error["name"] == "ReplayDiverged"
    assert "'c'" in told.error["what"]


def test_a_replay_of_a_failed_run_fails_as_it_did() -> None:
    made = workflow(
        empty("s"),
        call("x", "fail"),
        call("y", "count"),
        empty("j", fan_in=True),
        edges=(edge("s", "y", "x", fan_in="j"),),
    )
    log = MemoryLog("r")
    first = drive(made, log=log, actions=actions(Counter()))
    again = repeat(made, log, actions=actions(Counter()))
    assert isinstance(first.last, Failed)
    assert again.error == first.error


def test_a_failed_run_that_is_resumed_tries_the_failed_node_again_and_no_other() -> None:
    log, counter = MemoryLog("r"), Counter()
    broken = True

    async def fix_me(_params, context):
        counter.ran.append(context.address)
        if broken:
            raise ValueError("broken")
        return "fixed"

    made = workflow(
        call("a", "count"),
        call("x", "count"),
        call("y", "fix_me"),
        empty("j", fan_in=True),
        edges=(edge("a", "x", "y", fan_in="j"),),
        settings=Settings(fail_fast=False),
    )
    shared = {"count": counter, "fix_me": fix_me}
    assert isinstance(drive(made, log=log, actions=shared).last, Failed)
    broken = False
    told = go_on(made, log, actions=shared)
    assert told.state["y"] == "fixed"
    assert sorted(counter.ran) == ["a", "a/>x/x", "a/>y/y", "a/>y/y"]


def test_a_finished_run_that_is_resumed_is_told_again_and_writes_nothing() -> None:
    made = parallel()
    whole, log, _ = run_whole(made)
    size = log.size_bytes
    told = go_on(made, log, actions=actions(Counter()))
    assert told.state == whole.state
    assert log.size_bytes == size


def test_a_resumed_run_says_so() -> None:
    made = linear()
    _, log, _ = run_whole(made)
    told = go_on(
        made, MemoryLog("r", log.records()[:2]), actions=actions(Counter()), notices=("the file has changed",)
    )
    started = told.events[0]
    assert isinstance(started, RunStarted)
    assert started.resumed
    assert started.notices == ("the file has changed",)


def test_a_log_that_holds_a_run_is_not_run_over() -> None:
    _, log, _ = run_whole(linear())
    with pytest.raises(RunIdTaken, match="tea resume r"):
        drive(linear(), {"q": 1}, log=log, actions=actions(Counter()))


def test_every_output_is_committed_before_its_successors_start() -> None:
    log = MemoryLog("r")
    late: list[str] = []

    async def look(_params, context):
        at = committed(log)
        order = ["a", "b", "c"]
        late.extend(name for name in order[: order.index(context.address)] if name not in at)

    drive(workflow(*[call(name, "look") for name in "abc"]), log=log, actions={"look": look})
    assert late == []


def test_the_whole_text_of_the_workflow_and_its_subgraphs_is_in_the_log() -> None:
    _, log, _ = run_whole(nested())
    kept = read_history(log.records()).head["workflow"]
    assert kept["text"] == "text"
    assert kept["sources"] == {"agent.yaml": "text"}


def test_a_log_of_a_growing_conversation_grows_with_what_was_added() -> None:
    def size(count: int) -> int:
        nodes = [
            sets(f"n{i}", "chat", "state.chat + [{'role': 'user', 'content': state.text}]")
            for i in range(count)
        ]
        log = MemoryLog("r")
        drive(workflow(*nodes, settings=Settings(max_steps=count)), {"chat": [], "text": "x" * 1000}, log=log)
        return log.size_bytes

    small, large = size(50), size(200)
    assert large < 3 * 200 * 1000
    assert large - small < 1.1 * 150 * 1200


def test_items_that_changed_since_are_not_given_the_results_of_others() -> None:
    made = workflow(
        each("m", "variables.items", call("i", "count", None, params={"value": "{{ item }}"})),
        variables={"items": [1, 2]},
    )
    log = MemoryLog("r")
    drive(made, log=log, actions=actions(Counter()))
    cut = MemoryLog("r", log.records()[:3])
    other = workflow(each("m", "variables.items", call("i", "count", None)), variables={"items": [2, 1]})
    assert go_on(other, cut, actions=actions(Counter())).error["name"] == "ReplayDiverged"


def test_on_error_does_not_paper_over_a_log_that_does_not_fit() -> None:
    handler = OnError(fallback=parse_tree("all fine"))
    made = workflow(each("m", "variables.items", empty("i"), on_error=handler), variables={"items": [1]})
    log = MemoryLog("r")
    drive(made, log=log)
    other = workflow(each("m", "variables.items", empty("i"), on_error=handler), variables={"items": [2]})
    assert go_on(other, MemoryLog("r", log.records()[:2])).error["name"] == ReplayDiverged.__name__


@pytest.mark.parametrize(
    "records",
    [
        [{"kind": "node", "at": "a"}],
        [{"kind": "run", "format": 99, "at_s": 0}],
        [{"kind": "run"}],
    ],
)
def test_a_log_that_is_none_is_refused(records: list[dict[str, object]]) -> None:
    with pytest.raises(RunLogCorrupt):
        read_history(records)


def test_cancelling_a_run_leaves_a_log_that_can_be_resumed() -> None:
    made = workflow(call("a", "count"), call("b", "hang"), call("c", "count"))
    log, counter = MemoryLog("r"), Counter()
    hanging = True

    async def hang(_params, context):
        counter.ran.append(context.address)
        if hanging:
            await asyncio.Event().wait()

    shared = {"count": counter, "hang": hang}

    async def interrupt() -> None:
        async for event in run(made, log=log, actions=shared):
            if event.type == "node_started" and event.address == "b":
                return

    asyncio.run(interrupt())
    hanging = False
    told = go_on(made, log, actions=shared)
    assert isinstance(told.last, Finished)
    assert counter.ran == ["a", "b", "b", "c"]
    assert collected(lambda: run(workflow(empty("x")), actions={})).state == {}
