"""The docs say what the command line does: the reference is generated, every command line in the docs parses or runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.tea import tea

from the_edge_agent.cli.commands import available_commands, build_parser, find_command
from the_edge_agent.cli.errors import render_error
from the_edge_agent.cli.parser import HelpRequested, parse
from the_edge_agent.cli.reference import reference
from the_edge_agent.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/installation.md", "docs/troubleshooting.md", "docs/cli.md", "docs/web.md")


def command_lines(text: str) -> Iterator[str]:
    """Every ``tea …`` in code: lines of blocks, and spans in backticks."""
    blocks = re.findall(r"```(?:console|sh)\n(.*?)```", text, flags=re.DOTALL)
    for block in blocks:
        for line in block.splitlines():
            yield line.removeprefix("$ ").strip()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def tea_arguments(line: str) -> list[str] | None:
    """The arguments of the ``tea`` in a line of shell; None where there is none."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    for separator in ("|", ">", "2>/dev/null", ";", "&&"):
        parts: list[list[str]] = [[]]
        for word in words:
            if word == separator:
                parts.append([])
            else:
                parts[-1].append(word)
        words = next((part for part in parts if "tea" in part), [])
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words[-1:] == ["[OPTIONS]"]:  # a usage line of the reference
        return None
    return words[1:] if words[:1] == ["tea"] and len(words) > 1 else None


def check_parses(arguments: list[str]) -> str:
    """What is wrong with a command line, or nothing."""
    if arguments[0].startswith("-") or arguments[0].isupper() or "…" in arguments:
        return ""
    try:
        parse(build_parser((find_command(arguments[0]),)), arguments)
    except HelpRequested:
        return ""
    except UsageError as error:
        # Prose names a verb or a flag without all that belongs to it.
        return "" if "missing" in error.what else render_error(error)
    return ""


def test_the_reference_is_what_the_parser_says() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference(), "run: python -m the_edge_agent.cli.reference > docs/cli.md"


def test_the_reference_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference()
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert reference() == before


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_in_the_docs_parses(page: str) -> None:
    lines = list(command_lines((ROOT / page).read_text(encoding="utf-8")))
    checked = {line: check_parses(arguments) for line in lines if (arguments := tea_arguments(line))}
    assert checked
    assert {line: wrong for line, wrong in checked.items() if wrong} == {}


@pytest.mark.parametrize("command", available_commands(), ids=lambda command: command.name)
def test_every_example_of_a_command_parses(command: object) -> None:
    def examples(parser: object) -> Iterator[str]:
        for line in (parser.epilog or "").splitlines():
            if line.startswith("  tea "):
                yield re.split(r"\s{3,}", line.strip())[0]
        for child in parser.children().values():
            yield from examples(child)

    found = list(examples(build_parser((command,)).children()[command.name]))
    wrong = {line: check_parses(arguments) for line in found if (arguments := tea_arguments(line))}
    assert {line: text for line, text in wrong.items() if text} == {}


def test_the_checks_of_the_installation_page_run(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    block = re.search(r"## Is it all there\?\n\n```console\n(.*?)```", text, flags=re.DOTALL)
    assert block
    lines = [line.removeprefix("$ ") for line in block[1].splitlines()]
    assert len(lines) == 3
    for line in lines:
        done = tea(*shlex.split(line)[1:], home=tmp_path)
        assert (done.code, bool(done.out.strip())) == (0, True), (line, done)


def test_every_error_of_the_troubleshooting_page_exists() -> None:
    from the_edge_agent import errors

    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    names = re.findall(r"\*\*(?:`([A-Z]\w+)[:`][^*]*?)\*\*", text)
    assert len(names) > 15
    assert [name for name in names if not hasattr(errors, name)] == []
