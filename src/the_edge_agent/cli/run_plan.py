"""What a run will need, worked out before it: order of nodes, models, tokens, memory. Opens no model.

``make_plan`` is pure but for looking up model files, which a ``Locate`` does. It knows nothing of printing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from the_edge_agent.cli.model_calls import UNKNOWN, ModelCall, can_come_back, model_calls, run_order
from the_edge_agent.engine.ports import BackendChoice
from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.llama.plan import LoadPlan
from the_edge_agent.store.locate import LocatedModel
from the_edge_agent.workflow.nodes import LlmSettings, Workflow

Locate: TypeAlias = Callable[[BackendChoice], LocatedModel]
#: How a model would be loaded with these settings: its context and its bytes.
Need: TypeAlias = Callable[[LocatedModel, LlmSettings], LoadPlan]


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A model that the run will ask. ``problem`` says why it can't, where it can't."""

    name: str
    backend: str
    rule: str = ""
    path: str = ""
    size_bytes: int = 0
    weights_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0
    n_ctx: int = 0
    problem: dict[str, str] | None = None
    calls: tuple[str, ...] = ()

    @property
    def memory_bytes(self) -> int:
        """All that loading takes."""
        return self.weights_bytes + self.kv_bytes + self.compute_bytes


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything ``tea plan`` tells. Token figures are bounds; None where only the run knows."""

    workflow: str
    order: tuple[str, ...]
    calls: tuple[ModelCall, ...]
    models: tuple[PlannedModel, ...]
    max_steps: int
    comes_back: bool

    @property
    def answer_tokens(self) -> int | None:
        """The most tokens all calls together can generate, or None without a bound."""
        if self.comes_back:
            return None
        total = 0
        for call in self.calls:
            if not call.answers:
                continue
            if call.max_tokens is None or call.repeats is None:
                return None
            total += call.max_tokens * call.repeats
        return total

    @property
    def prompt_tokens(self) -> int:
        """Estimated tokens of the prompt text that stands in the file, each call once."""
        return sum(call.prompt_tokens for call in self.calls)

    @property
    def memory_bytes(self) -> int:
        """What all local models need together; they stay loaded for the length of a run."""
        return sum(model.memory_bytes for model in self.models)

    @property
    def ready(self) -> bool:
        """Whether every model that is named is there."""
        return all(model.problem is None for model in self.models)

    def to_json(self) -> dict[str, Any]:
        """What ``tea plan --json`` prints."""
        return {
            "workflow": self.workflow,
            "order": list(self.order),
            "comes_back": self.comes_back,
            "max_steps": self.max_steps,
            "calls": [_call_json(call) for call in self.calls],
            "models": [_model_json(model) for model in self.models],
            "tokens": {"prompt_in_file": self.prompt_tokens, "answers_at_most": self.answer_tokens},
            "memory_bytes": self.memory_bytes,
            "ready": self.ready,
        }


def make_plan(
    workflow: Workflow, *, base_dir: str, locate: Locate, need: Need, backend: str | None
) -> RunPlan:
    """Plan a run. ``backend`` is the caller's --backend, which wins over the file's."""
    calls = model_calls(workflow)
    groups: dict[tuple[str | None, ...], list[ModelCall]] = {}
    for call in calls:
        groups.setdefault((call.backend, call.model, call.model_path, call.level), []).append(call)
    models = [
        _model(workflow, group, base_dir=base_dir, locate=locate, need=need, caller=backend)
        for group in groups.values()
    ]
    return RunPlan(
        workflow=workflow.name,
        order=run_order(workflow),
        calls=calls,
        models=tuple(_merged(models)),
        max_steps=workflow.settings.max_steps,
        comes_back=can_come_back(workflow),
    )


def _model(
    workflow: Workflow,
    calls: Sequence[ModelCall],
    *,
    base_dir: str,
    locate: Locate,
    need: Need,
    caller: str | None,
) -> PlannedModel:
    call, settings = calls[0], workflow.settings.llm
    nodes = tuple(each.node for each in calls)
    backend = caller or call.backend or settings.backend or "auto"
    if backend == "api":
        return PlannedModel(
            call.model or settings.api.model or "(the API's)", "api", settings.api.base_url, calls=nodes
        )
    if backend == "runtime":
        return PlannedModel(call.model or call.level or "(the daemon's)", "runtime", calls=nodes)
    if UNKNOWN in (call.model, call.model_path, call.backend):
        return PlannedModel(UNKNOWN, backend, calls=nodes)
    choice = BackendChoice(model=call.model, model_path=call.model_path, settings=settings, base_dir=base_dir)
    try:
        located = locate(choice)
        load = need(located, settings)
        return PlannedModel(
            name=located.name,
            backend="local",
            rule=located.rule,
            path=str(located.path),
            size_bytes=sum(path.stat().st_size for path in located.shards or (located.path,)),
            weights_bytes=load.weights,
            kv_bytes=load.kv,
            compute_bytes=load.compute,
            n_ctx=load.n_ctx,
            calls=nodes,
        )
    except EdgeAgentError as error:
        problem = {"name": error.name, "what": error.what, "place": error.place, "fix": error.fix}
        name = call.model or call.model_path or settings.model or settings.model_path or "(default)"
        return PlannedModel(name, backend, problem=problem, calls=nodes)


def _merged(models: Sequence[PlannedModel]) -> list[PlannedModel]:
    """One entry a file: two nodes that name it differently still load it once."""
    found: dict[tuple[str, str, str], PlannedModel] = {}
    for model in models:
        key = (model.backend, model.name, model.path)
        before = found.get(key)
        found[key] = model if before is None else replace(before, calls=before.calls + model.calls)
    return list(found.values())


def _call_json(call: ModelCall) -> dict[str, Any]:
    return {
        "node": call.node,
        "place": call.place,
        "action": call.action,
        "max_tokens": call.max_tokens,
        "prompt_tokens_in_file": call.prompt_tokens,
        "prompt_grows_with_state": call.templated,
        "at_most_times": call.repeats,
        "because": call.because,
    }


def _model_json(model: PlannedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "backend": model.backend,
        "rule": model.rule,
        "path": model.path,
        "size_bytes": model.size_bytes,
        "memory_bytes": model.memory_bytes,
        "weights_bytes": model.weights_bytes,
        "kv_bytes": model.kv_bytes,
        "compute_bytes": model.compute_bytes,
        "n_ctx": model.n_ctx,
        "calls": list(model.calls),
        "problem": model.problem,
    }
