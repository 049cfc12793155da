"""What goes into a bundle is decided before anything is fetched, and a mistake is found there."""

from __future__ import annotations

from pathlib import Path

import pytest

from the_edge_agent.bundle.plan import AgentSource, ModelSource, plan_bundle
from the_edge_agent.bundle.sources import find_model, read_agent
from the_edge_agent.bundle.variants import (
    ARCHITECTURES,
    BASE_LIBRARIES,
    LINES,
    artifact_name,
    find_architecture,
    find_line,
)
from the_edge_agent.errors import ModelNotFound, UsageError, WorkflowInvalid
from the_edge_agent.store.catalogue import load_catalogue
from the_edge_agent.store.locate import ModelQuery

ROOT = Path(__file__).resolve().parents[2]
X86 = ARCHITECTURES["x86_64"]
FULL, LITE = LINES["full"], LINES["lite"]


def agent(name: str) -> AgentSource:
    return AgentSource(Path(f"{name}.yaml"), name, "nodes: []")


def query(tmp_path: Path) -> ModelQuery:
    return ModelQuery(store_dir=tmp_path / "store", hf_hub_dir=tmp_path / "hub")


@pytest.mark.parametrize(
    ("line", "model", "name"),
    [
        (FULL, "gemma-3n-e4b", "tea-python-llm-gemma-0.3.0-x86_64"),
        (FULL, "phi-4-mini", "tea-python-llm-phi4-0.3.0-x86_64"),
        (FULL, "gemma-3-1b", "tea-python-llm-gemma3-1b-0.3.0-x86_64"),
        (LITE, "gemma-3n-e4b", "tea-lite-llm-gemma-0.3.0-x86_64"),
        (FULL, "", "tea-python-0.3.0-x86_64"),
        (LITE, "mine", "tea-lite-llm-mine-0.3.0-x86_64"),
    ],
)
def test_an_artifact_is_named_by_what_it_holds(line, model, name) -> None:
    assert artifact_name(line, model, "0.3.0", X86) == name


def test_every_model_of_the_catalogue_gives_a_file_name() -> None:
    for entry in load_catalogue():
        plan_bundle([], ModelSource(entry.name, (Path(entry.files[0].name),)), FULL, X86, "1.0")


def test_the_first_agent_is_the_one_that_runs_by_default() -> None:
    plan = plan_bundle([agent("b"), agent("a")], None, FULL, X86, "1.0")
    assert plan.default_agent == agent("b")
    assert plan_bundle([], None, FULL, X86, "1.0").default_agent is None


def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two agents are named 'a'"):
        plan_bundle([agent("a"), agent("a")], None, FULL, X86, "1.0")


@pytest.mark.parametrize("name", ["a b", "..", ".hidden", "a/b", "", "-x"])
def test_a_name_that_is_no_plain_file_name_is_refused(name) -> None:
    with pytest.raises(UsageError):
        plan_bundle([agent(name)], None, FULL, X86, "1.0")


def test_an_unknown_architecture_or_line_gets_a_proposal() -> None:
    with pytest.raises(UsageError, match="x86_64"):
        find_architecture("x86-64")
    with pytest.raises(UsageError, match="lite"):
        find_line("light")


def test_the_embedded_model_is_found_by_both_names(tmp_path) -> None:
    for name in ("embedded", "tiny"):
        model = find_model(name, query(tmp_path))
        assert model is not None
        assert model.embedded
        assert model.name == "tiny"
    assert find_model("none", query(tmp_path)) is None


def test_a_model_that_is_not_here_is_not_replaced_by_another(tmp_path) -> None:
    with pytest.raises(ModelNotFound, match="tea models pull gemma-3-1b"):
        find_model("gemma-3-1b", query(tmp_path))


def test_an_agent_comes_with_its_imports(tmp_path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "inner.yaml").write_text(
        "name: inner\nnodes:\n  - {name: a, uses: template.render, with: {template: hi}}\n"
    )
    (tmp_path / "outer.yaml").write_text(
        "name: outer\nimports: {inner: parts/inner.yaml}\nnodes:\n  - {name: b, subgraph: inner}\n"
    )
    found = read_agent(tmp_path / "outer.yaml")
    assert [name for name, _ in found.imports] == ["parts/inner.yaml"]
    assert read_agent(ROOT / "examples" / "llm" / "local-chat.yaml").imports == ()


def test_a_broken_agent_is_refused_before_anything_is_built(tmp_path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("nodes: 3\n")
    with pytest.raises(WorkflowInvalid):
        read_agent(path)


def test_no_gpl_library_is_part_of_the_base() -> None:
    assert not {"libreadline.so.8", "libdb-5.3.so", "libgdbm.so.6"} & set(BASE_LIBRARIES)
