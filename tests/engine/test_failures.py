import asyncio

import pytest
from tests.engine.build import (
    StillClock,
    call,
    drive,
    each,
    edge,
    empty,
    go_on,
    goto,
    loop,
    place,
    sets,
    steps,
    workflow,
)

from the_edge_agent.engine.events import NodeErrorHandled, NodeFinished, NodeRetried
from the_edge_agent.engine.failure import error_from_json, error_json, matches, retry_wait_s, translate
from the_edge_agent.engine.memory_log import MemoryLog
from the_edge_agent.engine.ports import Ports
from the_edge_agent.errors import (
    ActionError,
    BackendUnavailable,
    EdgeAgentError,
    HttpFailed,
    InputInvalid,
    NodeFailed,
    PermissionDenied,
    Problem,
    RateLimited,
    RunError,
)
from the_edge_agent.workflow.nodes import OnError, Retry, Settings
from the_edge_agent.workflow.tree import parse_tree


def failing(*errors):
    """An action that raises these one after another, and then returns ``fine``."""
    left = list(errors)

    async def act(_params, _context):
        if left:
            raise left.pop(0)
        return "fine"

    return {"act": act}


def test_an_error_of_an_action_gets_the_nodes_name_and_place() -> None:
    error = drive(
        workflow(call("ask", uses="act")), actions=failing(ActionError("no luck", fix="try again"))
    ).error
    assert error == {
        "name": "ActionError",
        "what": "node 'ask': no luck",
        "place": "agent.yaml:1:3",
        "fix": "try again",
    }


def test_a_foreign_exception_becomes_node_failed_with_its_cause() -> None:
    error = drive(workflow(call("ask", uses="act")), actions=failing(ZeroDivisionError("by zero"))).error
    assert error["name"] == "NodeFailed"
    assert error["what"] == "node 'ask' failed: ZeroDivisionError: by zero"


def test_an_error_inside_containers_names_the_innermost_node_once() -> None:
    made = workflow(steps("outer", loop("inner", "true", call("deep", uses="act"))))
    error = drive(made, actions=failing(ActionError("no luck"))).error
    assert error["what"] == "node 'deep': no luck"


def test_a_node_is_tried_again_until_it_works() -> None:
    clock = StillClock()
    node = call("a", uses="act", retry=Retry(max_attempts=4, backoff_s=1))
    told = drive(workflow(node), actions=failing(ValueError(1), ValueError(2)), ports=Ports(clock=clock))
    assert told.state == {"a": "fine"}
    assert clock.slept == [1, 2]
    assert [event.attempt for event in told.of(NodeRetried)] == [1, 2]


def test_the_last_attempts_error_fails_the_run() -> None:
    node = call("a", uses="act", retry=Retry(max_attempts=2, backoff_s=0))
    assert (
        "2"
        in drive(workflow(node), actions=failing(ValueError(1), ValueError(2), ValueError(3))).error["what"]
    )


def test_waiting_doubles_up_to_its_limit() -> None:
    retry = Retry(max_attempts=10, backoff_s=1, max_backoff_s=5)
    assert [retry_wait_s(retry, ActionError("x"), n) for n in range(1, 6)] == [1, 2, 4, 5, 5]
    assert retry_wait_s(retry, ActionError("x"), 10) is None


def test_only_the_named_errors_are_tried_again() -> None:
    retry = Retry(max_attempts=3, backoff_s=0, on=("RateLimited",))
    clock = StillClock()
    node = call("a", uses="act", retry=retry)
    assert drive(
        workflow(node), actions=failing(RateLimited("slow down")), ports=Ports(clock=clock)
    ).state == {"a": "fine"}
    assert (
        drive(workflow(node), actions=failing(ActionError("no")), ports=Ports(clock=clock)).error["name"]
        == "ActionError"
    )


def test_an_error_matches_by_its_class_those_above_it_and_a_foreign_cause() -> None:
    assert matches(RateLimited("x"), ("BackendError",))
    assert matches(translate(KeyError("k"), node="a", place=""), ("LookupError",))
    assert matches(translate(KeyError("k"), node="a", place=""), ("NodeFailed",))
    assert not matches(RateLimited("x"), ("ActionError", "ValueError"))


