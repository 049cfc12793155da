"""A logged run in words: what ``tea runs show`` and ``tea logs`` print. Reads records; knows no store and no engine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from the_edge_agent.cli.answer_input import question_lines
from the_edge_agent.cli.console import Console, json_text
from the_edge_agent.cli.errors import render_event_error
from the_edge_agent.cli.terminal import visible
from the_edge_agent.cli.text import clip, format_bytes, format_count, format_seconds, plain

if TYPE_CHECKING:
    from the_edge_agent.adapters.run_store import RunDetails

MAX_NODES = 100
MAX_VALUE_CHARS = 200


def report_lines(details: RunDetails, console: Console) -> Iterator[str]:
    """A run: its facts, its nodes, and what to do next."""
    summary, history = details.summary, details.history
    head: Mapping[str, Any] = history.head
    workflow: Mapping[str, Any] = head.get("workflow", {})
    usage = history.usage
    yield f"run       {summary.run_id}"
    yield f"agent     {visible(summary.workflow)} ({visible(str(workflow.get('file', 'unknown file')))})"
    yield f"status    {summary.status}"
    yield f"started   {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(summary.created_s))}"
    if history.end is not None:
        yield f"took      {format_seconds(float(history.end.get('duration_s', 0.0)))}"
    if usage.completion_tokens or usage.prompt_tokens:
        yield f"tokens    {usage.prompt_tokens:,} prompt ({usage.cached_tokens:,} cached), {usage.completion_tokens:,} answer"
    if history.resumes:
        yield f"resumed   {format_count(history.resumes, 'time')}"
    yield f"log       {format_count(summary.records, 'record')}, {format_bytes(summary.size_bytes)}"
    if head.get("input"):
        yield f"input     {_short(head['input'], console)}"
    yield ""
    yield from _node_lines(details, console)
    yield from _end_lines(details)


def record_line(number: int, record: Mapping[str, Any], console: Console) -> str:
    """One record of a log in a line."""
    kind, at = str(record.get("kind")), str(record.get("at", ""))
    match kind:
        case "run":
            what = f"{record['workflow']['name']}, input {_short(record.get('input', {}), console)}"
        case "node":
            what = _changes(record, console)
        case "items":
            what = format_count(int(record.get("count", 0)), "item")
        case "retry":
            what = f"attempt {record.get('attempt')}"
        case "ask":
            what = " / ".join(question_lines({**record["question"], "context": None}))
        case "answer":
            what = _short(record.get("answer"), console)
        case "fail":
            what = render_event_error(record["error"]).replace("\n", " ")
        case "end":
            what = f"{record.get('status')} after {format_seconds(float(record.get('duration_s', 0.0)))}"
        case _:
            what = ""
    return f"{number:5}  {kind:7}  {visible(' '.join(part for part in (at, what) if part))}"


def _node_lines(details: RunDetails, console: Console) -> Iterator[str]:
    history = details.history
    nodes = list(history.nodes.items())
    for address, record in nodes[:MAX_NODES]:
        mark = console.symbol("skipped" if record.get("skip") else "done")
        tokens = record.get("usage", {}).get("completion_tokens", 0)
        said = f"  {tokens:,} tokens" if tokens else ""
        handled = "  its error was handled" if record.get("error") else ""
        yield f"  {mark} {visible(address)}{said}{handled}"
    if len(nodes) > MAX_NODES:
        yield f"  {console.symbol('more')} and {len(nodes) - MAX_NODES:,} more; `tea logs {details.summary.run_id}` has all"
    for address in history.failures:
        yield f"  {console.symbol('failed')} {visible(address)}"
    for address in history.open_questions:
        yield f"  {console.symbol('waiting')} {visible(address)}"


def _end_lines(details: RunDetails) -> Iterator[str]:
    summary, history = details.summary, details.history
    again = f"tea resume {summary.run_id}"
    if summary.damage:
        yield f"\nthe log is damaged: {summary.damage}\nto go on from what is sound: tea runs mend {summary.run_id}"
        return
    for question in history.open_questions.values():
        yield "\n" + visible("\n".join(question_lines(question)))
        yield f"answer with: {again} --answer TEXT"
        return
    if summary.status == "failed" and history.end is not None and history.end.get("error"):
        yield "\n" + visible(render_event_error(history.end["error"]))
    if summary.status in ("failed", "stopped"):
        yield f"to go on from there: {again}"


def _changes(record: Mapping[str, Any], console: Console) -> str:
    keys = [*record.get("set", {}), *record.get("put", {})]
    parts = [f"sets {', '.join(map(str, keys))}"] if keys else []
    if record.get("skip"):
        parts.append("skipped")
    if record.get("error"):
        parts.append(f"error handled: {_short(record['error'].get('what'), console)}")
    if record.get("to"):
        parts.append(f"to {_short(record['to'], console)}")
    return ", ".join(parts)


def _short(value: Any, console: Console) -> str:
    text = value if isinstance(value, str) else json_text(plain(value))
    return visible(clip(text, MAX_VALUE_CHARS, console.symbol("more")))
