"""``tea plan``: what a run of an agent needs, before it runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.flags import add_backend_flags
from the_edge_agent.cli.parser import Parser, Subparsers

if TYPE_CHECKING:
    from the_edge_agent.cli.model_calls import ModelCall
    from the_edge_agent.cli.run_plan import PlannedModel, RunPlan
    from the_edge_agent.llama.plan import LoadPlan
    from the_edge_agent.store.locate import LocatedModel
    from the_edge_agent.workflow.nodes import LlmSettings

_EPILOG = """\
Nothing is loaded and nothing is asked. Tokens of prompts are estimates of the text that stands in the file; what comes
from the run's state is on top. Exits 1 when a model that the run needs isn't there.

Examples:
  tea plan agent.yaml
  tea plan agent.yaml --gguf ~/models/gemma.gguf --json
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea plan``."""
    parser: Parser = subparsers.add_parser(
        "plan",
        help="what a run needs",
        description="Say which models a run needs, in which order nodes come, and how many tokens and bytes at most.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE", help="the agent, a YAML file")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--allow-code", action="store_true", help="accept inline Python, as `tea run --allow-code` does"
    )
    add_backend_flags(parser)
    parser.set_defaults(handler="the_edge_agent.cli.plan:plan")


def plan(args: argparse.Namespace, console: Console) -> int:
    """Print the plan. Exits 1 where a model is missing."""
    from pathlib import Path

    from the_edge_agent.backends.choose import Caller
    from the_edge_agent.backends.pool import BackendPool
    from the_edge_agent.cli.run_plan import make_plan
    from the_edge_agent.settings import load_settings
    from the_edge_agent.workflow.load import load_workflow

    workflow = load_workflow(args.file, allow_code=args.allow_code)
    caller = Caller(gguf=args.gguf, backend="local" if args.gguf else args.backend, model=args.model)
    found = make_plan(
        workflow,
        base_dir=str(Path(args.file).parent),
        locate=BackendPool(caller, load_settings()).locate,
        need=memory_need,
        backend=caller.backend,
    )
    if args.json:
        console.json(found.to_json())
    else:
        for line in plan_lines(found):
            console.out(line)
    return 0 if found.ready else 1


def plan_lines(found: RunPlan) -> list[str]:
    """The plan to read."""
    from the_edge_agent.cli.text import format_bytes, format_count

    steps = format_count(len(found.order), "node")
    lines = [f"{found.workflow}: {steps}, {format_count(len(found.calls), 'model call')}", ""]
    lines.append(f"order in which a run can come to them (at most {found.max_steps:,} in all)")
    lines += [f"  {number}. {name}" for number, name in enumerate(found.order, 1)]
    if not found.calls:
        return [*lines, "", "no model is needed"]
    lines += ["", "model calls"]
    lines += [f"  {call.node}: {call.action}, {_tokens(call)}" for call in found.calls]
    lines += ["", "models"]
    for model in found.models:
        lines += [f"  {line}" for line in _model_lines(model)]
    lines += ["", f"answer tokens: {_bound(found)}"]
    lines.append(f"prompt tokens in the file: about {found.prompt_tokens:,}, each call once")
    if found.memory_bytes:
        lines.append(f"memory: {format_bytes(found.memory_bytes)} for the local models together")
    return lines


def _bound(found: RunPlan) -> str:
    if found.answer_tokens is not None:
        return f"{found.answer_tokens:,} at most"
    if found.comes_back:
        return "no bound but max_steps: the agent can come back to a node"
    return "no bound: a call without max_tokens, or one whose number only the run knows"


def _tokens(call: ModelCall) -> str:
    prompt = (
        f"about {call.prompt_tokens:,} prompt tokens{' and what the state adds' if call.templated else ''}"
    )
    if not call.answers:
        answer = "no answer tokens"
    elif call.max_tokens is None:
        answer = "answers until the context is full"
    else:
        answer = f"answers of at most {call.max_tokens:,} tokens"
    times = f" ({call.because})" if call.because else ""
    return f"{prompt}, {answer}{times}"


def _model_lines(model: PlannedModel) -> list[str]:
    from the_edge_agent.cli.errors import render_event_error
    from the_edge_agent.cli.text import format_bytes

    asked = f"asked by {', '.join(model.calls)}"
    if model.problem is not None:
        return [f"{model.name}: {render_event_error(model.problem)}", f"  {asked}"]
    if model.backend != "local":
        return [f"{model.name} ({model.backend})", f"  {asked}"]
    sizes = (
        f"{format_bytes(model.size_bytes)} on disk; {format_bytes(model.memory_bytes)} in memory "
        f"(weights {format_bytes(model.weights_bytes)}, KV cache {format_bytes(model.kv_bytes)}, "
        f"buffers {format_bytes(model.compute_bytes)})"
    )
    return [
        f"{model.name} (local, by {model.rule}), context {model.n_ctx:,} tokens",
        f"  {sizes}",
        f"  {model.path}",
        f"  {asked}",
    ]


def memory_need(located: LocatedModel, settings: LlmSettings) -> LoadPlan:
    """How the local backend would load it on this machine, now."""
    from the_edge_agent.llama.machine import read_machine
    from the_edge_agent.llama.plan import LoadWishes, plan_load

    wishes = LoadWishes(
        n_ctx=settings.n_ctx, n_threads=settings.n_threads, n_gpu_layers=settings.n_gpu_layers or 0
    )
    return plan_load(located.header, wishes, read_machine())
