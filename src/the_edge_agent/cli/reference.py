"""docs/cli.md from the parser itself: ``python -m the_edge_agent.cli.reference > docs/cli.md``.

A test holds the two together. Pure but for its last line; it knows no command by name.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from the_edge_agent.cli.commands import SLOGAN, Command, available_commands, build_parser
from the_edge_agent.cli.parser import Parser

_PREFACE = f"""\
# The command line

{SLOGAN}.

This page is generated from the parser (`python -m the_edge_agent.cli.reference`).

## What every command keeps to

- Answers go to stdout, everything else to stderr. `tea run agent.yaml > answer.txt` writes the answer and nothing else.
- On a terminal there are colours, live views and progress bars; in a pipe there is plain UTF-8. `NO_COLOR=1` and
  `TERM=dumb` turn colours off.
- An error is one block on stderr whose first line is `ErrorName: place: what; what to do`. `TEA_DEBUG=1` shows the
  traceback above it.
- A reader that goes away (`tea runs list | head -1`) ends the command quietly, with 141.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | wrong usage: a flag, an input or a file that can't be loaded |
| 3 | the run waits for a person; `tea resume RUN_ID --answer TEXT` goes on |
| 130 | stopped by Ctrl-C, or 128 + the number of another signal; `tea resume RUN_ID` goes on |

`tea --version` prints the version; `tea --impl --features` prints what this tea is made of and which optional parts
are there (`--json` for programs).

## What `--output json` prints

Exactly one object, however the run ended:

```text
{{"state": {{…}}, "run": {{"id": "…", "status": "finished | failed | interrupted | stopped",
                      "question": {{…}}, "error": {{"name", "what", "place", "fix"}},
                      "usage": {{"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0}}, "duration_s": 0.0}}}}
```

`interrupted` waits for a person and carries the `question`; `failed` carries the `error`; `stopped` was ended by a
signal. `tea runs list` uses the same words.
"""


def reference(commands: tuple[Command, ...] | None = None) -> str:
    """The page, for these commands (all that are installed, by default)."""
    chosen = available_commands() if commands is None else commands
    parser = build_parser(chosen)
    children = parser.children()
    sections = [_PREFACE, _contents(chosen)]
    sections += ["\n".join(_section(children[command.name], level=2)) for command in chosen]
    return "\n".join(sections).rstrip("\n") + "\n"


def _contents(commands: tuple[Command, ...]) -> str:
    lines = ["## Commands", "", "| command | what it does |", "| --- | --- |"]
    lines += [f"| [`tea {entry.name}`](#tea-{entry.name}) | {entry.help} |" for entry in commands]
    return "\n".join(lines) + "\n"


def _section(parser: Parser, level: int) -> Iterator[str]:
    yield f"{'#' * level} {parser.prog}"
    yield ""
    if parser.description:
        yield parser.description
        yield ""
    children = parser.children()
    if children:
        for child in children.values():
            yield from _section(child, level + 1)
        return
    yield f"`{usage(parser)}`"
    yield ""
    rows = parser.arguments()
    if rows:
        yield "| argument | meaning |"
        yield "| --- | --- |"
        for action in rows:
            yield f"| {_names(action)} | {_cell(_help(action))} |"
        yield ""
    if parser.epilog:
        yield from _epilog(parser.epilog)
        yield ""


def usage(parser: Parser) -> str:
    """``tea run FILE [OPTIONS]``: the positional arguments; the table has the rest."""
    words = [parser.prog]
    has_options = False
    for action in parser.arguments():
        if action.option_strings:
            has_options = True
            continue
        name = str(action.metavar or action.dest)
        words.append({"?": f"[{name}]", "*": f"[{name}…]", "+": f"{name}…"}.get(str(action.nargs), name))
    return " ".join(words) + (" [OPTIONS]" if has_options else "")


def _names(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _epilog(text: str) -> Iterator[str]:
    """Prose as prose, the indented lines under ``Examples:`` as a block."""
    prose, _, examples = text.partition("Examples:\n")
    if prose.strip():
        yield from _prose(prose)
    if examples.strip():
        if prose.strip():
            yield ""
        yield "```console"
        yield from (f"$ {_commented(line.strip())}" for line in examples.strip().splitlines())
        yield "```"


def _commented(line: str) -> str:
    """What stands behind a command, after a gap, as the comment that it is."""
    command, gap, remark = line.partition("   ")
    return f"{command}   # {remark.strip()}" if gap else line


def _prose(text: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield re.sub(r"^ {2}(?=\S)", "- ", line)


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
