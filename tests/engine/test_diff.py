from tests.engine.build import call, drive, each, edge, empty, goto, sets, workflow

from the_edge_agent.engine.diff import diff_runs
from the_edge_agent.engine.memory_log import MemoryLog


def logged(made, given=None, **options):
    log = MemoryLog("r")
    drive(made, given, log=log, **options)
    return log.records()


def routed():
    return workflow(
        sets("a", "n", "state.q + 1", goto=goto(("state.n > 5", "high"), (None, "low"))),
        sets("low", "side", "'low'", goto=goto((None, "__end__"))),
        sets("high", "side", "'high'"),
    )


def test_two_equal_runs_do_not_part() -> None:
    found = diff_runs(logged(routed(), {"q": 1}), logged(routed(), {"q": 1}))
    assert found.first is None
    assert found.common == 2


def test_the_first_difference_comes_first() -> None:
    found = diff_runs(logged(routed(), {"q": 1}), logged(routed(), {"q": 9}))
    assert [(entry.kind, entry.at) for entry in found.differences] == [
        ("input", ""),
        ("result", "a"),
        ("route", "a"),
        ("missing", "low"),
        ("extra", "high"),
    ]
    assert (found.differences[2].a, found.differences[2].b) == ("low", "high")


def test_a_result_that_differs_is_shown_from_both_sides() -> None:
    made = workflow(call("a", params={"value": "{{ variables.x }}"}))
    found = diff_runs(logged(made, variables={"x": 1}), logged(made, variables={"x": True}))
    assert found.differences[-1].to_json() == {
        "kind": "result",
        "at": "a",
        "a": {"set": {"a": [1]}},
        "b": {"set": {"a": [True]}},
    }


def test_branches_that_finished_in_another_order_are_no_difference() -> None:
    made = workflow(
        empty("s"),
        sets("x", "p", "1"),
        sets("y", "q", "2"),
        empty("j"),
        edges=(edge("s", "x", "y", fan_in="j"),),
    )
    records = logged(made)
    other = list(records)
    x, y = (
        next(i for i, entry in enumerate(other) if entry.get("at") == f"s/>{name}/{name}") for name in "xy"
    )
    other[x], other[y] = other[y], other[x]
    assert diff_runs(records, other).first is None


def test_how_they_ended_is_compared() -> None:
    made = workflow(each("m", "variables.items", empty("x")))
    found = diff_runs(logged(made, variables={"items": []}), logged(made, variables={"items": 1}))
    assert found.differences[-1].kind == "end"
    assert found.differences[-1].b == {"status": "failed", "error": "NodeFailed"}
