"""How nodes hang together: what is refused at load, and what the drawings show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.errors import WorkflowInvalid
from the_edge_agent.workflow.links import links
from the_edge_agent.workflow.nodes import Workflow


def file(nodes: dict[str, str], *edges: str) -> str:
    lines = ["nodes:"]
    lines += [f"  - {{name: {name}{', ' + keys if keys else ''}}}" for name, keys in nodes.items()]
    if edges:
        lines += ["edges:", *(f"  - {{{edge}}}" for edge in edges)]
    return "\n".join(lines) + "\n"


def problems(nodes: dict[str, str], *edges: str) -> list[str]:
    try:
        Workflow.parse(file(nodes, *edges))
    except WorkflowInvalid as error:
        return [str(problem) for problem in error.problems]
    return []


FORK = "from: fork, to: [x, y], parallel: true"
BRANCHES = {"fork": "", "x": "", "y": "", "join": "fan_in: true"}


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [
        ({"a": "", "b": ""}, ()),
        ({"a": "goto: c", "b": "goto: __end__", "c": "goto: b"}, ()),
        ({"a": "goto: [{if: state.x, to: a}, {to: b}]", "b": ""}, ()),
        ({"a": "", "b": ""}, ("from: __start__, to: b", "from: b, to: a")),
        ({"a": "", "b": "", "c": ""}, ("from: a, to: c, when: state.x",)),
        ({"a": "", "b": "", "c": ""}, ("from: a, to: c, when: state.x", "from: a, to: b")),
        (BRANCHES, (FORK,)),
        ({"fork": "", "x": "", "y": "", "join": ""}, (FORK + ", fan_in: join",)),
        ({"fork": "", "x": "", "y": "", "join": ""},
         ("from: fork, to: x, type: parallel, fan_in: join", "from: fork, to: y, type: parallel, fan_in: join")),
        ({"fork": "", "x": "", "y": "", "join": "fan_in: true"},
         ("from: fork, to: x, type: parallel", "from: fork, to: y, type: parallel, when: state.y")),
        ({"fork": "", "x": "goto: x2", "x2": "", "y": "", "join": "fan_in: true"}, (FORK,)),
        ({"fork": "", "x": "goto: join", "y": "goto: [{if: state.z, to: y}]", "join": "fan_in: true"}, (FORK,)),
        ({"fork": "", "x": "goto: shared", "y": "goto: shared", "shared": "", "join": "fan_in: true"}, (FORK,)),
        ({"fork": "", "x": "", "y": "", "join": "goto: [{if: state.again, to: fork}]"}, (FORK + ", fan_in: join",)),
        ({"fork": "", "x": "", "a": "", "b": "", "meet": "fan_in: true", "y": "", "join": "fan_in: true"},
         (FORK + ", fan_in: join", "from: x, to: [a, b], parallel: true, fan_in: meet")),
        ({"a": "on_error: {goto: c}, uses: llm.call, with: {prompt: x}", "b": "goto: __end__", "c": ""}, ()),
    ],
)  # fmt: skip
def test_workflows_that_hang_together_are_accepted(nodes: dict[str, str], edges: tuple[str, ...]) -> None:
    assert problems(nodes, *edges) == []


@pytest.mark.parametrize(
    ("nodes", "edges", "said"),
    [
        ({"a": "goto: b"}, (), "<text>:2:21: there is no node 'b'; "),
        ({"first": "goto: secnd", "second": ""}, (), "there is no node 'secnd'; did you mean 'second'?"),
        ({"a": "goto: [{to: b}]"}, (), "there is no node 'b'"),
        ({"a": "goto: __start__"}, (), "__start__ can't stand here"),
        ({"a": "on_error: {goto: b}, uses: llm.call, with: {prompt: x}"}, (), "there is no node 'b'"),
        ({"a": ""}, ("from: a, to: b",), "<text>:4:5: there is no node 'b'"),
        ({"a": ""}, ("from: b, to: a",), "there is no node 'b'"),
        ({"a": ""}, ("from: __end__, to: a",), "__end__ can't stand here"),
        ({"a": ""}, ("from: a, to: __start__",), "__start__ can't stand here"),
        ({"a": "goto: c", "b": "", "c": ""}, (), "<text>:3:5: the node 'b' is never reached; jump to it, or remove it"),
        ({"a": "goto: __end__", "b": "goto: c", "c": "goto: b"}, (), "the node 'c' is never reached"),
        ({"a": "", "b": ""}, ("from: __start__, to: b",), "the node 'a' is never reached"),
        ({"a": "goto: b", "b": ""}, ("from: a, to: b",), "this edge is never followed: 'a' has a goto"),
        ({"a": "", "b": "", "c": ""}, ("from: a, to: b", "from: a, to: c"), "never followed: the one in line 6 has no `when`"),
        ({"a": "", "b": "", "c": ""}, ("from: a, to: [b, c]",), "several nodes can only start in parallel"),
        ({"a": "", "b": ""}, ("from: a, to: b, fan_in: b",), "only parallel edges have a fan_in"),
        ({"fork": "", "x": "", "y": ""}, (FORK,), "the branches of 'fork' have no fan_in; add fan_in: NODE"),
        ({"fork": "", "x": "", "y": "", "j": "fan_in: true", "k": "fan_in: true"}, (FORK,), "have no fan_in"),
        ({"fork": "", "x": "", "y": "", "join": ""}, (FORK + ", fan_in: jion",), "there is no node 'jion'; did you mean 'join'?"),
        ({"fork": "", "x": "", "y": "", "join": ""}, (FORK + ", fan_in: __end__",), "__end__ can't stand here"),
        ({"fork": "", "x": "", "y": ""}, (FORK + ", fan_in: y",), "'y' is a branch and the fan_in"),
        ({"fork": "", "x": "", "y": "", "j": "", "k": ""},
         ("from: fork, to: x, type: parallel, fan_in: j", "from: fork, to: y, type: parallel, fan_in: k"),
         "the parallel edges of 'fork' meet at 'j' and 'k'"),
        ({"a": "", "join": "fan_in: true"}, (), "no branches meet at 'join'"),
        ({**BRANCHES, "x": "goto: y"}, (FORK,), "the branch 'x' jumps into its sibling 'y'; go to the fan_in, 'join'"),
        ({**BRANCHES, "x": "goto: x2", "x2": "goto: y"}, (FORK,), "the branch 'x' jumps into its sibling 'y'"),
        (BRANCHES, (FORK, "from: x, to: y"), "the branch 'x' jumps into its sibling 'y'"),
        ({**BRANCHES, "x": "goto: __end__"}, (FORK,), "'x' is in a branch of 'fork', which can't end the run"),
        ({**BRANCHES, "x": "goto: fork"}, (FORK,), "the branches of 'fork' lead back to 'fork'"),
        ({"fork": "", "x": "", "a": "goto: join", "b": "", "meet": "fan_in: true", "y": "", "join": "fan_in: true"},
         (FORK + ", fan_in: join", "from: x, to: [a, b], parallel: true, fan_in: meet"),
         "'a' jumps past its fan_in to 'join'; go to 'meet' first"),
        ({"fork": "", "x": "", "a": "", "b": "", "y": "", "join": "fan_in: true"},
         (FORK + ", fan_in: join", "from: x, to: [a, b], parallel: true, fan_in: join"),
         "the inner branches of 'x' meet where the outer ones do"),
        ({"a": "", "b": ""}, ("from: a, to: [], parallel: true",), "'to' is empty"),
        ({"a": "", "b": "", "c": ""}, ("from: a, to: [b, b], parallel: true, fan_in: c",), "'to' names a node twice"),
        ({"a": "", "b": ""}, ("from: a, to: [b, __end__], parallel: true",), "__end__ can't stand here"),
    ],
)  # fmt: skip
def test_what_does_not_hang_together_is_refused(
    nodes: dict[str, str], edges: tuple[str, ...], said: str
) -> None:
    found = problems(nodes, *edges)
    assert any(said in problem for problem in found), found


def test_list_order_never_applies_inside_branches() -> None:
    # y follows x in the list, and x still goes to the fan_in: nothing is refused, and the drawing shows it.
    workflow = Workflow.parse(file(BRANCHES, FORK))
    assert ("x", "join", "fan_in") in {
        (link.source, link.target, link.kind) for link in links(workflow.nodes, workflow.edges)
    }


def test_a_mistyped_jump_is_told_without_its_consequences() -> None:
    assert len(problems({"a": "goto: bb", "b": "", "c": ""})) == 1


def test_the_fan_in_that_branches_lead_to_is_filled_in() -> None:
    workflow = Workflow.parse(
        file(
            {
                "fork": "",
                "x": "goto: j",
                "y": "",
                "j": "fan_in: true",
                "fork2": "",
                "u": "",
                "v": "",
                "k": "fan_in: true",
            },
            FORK,
            "from: fork2, to: [u, v], parallel: true",
        )
    )
    assert [edge.fan_in for edge in workflow.edges] == ["j", "k"]


NAMES = [f"n{number}" for number in range(8)]


@given(
    st.lists(st.sampled_from([*NAMES, "__end__", "", "nowhere"]), min_size=8, max_size=8),
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
            st.sampled_from(["", *NAMES]),
        ),
        max_size=4,
    ),
)
def test_any_graph_is_accepted_or_refused_with_places(
    gotos: list[str], forks: list[tuple[str, list[str], str]]
) -> None:
    nodes = {name: f"goto: {goto}" if goto else "" for name, goto in zip(NAMES, gotos, strict=True)}
    edges = [
        f"from: {source}, to: [{', '.join(to)}], parallel: true" + (f", fan_in: {join}" if join else "")
        for source, to, join in forks
    ]
    for problem in problems(nodes, *edges):
        assert problem.startswith("<text>:")


def test_many_forks_in_a_row_are_checked_in_linear_time() -> None:
    nodes: dict[str, str] = {}
    edges: list[str] = []
    for number in range(300):
        nodes |= {f"f{number}": "", f"x{number}": "", f"y{number}": "", f"j{number}": "fan_in: true"}
        edges.append(f"from: f{number}, to: [x{number}, y{number}], parallel: true, fan_in: j{number}")
    assert problems(nodes, *edges) == []
