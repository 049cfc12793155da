"""What the parser says to mistakes."""

from __future__ import annotations

import pytest

from the_edge_agent.cli.commands import COMMANDS, available_commands, build_parser, find_command, help_text
from the_edge_agent.cli.parser import parse
from the_edge_agent.errors import UsageError


def parse_line(line: str) -> object:
    arguments = line.split()
    return parse(build_parser((find_command(arguments[0]),)), arguments)


@pytest.mark.parametrize(
    ("line", "said", "fix"),
    [
        ("rnu a.yaml", "unknown command 'rnu'", "did you mean 'run'?"),
        ("xyzzy", "unknown command 'xyzzy'", "choose from"),
        ("run a.yaml --inptu {}", "unknown option --inptu", "did you mean '--input'?"),
        ("run a.yaml --input={} --alow-code=1", "unknown option --alow-code", "did you mean '--allow-code'?"),
        ("run a.yaml --output jsn", "--output can't be 'jsn'", "did you mean 'json'?"),
        (
            "run a.yaml --backend cloud",
            "--backend can't be 'cloud'",
            "choose from: api, auto, local, runtime",
        ),
        ("run a.yaml two words", "unexpected argument 'two'", "quote a value"),
        ("run a.yaml --seed -4", "'-4' is no seed", "tea run --help"),
        ("run a.yaml --input", "needs a value", "tea run --help"),
        ("runs", "missing VERB", "choose from list, show, prune, mend"),
        ("chat --max-tokens many", "'many' is no whole number", "tea chat --help"),
        ("chat --temperature hot", "'hot' is no number", "tea chat --help"),
        ("run a.yaml --stream --output json", "can't stand beside", "tea run --help"),
        ("run a.yaml --allow-net https://x.org/y", "is no host", "tea run --help"),
    ],
)
def test_a_mistake_is_named_and_answered_with_what_was_meant(line: str, said: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_line(line)
    assert said in caught.value.what
    assert fix in str(caught.value)


def test_an_abbreviated_flag_is_not_guessed() -> None:
    with pytest.raises(UsageError, match="unknown option --inp"):
        parse_line("run a.yaml --inp {}")


def test_every_command_stands_in_the_help_once_with_a_line_of_its_own() -> None:
    text = help_text(available_commands())
    for command in available_commands():
        assert sum(line.startswith(f"  {command.name} ") for line in text.splitlines()) == 1
        assert command.help in text


def test_help_fits_a_narrow_terminal() -> None:
    assert max(len(line) for line in help_text(COMMANDS).splitlines()) <= 100


@pytest.mark.parametrize("command", available_commands(), ids=lambda command: command.name)
def test_every_verb_says_what_it_does_and_names_a_handler_that_exists(command: object) -> None:
    from importlib import import_module

    parser = build_parser((command,)).children()[command.name]
    leaves = [parser]
    while any(leaf.children() for leaf in leaves):
        leaves = [child for leaf in leaves for child in (leaf.children().values() or [leaf])]
    for leaf in leaves:
        assert leaf.description or leaf.format_help()
        module, _, function = leaf.get_default("handler").partition(":")
        assert callable(getattr(import_module(module), function))
        for argument in leaf.arguments():
            assert argument.help, f"{leaf.prog} {argument.dest} has no help"
