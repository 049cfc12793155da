"""The commands ``tea`` knows, as data; a command's module is imported only when it is asked for.

A module named here has ``add_parser(subparsers)``, which registers its verb and sets
``handler="module:function"``; the function's shape is ``(args, console) -> exit code``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from the_edge_agent import __version__
from the_edge_agent.cli.parser import Parser, Subparsers
from the_edge_agent.errors import UsageError
from the_edge_agent.workflow.near import did_you_mean

SLOGAN = "LLM agents that run offline, on any machine, from one file"


class Command(NamedTuple):
    """A verb, where it lives, what it does in a line, and the heading it stands under in ``tea --help``."""

    name: str
    module: str
    help: str
    heading: str


_CLI = "the_edge_agent.cli"
COMMANDS: tuple[Command, ...] = (
    Command("run", f"{_CLI}.run", "Run an agent file and print its answer", "Run agents"),
    Command(
        "resume", f"{_CLI}.resume", "Go on with a run that was stopped or waits for an answer", "Run agents"
    ),
    Command("replay", f"{_CLI}.replay", "Repeat a run from its log, without a model", "Run agents"),
    Command("runs", f"{_CLI}.runs", "List, show and prune the runs of this machine", "Run agents"),
    Command("logs", f"{_CLI}.logs", "Print what a run did, event by event", "Run agents"),
    Command("diff", f"{_CLI}.diff", "Show where two runs part", "Run agents"),
    Command("validate", f"{_CLI}.validate", "Check agent files and report every problem", "Write agents"),
    Command(
        "inspect", f"{_CLI}.inspect", "Draw an agent: as text, JSON, Graphviz or Mermaid", "Write agents"
    ),
    Command("plan", f"{_CLI}.plan", "Say which models, order, tokens and memory a run needs", "Write agents"),
    Command(
        "schema",
        f"{_CLI}.schema",
        "Print the JSON Schema that editors check agent files with",
        "Write agents",
    ),
    Command("chat", f"{_CLI}.chat", "Talk to a model in the terminal", "Models"),
    Command("models", f"{_CLI}.models", "List, pull, verify and inspect models", "Models"),
    Command("mcp", f"{_CLI}.mcp", "Offer agents as tools over MCP", "Serve"),
    Command("runtime", f"{_CLI}.runtime", "The daemon that keeps models loaded", "Serve"),
    Command("bundle", f"{_CLI}.bundle", "Make one file of an agent and its model", "Share"),
    Command("web", f"{_CLI}.web", "Serve agents that run in a browser tab", "Serve"),
    Command("chaos", f"{_CLI}.chaos", "Break things on purpose and watch them hold", "Serve"),
)

_EXAMPLES = """\
Start here:
  tea chat                       talk to the model that is built in
  tea run agent.yaml --input '{"question": "What is 2+2?"}'
  tea validate agent.yaml        find every mistake in a file before it runs
"""

_FOOT = """\
Options:
  --version             print the version
  --impl [--features]   print what this tea is made of, and which optional parts are there
  -h, --help            print this; `tea COMMAND --help` explains a command

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 waits for a person, 130 interrupted.
"""


def available_commands() -> tuple[Command, ...]:
    """The commands whose module is installed (a lean build leaves some out)."""
    return tuple(command for command in COMMANDS if find_spec(command.module) is not None)


def find_command(name: str) -> Command:
    """The command of that name. Raises UsageError that proposes near ones."""
    for command in COMMANDS:
        if command.name == name and find_spec(command.module) is not None:
            return command
    names = [command.name for command in available_commands()]
    fix = did_you_mean(name, names, what="choose from")
    raise UsageError(f"unknown command {name!r}", place="tea", fix=fix)


def build_parser(commands: tuple[Command, ...]) -> Parser:
    """A parser for these commands alone: the one that was asked for, or all of them for the reference."""
    parser = Parser(prog="tea", description=SLOGAN, add_help=False)
    subparsers: Subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in commands:
        import_module(command.module).add_parser(subparsers)
    return parser


def help_text(commands: tuple[Command, ...]) -> str:
    """``tea --help``."""
    width = max(len(command.name) for command in commands)
    lines = [f"tea {__version__}: {SLOGAN}", "", "Usage: tea COMMAND [OPTIONS]", "", _EXAMPLES]
    for heading in dict.fromkeys(command.heading for command in commands):
        lines.append(f"{heading}:")
        lines += [
            f"  {entry.name.ljust(width)}  {entry.help}" for entry in commands if entry.heading == heading
        ]
        lines.append("")
    return "\n".join(lines) + "\n" + _FOOT.rstrip("\n")