def test_retry_after_counts_as_a_minimum_and_is_not_undercut() -> None:
    retry = Retry(max_attempts=5, backoff_s=1, max_backoff_s=30)
    assert retry_wait_s(retry, RateLimited("x", retry_after_s=10), 1) == 10
    assert retry_wait_s(retry, RateLimited("x", retry_after_s=0.1), 2) == 2
    assert retry_wait_s(retry, HttpFailed("x", status=503, retry_after_s=7), 1) == 7
    assert retry_wait_s(retry, RateLimited("x", retry_after_s=31), 1) is None


def test_the_files_retry_counts_for_nodes_that_have_none() -> None:
    made = workflow(call("a", uses="act"), settings=Settings(retry=Retry(max_attempts=2, backoff_s=0)))
    assert drive(made, actions=failing(ValueError(1))).state == {"a": "fine"}


def test_a_failed_attempt_leaves_no_trace_in_the_state() -> None:
    node = steps(
        "s",
        sets("x", "n", "(state.n or 0) + 1"),
        call("y", uses="act"),
        retry=Retry(max_attempts=3, backoff_s=0),
    )
    told = drive(workflow(node), actions=failing(ValueError(1), ValueError(2)))
    assert told.state["n"] == 1
    assert [at for at in told.ran() if at.endswith("x")] == ["s/x", "s/!2/x", "s/!3/x"]


def test_timeout_s_ends_a_node_that_hangs() -> None:
    async def hang(_params, _context):
        await asyncio.Event().wait()

    error = drive(workflow(call("a", uses="hang", timeout_s=0.01)), actions={"hang": hang}).error
    assert error["name"] == "NodeTimeout"
    assert "'a'" in error["what"]
    assert "0.01 s" in error["what"]


def test_an_actions_own_timeout_is_not_mistaken_for_the_nodes() -> None:
    error = drive(workflow(call("a", uses="act", timeout_s=60)), actions=failing(TimeoutError("mine"))).error
    assert error["name"] == "NodeFailed"


def test_on_error_goto_jumps_and_the_handler_sees_the_error() -> None:
    made = workflow(
        call("a", uses="act", on_error=OnError(goto="handler"), goto=goto((None, "never"))),
        sets("never", "n", "1"),
        sets("handler", "seen", "error.name + ': ' + error.what"),
    )
    told = drive(made, actions=failing(PermissionDenied("not allowed")))
    assert told.state == {"seen": "PermissionDenied: node 'a': not allowed"}
    assert told.of(NodeErrorHandled)[0].goto == "handler"


def test_a_fallback_takes_the_place_of_the_result() -> None:
    node = call("a", uses="act", on_error=OnError(fallback=parse_tree({"text": "sorry, {{ error.name }}"})))
    assert drive(workflow(node), actions=failing(ActionError("no"))).state == {
        "a": {"text": "sorry, ActionError"}
    }


def test_a_fallback_comes_only_after_the_last_attempt() -> None:
    node = call(
        "a",
        uses="act",
        retry=Retry(max_attempts=2, backoff_s=0),
        on_error=OnError(fallback=parse_tree("gave up")),
    )
    assert drive(workflow(node), actions=failing(ValueError(1))).state == {"a": "fine"}
    assert drive(workflow(node), actions=failing(ValueError(1), ValueError(2))).state == {"a": "gave up"}


def test_a_fallback_that_fails_fails_the_run() -> None:
    node = call("a", uses="act", on_error=OnError(fallback=parse_tree("{{ state.x.y }}")))
    assert drive(workflow(node), actions=failing(ValueError(1))).error["name"] == "TemplateError"


def test_error_handling_continue_goes_on_without_the_nodes_result() -> None:
    made = workflow(call("a", uses="act"), sets("b", "n", "1"), settings=Settings(on_error="continue"))
    told = drive(made, actions=failing(ValueError(1)))
    assert told.state == {"n": 1}
    assert told.of(NodeErrorHandled)[0].goto is None


