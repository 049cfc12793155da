import pytest
from tests.engine.build import edge, empty, expr, goto, workflow

from the_edge_agent.engine.plan import FINISH, Fork, Plan, Run, path_text
from the_edge_agent.errors import RunLogCorrupt, StepLimitExceeded
from the_edge_agent.workflow.nodes import Settings


def plan_and_nodes(*nodes, edges=(), **more):
    made = workflow(*nodes, edges=edges, **more)
    return Plan(made), {node.name: node for node in nodes}


def under(**state):
    return lambda condition: condition.holds({"state": state})


def name(move):
    return move.node.name


def test_nodes_follow_in_list_order_and_the_last_one_ends() -> None:
    plan, nodes = plan_and_nodes(empty("a"), empty("b"))
    assert name(plan.begin(under())) == "a"
    assert name(plan.after(nodes["a"], under())) == "b"
    assert plan.after(nodes["b"], under()) is FINISH


def test_the_first_goto_that_matches_wins() -> None:
    plan, nodes = plan_and_nodes(
        empty("a", goto=goto(("state.n > 5", "c"), ("state.n > 1", "b"), (None, "a"))), empty("b"), empty("c")
    )
    assert name(plan.after(nodes["a"], under(n=9))) == "c"
    assert name(plan.after(nodes["a"], under(n=2))) == "b"
    assert name(plan.after(nodes["a"], under(n=0))) == "a"


def test_goto_wins_over_edges_and_edges_over_list_order() -> None:
    plan, nodes = plan_and_nodes(
        empty("a", goto=goto(("state.jump", "d"))),
        empty("b"),
        empty("c"),
        empty("d"),
        edges=(edge("a", "c", when="state.edge"),),
    )
    assert name(plan.after(nodes["a"], under(jump=True, edge=True))) == "d"
    assert name(plan.after(nodes["a"], under(edge=True))) == "c"
    assert name(plan.after(nodes["a"], under())) == "b"


def test_an_edge_from_start_chooses_the_first_node() -> None:
    plan, _ = plan_and_nodes(empty("a"), empty("b"), edges=(edge("__start__", "b"),))
    assert name(plan.begin(under())) == "b"


def test_an_edge_or_goto_to_end_ends() -> None:
    plan, nodes = plan_and_nodes(empty("a", goto=goto((None, "__end__"))), empty("b"))
    assert plan.after(nodes["a"], under()) is FINISH


def test_parallel_edges_that_hold_start_together() -> None:
    plan, nodes = plan_and_nodes(
        empty("a"),
        empty("l"),
        empty("m"),
        empty("r"),
        empty("j"),
        edges=(
            edge("a", "l", fan_in="j"),
            edge("a", "m", when="state.m", fan_in="j"),
            edge("a", "r", fan_in="j"),
        ),
    )
    fork = plan.after(nodes["a"], under(m=False))
    assert isinstance(fork, Fork)
    assert [node.name for node in fork.branches] == ["l", "r"]
    assert fork.fan_in is nodes["j"]


def test_inside_a_branch_list_order_does_not_apply() -> None:
    plan, nodes = plan_and_nodes(empty("l"), empty("r"), empty("j"))
    assert plan.after(nodes["l"], under(), fan_in="j") is FINISH


def test_inside_a_branch_a_goto_is_followed_until_the_fan_in() -> None:
    plan, nodes = plan_and_nodes(
        empty("l", goto=goto((None, "more"))), empty("more", goto=goto((None, "j"))), empty("j")
    )
    assert name(plan.after(nodes["l"], under(), fan_in="j")) == "more"
    assert plan.after(nodes["more"], under(), fan_in="j") is FINISH


def test_every_move_can_be_read_back_from_its_decision() -> None:
    plan, nodes = plan_and_nodes(
        empty("a"), empty("l"), empty("r"), empty("j"), edges=(edge("a", "l", "r", fan_in="j"),)
    )
    for move in (plan.begin(under()), plan.after(nodes["a"], under()), FINISH):
        assert plan.decode(move.decision) == move


def test_a_decision_for_a_node_that_is_not_there_says_the_log_is_damaged() -> None:
    plan, _ = plan_and_nodes(empty("a"))
    for decision in ("b", ["b", "c", "d"], []):
        with pytest.raises(RunLogCorrupt):
            plan.decode(decision)


def test_the_node_after_max_steps_fails_with_the_path_taken() -> None:
    plan, _ = plan_and_nodes(empty("a"), empty("b"), settings=Settings(max_steps=4))
    plan.check_steps(["a", "b", "a", "b"])
    with pytest.raises(StepLimitExceeded, match=r"'a' would be number 5.*a → b → a → b → a"):
        plan.check_steps(["a", "b", "a", "b", "a"])


def test_a_long_path_is_shown_by_its_ends() -> None:
    text = path_text([f"n{i}" for i in range(1000)])
    assert text.startswith("n0 → n1")
    assert text.endswith("n999")
    assert "984 more" in text


def test_a_plan_runs_nothing_and_keeps_nothing() -> None:
    plan, nodes = plan_and_nodes(empty("a", goto=goto(("state.n", "a"))), empty("b"))
    assert plan.after(nodes["a"], under(n=1)) == plan.after(nodes["a"], under(n=1)) == Run(nodes["a"])
    assert expr("state.n").holds({"state": {"n": 1}})
