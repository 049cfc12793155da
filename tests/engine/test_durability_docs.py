"""docs/durability.md runs, and names every record there is."""

import re
from pathlib import Path

import pytest

from the_edge_agent.engine import records

TEXT = (Path(__file__).parents[2] / "docs" / "durability.md").read_text()


@pytest.mark.parametrize("source", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_every_python_example_runs(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEA_DATA_DIR", str(tmp_path))
    exec(compile(source, "docs/durability.md", "exec"), {"__name__": "docs"})
    shown = re.findall(r"print\(.*\)  # (.*)", source)
    assert capsys.readouterr().out.splitlines() == shown


def test_every_kind_of_record_is_in_the_docs() -> None:
    kinds = set(re.findall(r'case "(\w+)":', Path(records.__file__).read_text()))
    documented = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`\w+`.*?) \|", TEXT, re.MULTILINE))))
    assert kinds <= documented
