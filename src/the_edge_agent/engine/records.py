"""The shapes of a run log's records, and what a log adds up to. Pure; knows no log, no graph, no state.

======== =====================================================================================================
run      the first one: format, workflow {name, file, folder, text, digest, sources}, input, variables, seed, at_s
resume   another process goes on: at_s
node     an execution is committed: at, set {key: delta}, put {key: written value of a key with a reducer}, to,
         value or keys (what a container needs of it), skip, error (when on_error took over), usage
items    a dynamic_parallel begins: at, count, digest of its items
input    a subgraph begins: at, input
retry    an attempt of an execution begins that isn't the first: at, attempt
ask      a person is asked: at, question
answer   ... and has answered: at, answer
fail     an execution failed and the run with it: at, error
end      status finished | failed | interrupted, error, usage, duration_s, at_s
======== =====================================================================================================
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from the_edge_agent.engine.inner_nodes import inner_nodes
from the_edge_agent.errors import RunLogCorrupt
from the_edge_agent.inference import JsonObject, JsonValue, Usage
from the_edge_agent.workflow.nodes import Node, Subgraph, Workflow

FORMAT = 1
Status: TypeAlias = Literal["running", "stopped", "interrupted", "failed", "finished"]
Record: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class History:
    """What a log holds, by address. Filled by ``read_history`` and then by the run itself."""

    head: Record = field(default_factory=dict[str, Any])
    nodes: dict[str, Record] = field(default_factory=dict[str, Record])
    attempts: dict[str, int] = field(default_factory=dict[str, int])
    items: dict[str, Record] = field(default_factory=dict[str, Record])
    inputs: dict[str, JsonObject] = field(default_factory=dict[str, "JsonObject"])
    questions: dict[str, JsonObject] = field(default_factory=dict[str, "JsonObject"])
    answers: dict[str, JsonValue] = field(default_factory=dict[str, "JsonValue"])
    failures: dict[str, JsonObject] = field(default_factory=dict[str, "JsonObject"])
    end: Record | None = None
    resumes: int = 0
    updated_s: float = 0.0

    @property
    def open_questions(self) -> dict[str, JsonObject]:
        """Questions without an answer, in the order they were asked."""
        return {at: question for at, question in self.questions.items() if at not in self.answers}

    @property
    def status(self) -> Status:
        """``stopped`` when it neither ended nor waits: its process is gone, or still drives it."""
        if self.end is None:
            return "stopped"
        return self.end["status"]

    @property
    def usage(self) -> Usage:
        """Tokens of every committed execution."""
        total = Usage()
        for record in self.nodes.values():
            if "usage" in record:
                total += Usage(**record["usage"])
        return total


def read_history(records: Iterable[JsonObject]) -> History:
    """Add up a log. Raises RunLogCorrupt when it doesn't begin as a log, or is of a newer format."""
    history = History()
    for number, record in enumerate(records, 1):
        try:
            _take(history, record)
        except (KeyError, TypeError, ValueError) as error:
            raise RunLogCorrupt(
                f"record {number} of kind {record.get('kind')!r} lacks {error}", place=f"record {number}"
            ) from error
        if not history.head:
            raise RunLogCorrupt("the log doesn't begin with the run", place="record 1", fix="remove the run")
    if not history.head:
        raise RunLogCorrupt("the log is empty: the run never began", fix="run the workflow again")
    return history


def _take(history: History, record: Mapping[str, Any]) -> None:
    match record["kind"]:
        case "node":
            history.nodes[record["at"]] = dict(record)
            history.failures.pop(record["at"], None)
            history.end = None
        case "run":
            if record["format"] > FORMAT:
                raise RunLogCorrupt(
                    f"the log has format {record['format']}, and this version reads up to {FORMAT}",
                    place="record 1",
                    fix="use a newer version",
                )
            history.head = dict(record)
            history.updated_s = record["at_s"]
        case "resume":
            history.resumes += 1
            history.end = None
            history.updated_s = record["at_s"]
        case "items":
            history.items[record["at"]] = dict(record)
        case "input":
            history.inputs[record["at"]] = record["input"]
        case "retry":
            history.attempts[record["at"]] = record["attempt"]
        case "ask":
            history.questions[record["at"]] = record["question"]
        case "answer":
            history.answers[record["at"]] = record["answer"]
        case "fail":
            history.failures[record["at"]] = record["error"]
        case "end":
            history.end = dict(record)
            history.updated_s = record["at_s"]
        case _:
            pass  # a kind of a later version that this one can do without: it would carry a new format otherwise


def run_record(
    workflow: Workflow, *, given: JsonObject, variables: JsonObject, seed: int | None, at_s: float
) -> Record:
    """The first record. ``given`` is the caller's input as it was, before defaults."""
    return {
        "kind": "run",
        "format": FORMAT,
        "workflow": {
            "name": workflow.name,
            "file": workflow.file,
            "folder": os.path.abspath(os.path.dirname(workflow.file)),  # noqa: PTH100, PTH120 - as in frame
            "digest": workflow.digest,
            "text": workflow.text,
            "sources": sources_of(workflow),
        },
        "input": given,
        "variables": variables,
        "seed": seed,
        "at_s": at_s,
    }


def sources_of(workflow: Workflow) -> dict[str, str]:
    """The text of every file that this one holds as a subgraph, by file name."""
    found: dict[str, str] = {}
    _collect(workflow.nodes, found)
    return found


def _collect(nodes: Iterable[Node], found: dict[str, str]) -> None:
    for node in nodes:
        body = node.body
        if isinstance(body, Subgraph):
            if body.workflow.file in found:
                continue
            found[body.workflow.file] = body.workflow.text
        _collect(inner_nodes(body), found)


def usage_json(usage: Usage) -> dict[str, int]:
    """Usage as events and records carry it; empty when nothing was used."""
    if not (usage.prompt_tokens or usage.completion_tokens or usage.cached_tokens):
        return {}
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
    }


def digest_of(text: str) -> str:
    """Short sha256 of a text that may hold lone surrogates."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
