"""docs/backends.md: its code runs."""

import re
import subprocess
import sys
from pathlib import Path

from the_edge_agent.workflow.nodes import Workflow

PAGE = (Path(__file__).parents[2] / "docs" / "backends.md").read_text()


def test_the_python_of_the_page_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    subprocess.run([sys.executable, "-c", code], check=True, env={"HOME": str(tmp_path)}, timeout=120)


def test_the_yaml_of_the_page_loads():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert Workflow.parse(text).settings.llm.backend == "api"
