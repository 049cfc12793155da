"""Random graphs with loops and joins: every execution starts once, after what it depends on, and only those start."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.build import call, drive, edge, go_on, goto, workflow

from the_edge_agent.engine.events import Finished
from the_edge_agent.engine.memory_log import MemoryLog
from the_edge_agent.workflow.nodes import END, Settings
from the_edge_agent.workflow.tree import parse_tree

#: ("node", waits) | ("loop", times, body) | ("fork", [branch, ...], jump to the join by name?)
SHAPES = st.recursive(
    st.tuples(st.just("node"), st.integers(0, 3)),
    lambda inner: st.one_of(
        st.tuples(st.just("loop"), st.integers(1, 3), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(
            st.just("fork"),
            st.lists(st.lists(inner, min_size=1, max_size=3), min_size=1, max_size=3),
            st.booleans(),
        ),
    ),
    max_leaves=12,
)
PROGRAMS = st.lists(SHAPES, min_size=1, max_size=4)


@dataclass
class Graph:
    """The program as nodes and edges, and as what must happen: address -> addresses it depends on."""

    nodes: list = field(default_factory=list)
    edges: list = field(default_factory=list)
    count: int = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def lay(self, program: list, following: str, in_branch: bool = False) -> str:
        """Add the nodes of a sequence that goes on to ``following``; the name of its first node."""
        for shape in reversed(program):
            following = self.lay_one(shape, following, in_branch)
        return following

    def lay_one(self, shape: tuple, following: str, in_branch: bool) -> str:
        if shape[0] == "node":
            name = self.name("n")
            self.add(name, shape[1], goto((None, following)))
            return name
        if shape[0] == "loop":
            entry, tail = self.name("entry"), self.name("tail")
            first = self.lay(shape[2], tail, in_branch)
            self.add(entry, 0, goto((None, first)), result=0, output=f"c_{tail}")
            again = goto((f"state.c_{tail} < {shape[1]}", first), (None, following))
            self.add(tail, 0, again, result=f"{{{{ state.c_{tail} + 1 }}}}", output=f"c_{tail}")
            return entry
        start, join = self.name("fork"), self.name("join")
        heads = [self.lay(branch, join if shape[2] else "", True) for branch in shape[1]]
        self.add(start, 0, ())
        self.add(join, 0, goto((None, following)) if following else (), fan_in=True)
        self.edges.append(edge(start, *heads, fan_in=join))
        return start

    def add(
        self, name: str, waits: int, jumps: tuple, result: object = None, output: str | None = None, **more
    ) -> None:
        jumps = tuple(jump for jump in jumps if jump.to)
        params = {"waits": waits, "result": result}
        self.nodes.append(call(name, "mark", output, params=params, goto=jumps, outputs={}, **more))


@dataclass
class Walk:
    """Walks the program as it should run, and notes who must be over before whom."""

    graph: Graph
    needs: dict = field(default_factory=dict)

    def sequence(self, program: list, names: "Names", prefix: str, visits: dict, before: list) -> list:
        for shape, node in zip(program, names, strict=True):
            before = self.one(shape, node, prefix, visits, before)
        return before

    def visit(self, name: str, prefix: str, visits: dict, before: list) -> str:
        visits[name] = visits.get(name, 0) + 1
        address = prefix + name + (f"#{visits[name]}" if visits[name] > 1 else "")
        assert address not in self.needs
        self.needs[address] = list(before)
        return address

    def one(self, shape: tuple, node, prefix: str, visits: dict, before: list) -> list:
        if shape[0] == "node":
            return [self.visit(node, prefix, visits, before)]
        if shape[0] == "loop":
            entry, tail, body = node
            before = [self.visit(entry, prefix, visits, before)]
            for _ in range(shape[1]):
                before = self.sequence(shape[2], body, prefix, visits, before)
                before = [self.visit(tail, prefix, visits, before)]
            return before
        start, join, branches = node
        at = self.visit(start, prefix, visits, before)
        ends: list = []
        for branch, names in zip(shape[1], branches, strict=True):
            ends += self.sequence(branch, names, f"{at}/>{first_name(names[0])}/", {}, [at])
        return [self.visit(join, prefix, visits, ends)]


Names = list


def first_name(node) -> str:
    return node if isinstance(node, str) else node[0]


def names_of(program: list, graph: Graph) -> Names:
    """The names ``Graph.lay`` will give, without laying: it counts in the same order."""
    found: list = []
    for shape in reversed(program):
        if shape[0] == "node":
            found.append(graph.name("n"))
        elif shape[0] == "loop":
            entry, tail = graph.name("entry"), graph.name("tail")
            found.append((entry, tail, names_of(shape[2], graph)))
        else:
            start, join = graph.name("fork"), graph.name("join")
            found.append((start, join, [names_of(branch, graph) for branch in shape[1]]))
    return list(reversed(found))


def built(program: list):
    graph = Graph()
    first = graph.lay(program, END)
    walk = Walk(graph)
    walk.sequence(program, names_of(program, Graph()), "", {}, [])
    made = workflow(
        *graph.nodes, edges=(edge("__start__", first), *graph.edges), settings=Settings(max_steps=100_000)
    )
    return made, walk.needs


def marking(starts: list, ends: list):
    async def mark(params, context):
        starts.append(context.address)
        for _ in range(params["waits"]):
            await asyncio.sleep(0)
        ends.append(context.address)
        starts.append(("end", context.address))
        return params["result"]

    return {"mark": mark}


@given(PROGRAMS)
@settings(max_examples=150, deadline=None)
def test_every_execution_starts_once_after_what_it_depends_on(program: list) -> None:
    made, needs = built(program)
    order: list = []
    told = drive(made, actions=marking(order, []))
    assert isinstance(told.last, Finished), told.last
    started = [entry for entry in order if isinstance(entry, str)]
    assert len(started) == len(set(started))
    assert set(started) == set(needs)
    for address, before in needs.items():
        for earlier in before:
            assert order.index(("end", earlier)) < order.index(address)


@given(PROGRAMS, st.data())
@settings(max_examples=60, deadline=None)
def test_a_random_graph_cut_off_anywhere_goes_on_without_running_anything_again(
    program: list, data: st.DataObject
) -> None:
    made, needs = built(program)
    log = MemoryLog("r")
    whole = drive(made, log=log, actions=marking([], []))
    records = log.records()
    cut = data.draw(st.integers(1, len(records)))
    committed = {record["at"] for record in records[:cut] if record["kind"] == "node"}
    order: list = []
    told = go_on(made, MemoryLog("r", records[:cut]), actions=marking(order, []))
    assert told.state == whole.state
    assert {entry for entry in order if isinstance(entry, str)} == set(needs) - committed
    assert parse_tree(1).render({}) == 1
