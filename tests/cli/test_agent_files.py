"""validate, inspect, plan and schema, as processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.cli import agents
from tests.cli.tea import tea


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("CHAT", "COUNT", "CODE", "LOOPING"):
        (tmp_path / f"{name.lower()}.yaml").write_text(getattr(agents, name))
    (tmp_path / "bad.yaml").write_text(
        "name: bad\nnodes:\n  - name: a\n    uses: llm.cal\n    wiht: {prompt: hi}\n    goto: nowhere\n"
    )
    return tmp_path


def test_every_problem_of_every_file_is_reported_and_sound_files_too(home: Path) -> None:
    done = tea("validate", "chat.yaml", "bad.yaml", "missing.yaml", home=home)
    assert done.code == 2
    assert done.out == "chat.yaml: ok (small-chat, 1 node)\n"
    lines = done.err.splitlines()
    assert lines[0].startswith(
        "WorkflowInvalid: bad.yaml:4:11: unknown action 'llm.cal'; did you mean 'llm.call'?"
    )
    assert any("bad.yaml:5:5: unknown key 'wiht'" in line and "with" in line for line in lines)
    assert any("bad.yaml:6:" in line and "nowhere" in line for line in lines)
    assert any(line.startswith("WorkflowInvalid: missing.yaml: ") for line in lines)


def test_validate_as_json_is_one_object_for_all_files(home: Path) -> None:
    done = tea("validate", "--json", "chat.yaml", "bad.yaml", home=home)
    report = json.loads(done.out)
    assert (done.code, done.err, report["valid"]) == (2, "", False)
    assert [file["valid"] for file in report["files"]] == [True, False]
    assert {"place", "what", "fix"} <= set(report["files"][1]["problems"][0])


def test_inline_code_is_refused_unless_it_is_allowed(home: Path) -> None:
    refused = tea("validate", "code.yaml", home=home)
    assert refused.code == 2
    assert "code.yaml:4" in refused.err
    assert "--allow-code" in refused.err
    assert tea("validate", "code.yaml", "--allow-code", home=home).code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "isn't UTF-8"),
        (b"nodes: [", "bad.yaml:"),
        (b"a: &a [*a]", "WorkflowInvalid"),
        (b"nodes:\n  - name: \x1b[2J\n", "WorkflowInvalid"),
        (b"[" * 50_000, "WorkflowInvalid"),
    ],
)
def test_a_file_that_is_no_agent_is_refused_in_one_block(home: Path, text: bytes, said: str) -> None:
    (home / "bad.yaml").write_bytes(text)
    done = tea("run", "bad.yaml", home=home)
    assert done.code == 2
    assert done.first_error_line.startswith("WorkflowInvalid: bad.yaml")
    assert said in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("format_", "begins"), [("text", "looping"), ("json", "{"), ("dot", "digraph"), ("mermaid", "flowchart")]
)
def test_an_agent_is_drawn_in_four_ways(home: Path, format_: str, begins: str) -> None:
    done = tea("inspect", "looping.yaml", "--format", format_, home=home)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(begins)
    assert "polish" in done.out


def test_the_schema_is_json_that_names_its_draft(home: Path) -> None:
    done = tea("schema", home=home)
    assert json.loads(done.out)["$schema"].startswith("https://json-schema.org/")


def test_a_plan_gives_order_bounds_and_the_model_that_is_missing(home: Path) -> None:
    done = tea("plan", "looping.yaml", "--json", home=home)
    plan = json.loads(done.out)
    assert done.code == 1
    assert plan["order"] == ["list", "each", "polish"]
    assert plan["max_steps"] == 20
    calls = {call["node"]: call for call in plan["calls"]}
    assert calls["each/sum"]["at_most_times"] is None
    assert calls["polish/critique"]["at_most_times"] == 5
    assert calls["polish/critique"]["max_tokens"] == 10
    assert plan["tokens"]["answers_at_most"] is None
    missing = [model for model in plan["models"] if model["problem"]]
    assert [model["problem"]["name"] for model in missing] == ["ModelNotFound"]
    assert missing[0]["calls"] == ["polish/critique"]
    assert plan["ready"] is False


def test_a_plan_of_an_agent_without_a_model_says_so(home: Path) -> None:
    done = tea("plan", "count.yaml", home=home)
    assert done.code == 0
    assert "no model is needed" in done.out


def test_a_plan_counts_the_tokens_of_a_bounded_agent(home: Path) -> None:
    text = yaml.safe_load(agents.CHAT)
    text["nodes"][0]["retry"] = {"max_attempts": 3}
    (home / "chat.yaml").write_text(yaml.safe_dump(text))
    plan = json.loads(tea("plan", "chat.yaml", "--json", "--backend", "api", home=home).out)
    assert plan["tokens"]["answers_at_most"] == 3 * 32
    assert plan["calls"][0]["prompt_grows_with_state"] is True


def test_an_agent_that_can_come_back_to_a_node_has_no_bound_but_max_steps(home: Path) -> None:
    (home / "long.yaml").write_text(agents.LONG)
    assert json.loads(tea("plan", "long.yaml", "--json", home=home).out)["comes_back"] is True
