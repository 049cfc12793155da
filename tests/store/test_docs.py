"""docs/models.md says what is so: its commands parse, its Python runs, its numbers are the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.cli.test_docs import check_parses, command_lines, tea_arguments

from the_edge_agent.gguf import limits
from the_edge_agent.store.backoff import Backoff
from the_edge_agent.store.chunks import DEFAULT_CHUNK_BYTES
from the_edge_agent.store.http_options import HttpOptions
from the_edge_agent.store.http_source import MAX_REDIRECTS
from the_edge_agent.store.refs import parse_ref
from the_edge_agent.store.transfer import TransferOptions

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_parses():
    checked = {line: check_parses(found) for line in command_lines(PAGE) if (found := tea_arguments(line))}
    assert len(checked) > 8
    assert {line: wrong for line, wrong in checked.items() if wrong} == {}


def test_every_form_of_a_reference_parses():
    table = PAGE[PAGE.index("## Writing a model's name") : PAGE.index("## The commands")]
    forms = re.findall(r"`((?:hf:|https:|file:|\./|~/|gemma)[^`]*)`", table)
    assert len(forms) >= 7
    for form in forms:
        parse_ref(form)


def test_the_python_of_the_page_runs():
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "llama 2048 Q8_0\n"


def test_the_numbers_of_the_page_are_the_codes():
    text = re.sub(r"\s+", " ", PAGE)
    backoff, http = Backoff(), HttpOptions()
    assert f"fails {backoff.attempts} times in a row" in text
    assert f"up to {backoff.longest_retry_after_s / 60:g} minutes" in text
    assert (
        f"stalls for {http.stall_timeout_s:g} s, or trickles below {http.lowest_rate_bytes_s:g} bytes" in text
    )
    assert f"A chunk ({DEFAULT_CHUNK_BYTES >> 20} MiB)" in text
    assert TransferOptions().connections == 4
    assert f"up to {MAX_REDIRECTS} times" in text
    assert f"{limits.KEYS:,} keys and {limits.TENSORS:,} tensors" in text
