"""docs/structured-output.md says what the tables say, and its code runs."""

import re
from pathlib import Path

from the_edge_agent.inference.json_schema.formats import FORMATS
from the_edge_agent.inference.json_schema.keywords import KEYWORDS

PAGE = (Path(__file__).parents[2] / "docs" / "structured-output.md").read_text()


def test_the_table_of_keywords_is_the_one_the_reader_uses():
    rows = [
        f"| `{keyword.name}` | {', '.join(keyword.types) or 'any'} | {keyword.help} |"
        for keyword in KEYWORDS.values()
        if not keyword.annotation
    ]
    assert "\n".join(rows) in PAGE


def test_every_annotation_is_named():
    assert all(f"`{keyword.name}`" in PAGE for keyword in KEYWORDS.values() if keyword.annotation)


def test_every_format_is_explained_and_no_other():
    table = PAGE.split("## Formats")[1].split("##")[0]
    assert re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE) == list(FORMATS)


def test_the_python_of_the_page_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.startswith("/age: is -1; at least 0 is needed\n")
