"""argparse with better manners: mistakes are UsageErrors that propose what was meant. Knows no particular command."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

from the_edge_agent.errors import UsageError
from the_edge_agent.workflow.near import did_you_mean


class Subparsers(Protocol):
    """What ``add_parser(subparsers)`` of a command module receives."""

    def add_parser(self, name: str, **kwargs: Any) -> Parser:
        """Register a verb: ``help`` for the list, ``description`` and ``epilog`` for its own page."""
        ...


class HelpRequested(Exception):
    """``--help`` was asked for; the text is what to print."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError instead of exiting, and never guesses abbreviations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)
        self._commands: Any = None

    def add_subparsers(self, **kwargs: Any) -> Any:
        """As argparse's; remembers what it made. The result is a ``Subparsers``."""
        self._commands = super().add_subparsers(**kwargs)
        return self._commands

    def children(self) -> dict[str, Parser]:
        """The verbs below this one."""
        return {} if self._commands is None else dict(self._commands.choices)

    def arguments(self) -> list[argparse.Action]:
        """Everything it takes but --help, positional ones first."""
        shown = [
            action
            for action in self._actions
            if action is not self._commands and action.dest != "help" and action.help != argparse.SUPPRESS
        ]
        return sorted(shown, key=lambda action: bool(action.option_strings))

    def deepest(self, arguments: Sequence[str]) -> Parser:
        """The parser of the verb that the arguments name in the end."""
        for position, argument in enumerate(arguments):
            child = self.children().get(argument)
            if child is not None:
                return child.deepest(arguments[position + 1 :])
        return self

    def print_help(self, file: Any = None) -> NoReturn:
        """Raise HelpRequested: only a Console writes."""
        del file
        raise HelpRequested(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong."""
        verbs = ", ".join(self.children())
        fix = f"choose from {verbs}" if verbs and "required" in message else f"see `{self.prog} --help`"
        raise UsageError(_sentence(message), place=self.prog, fix=fix)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        name = "/".join(action.option_strings) or action.dest
        said = f"unknown command {value!r}" if action is self._commands else f"{name} can't be {value!r}"
        fix = did_you_mean(str(value), choices, what="choose from")
        raise UsageError(said, place=self.prog, fix=fix)


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments as a namespace. Raises UsageError, HelpRequested."""
    namespace, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise _unknown_argument(parser.deepest(arguments), unknown[0])
    return namespace


def _unknown_argument(parser: Parser, argument: str) -> UsageError:
    name = argument.partition("=")[0]
    if name.startswith("-"):
        known = [option for action in parser.arguments() for option in action.option_strings]
        fix = did_you_mean(name, known)
        return UsageError(f"unknown option {name}", place=parser.prog, fix=fix)
    return UsageError(
        f"unexpected argument {argument!r}",
        place=parser.prog,
        fix=f"quote a value that holds spaces, or see `{parser.prog} --help`",
    )


def _sentence(message: str) -> str:
    """What argparse says, in our words."""
    for theirs, ours in (
        ("the following arguments are required: ", "missing "),
        ("expected one argument", "needs a value"),
        ("expected at least one argument", "needs at least one value"),
        ("not allowed with argument", "can't stand beside"),
    ):
        message = message.replace(theirs, ours)
    message = re.sub(r"invalid int value: ('.*')", r"\1 is no whole number", message)
    message = re.sub(r"invalid float value: ('.*')", r"\1 is no number", message)
    message = re.sub(r"invalid \w+ value: ('.*')", r"it can't be \1", message)
    return message.removeprefix("argument ")