def test_on_error_works_inside_items() -> None:
    body = call("x", uses="act", output=None, on_error=OnError(fallback=parse_tree("none")))
    told = drive(workflow(each("m", "[1, 2, 3]", body, at_once=1)), actions=failing(ValueError(1)))
    assert told.state["m"] == ["none", "fine", "fine"]


def test_a_failed_item_of_a_node_with_on_error_goes_to_it() -> None:
    made = workflow(
        each("m", "[1]", call("x", uses="act", output=None), on_error=OnError(goto="h")),
        sets("h", "seen", "error.name"),
    )
    assert drive(made, actions=failing(ValueError(1))).state["seen"] == "NodeFailed"


def test_a_condition_that_fails_fails_the_run_at_its_node() -> None:
    told = drive(workflow(sets("a", "n", "1", goto=goto(("state.x.y", "a")))))
    assert told.error["name"] == "TemplateError"


def test_a_failed_run_tells_its_state_and_the_node() -> None:
    told = drive(workflow(sets("a", "n", "1"), call("b", uses="act")), actions=failing(ValueError(1)))
    assert told.state == {"n": 1}
    assert told.last.node == "b"


def test_a_failure_inside_branches_and_steps_names_the_innermost_node() -> None:
    made = workflow(
        empty("s"), steps("x", call("deep", uses="act")), empty("j"), edges=(edge("s", "x", fan_in="j"),)
    )
    last = drive(made, actions=failing(ValueError(1))).last
    assert (last.node, last.address) == ("deep", "s/>x/x/deep")


@pytest.mark.parametrize("broken_from", range(1, 6))
def test_a_log_that_can_not_be_written_fails_the_run_with_its_reason(broken_from: int) -> None:
    class Full(MemoryLog):
        def append(self, record) -> None:
            if len(self.records()) >= broken_from:
                raise RunError("the disk is full")
            super().append(record)

    made = workflow(sets("a", "n", "1"), sets("b", "m", "2"), sets("c", "k", "state.x.y"))
    told = drive(made, log=Full("r"))
    assert told.error["name"] == ("RunError" if broken_from < 3 else "TemplateError")


def test_a_resumed_run_has_all_attempts_again_where_it_failed() -> None:
    node = call("a", uses="act", retry=Retry(max_attempts=2, backoff_s=0))
    log, shared = MemoryLog("r"), failing(ValueError(1), ValueError(2), ValueError(3))
    assert drive(workflow(node), log=log, actions=shared).error["name"] == "NodeFailed"
    assert go_on(workflow(node), log, actions=shared).state == {"a": "fine"}


def test_a_branch_jumps_to_its_own_handler() -> None:
    made = workflow(
        empty("s"),
        call("x", uses="act", on_error=OnError(goto="h")),
        sets("y", "n", "1"),
        sets("h", "seen", "error.name"),
        empty("j", fan_in=True),
        edges=(edge("s", "x", "y", fan_in="j"),),
    )
    told = drive(made, actions=failing(ActionError("no")))
    assert told.state == {"n": 1, "seen": "ActionError"}


@pytest.mark.parametrize(
    "error",
    [
        NodeFailed("x", place="p", fix="f"),
        RateLimited("x", retry_after_s=3),
        HttpFailed("x", status=500),
        InputInvalid((Problem("a", "b", "c"), Problem("d", "e", "f"))),
        BackendUnavailable("x"),
    ],
)
def test_an_error_comes_back_from_json_as_itself(error: EdgeAgentError) -> None:
    back = error_from_json(error_json(error))
    assert type(back) is type(error)
    assert str(back) == str(error)


def test_a_name_that_is_no_error_comes_back_as_a_run_error() -> None:
    for name in ("Path", "annotations", "NoSuchError"):
        assert error_from_json({"name": name, "what": "w", "place": "", "fix": ""}).name == "RunError"


def test_the_node_finished_of_a_handled_error_still_comes() -> None:
    node = call("a", uses="act", on_error=OnError(fallback=parse_tree(0)))
    assert len(drive(workflow(node), actions=failing(ValueError(1))).of(NodeFinished)) == 1
    assert str(place()) == "agent.yaml:1:3"
