"""What a run tells of the models that come next: only what is certain, in the order in which it will be asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.engine.build import call, each, edge, empty, goto, loop, steps, sub, workflow

from the_edge_agent.actions import BUILTIN_ACTIONS
from the_edge_agent.backends.scripted import ScriptedBackend
from the_edge_agent.engine.events import BranchStarted
from the_edge_agent.engine.foresight import Foresight
from the_edge_agent.engine.plan import Fork, Plan
from the_edge_agent.engine.ports import ResolvedBackend
from the_edge_agent.engine.run import run
from the_edge_agent.workflow.nodes import LlmSettings, Settings


def ask(name: str, model: Any = None, **more: Any):
    """A node that asks a model."""
    params = {"prompt": "Hi", **({"model": model} if model else {})}
    return call(name, "llm.call", params=params, **more)


def ahead(flow, name: str) -> list[str | None]:
    foresight = Foresight(Plan(flow), flow.settings.llm, ".")
    node = next(node for node in flow.nodes if node.name == name)
    return [choice.model for choice in foresight.ahead(node)]


def test_a_node_tells_its_own_model_and_the_next_one():
    assert ahead(workflow(ask("a", "small"), ask("b", "large"), ask("c", "huge")), "a") == ["small", "large"]


def test_nodes_that_ask_nobody_are_looked_past():
    assert ahead(
        workflow(ask("a", "small"), empty("x"), call("y", "template.render"), ask("b", "large")), "a"
    ) == [
        "small",
        "large",
    ]


@pytest.mark.parametrize(
    "flow",
    [
        workflow(ask("a", "small"), ask("b", "small")),
        workflow(ask("a", "small"), empty("x")),
        workflow(ask("a", "small"), ask("b", "{{ state.chosen }}")),
        workflow(ask("a", "small", goto=goto(("state.x", "c"))), ask("b", "large"), ask("c", "huge")),
        workflow(ask("a", "small", goto=goto((None, "a"))), ask("b", "large")),
    ],
    ids=[
        "the same model",
        "none follows",
        "a template names it",
        "a condition decides",
        "it loops on itself",
    ],
)
def test_where_there_is_nothing_certain_to_tell_nothing_is_told(flow):
    assert ahead(flow, "a") == []


def test_a_node_that_may_be_skipped_is_not_counted_on_and_what_follows_it_is():
    from tests.engine.build import expr

    flow = workflow(ask("a", "small"), ask("b", "large", when=expr("state.x")), ask("c", "huge"))
    assert ahead(flow, "a") == ["small", "huge"]


def test_an_unconditional_jump_is_followed():
    flow = workflow(ask("a", "small", goto=goto((None, "c"))), ask("b", "large"), ask("c", "huge"))
    assert ahead(flow, "a") == ["small", "huge"]


def test_what_containers_hold_is_told_in_order():
    inner = workflow(ask("i", "inner"))
    flow = workflow(
        steps("s", ask("1", "one"), ask("2", "two")),
        loop("l", "state.x", ask("3", "three")),
        each("e", "state.list", ask("4", "four")),
        sub("g", inner, {}),
        ask("z", "last"),
    )
    assert ahead(flow, "s") == ["one", "two", "three"]
    assert ahead(flow, "l") == ["three", "four"]
    assert ahead(flow, "e") == ["four", "inner"]
    assert ahead(flow, "g") == ["inner", "last"]


def test_a_subgraph_without_words_of_its_own_asks_the_models_of_its_holder():
    flow = workflow(
        sub("g", workflow(ask("i")), {}), ask("z", "last"), settings=Settings(LlmSettings(model="file"))
    )
    foresight = Foresight(Plan(flow), flow.settings.llm, ".")
    assert [choice.settings.model for choice in foresight.ahead(flow.nodes[0])] == ["file", "file"]


def fork_of(flow) -> Fork:
    move = Plan(flow).certain(flow.nodes[0])
    assert isinstance(move, Fork)
    return move


def forked(*models: str | None):
    branches = [
        ask(f"b{place}", model) if model else empty(f"b{place}") for place, model in enumerate(models)
    ]
    names = [node.name for node in branches]
    return workflow(
        ask("start", "first"),
        *branches,
        empty("join", fan_in=True),
        edges=(edge("start", *names, fan_in="join"), *(edge(name, "join") for name in names)),
    )


def test_branches_of_one_model_start_next_to_each_other_and_the_rest_keeps_its_order():
    flow = forked("large", "small", None, "large", "small", "large")
    foresight = Foresight(Plan(flow), LlmSettings(), ".")
    assert foresight.order(fork_of(flow)) == (0, 3, 5, 1, 4, 2)
    assert [choice.model for choice in foresight.branches(fork_of(flow))] == ["large", "small"]
    assert ahead(flow, "start") == ["first", "large", "small"]


class Resolver:
    """Answers everybody, and notes what it was told and asked, in order."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.backend = ScriptedBackend("yes")

    async def resolve(self, choice):
        self.heard.append(choice.model)
        return ResolvedBackend(self.backend, choice.model or "")

    def expect(self, choices):
        self.heard.append([choice.model for choice in choices])


def events_of(flow, resolver):
    async def collect():
        return [event async for event in run(flow, actions=BUILTIN_ACTIONS, backends=resolver)]

    return asyncio.run(collect())


def test_a_run_tells_before_it_asks():
    resolver = Resolver()
    events = events_of(workflow(ask("a", "small"), ask("b", "large"), ask("c", "large")), resolver)
    assert events[-1].type == "finished"
    assert resolver.heard == [["small", "large"], "small", "large", "large"]


def test_a_run_starts_branches_by_model_and_their_results_keep_the_order_of_the_file():
    resolver = Resolver()
    events = events_of(forked("large", "small", "large", "small"), resolver)
    assert [event.index for event in events if isinstance(event, BranchStarted)] == [0, 2, 1, 3]
    assert resolver.heard == [
        ["first", "large", "small"],
        "first",
        ["large", "small"],
        *["large", "large", "small", "small"],
    ]


def test_a_resolver_that_makes_no_use_of_it_is_told_nothing():
    class Plain:
        resolve = Resolver.resolve

        def __init__(self):
            self.heard, self.backend = [], ScriptedBackend("yes")

    plain = Plain()
    assert events_of(workflow(ask("a", "small"), ask("b", "large")), plain)[-1].type == "finished"
    assert plain.heard == ["small", "large"]
