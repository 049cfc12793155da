"""``tea``: find the command, run it, turn whatever it raises into a block on stderr and an exit code.

This is the only place that knows all of that. It imports nothing heavy before it knows what was asked.
"""

from __future__ import annotations

import os
import sys

# Until main() runs, a Ctrl-C ends in Python's own traceback, so as little as can be is imported before it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from the_edge_agent.cli.console import Console

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``tea`` with these arguments (the process's own by default) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        _ensure_standard_files()
        return _run(arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def runtime() -> int:
    """``tea-runtime VERB ...`` is ``tea runtime VERB ...``, for service managers and habits."""
    return main(["runtime", *sys.argv[1:]])


def _run(arguments: list[str]) -> int:
    from the_edge_agent.cli.console import Console, StdoutClosed
    from the_edge_agent.cli.terminal import Terminal

    console = Console(sys.stdout, sys.stderr, Terminal())
    try:
        if arguments in (["--version"], ["-V"]):
            return _print_version(console)
        console = _open_console()
        return _dispatch(arguments, console)
    except (StdoutClosed, BrokenPipeError):
        console.abandon_stdout()
        return EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        console.err()
        return EXIT_INTERRUPTED
    except BaseException as error:  # noqa: BLE001 - the last one: nobody sees a traceback who didn't ask for one
        return _report(error, arguments, console)


def _print_version(console: Console) -> int:
    from the_edge_agent import __version__

    console.out(f"tea {__version__}")
    return 0


def _open_console() -> Console:
    from the_edge_agent.cli.console import Console
    from the_edge_agent.settings import load_settings

    settings = load_settings()
    return Console.for_process(settings.environ, debug=settings.debug)


def _dispatch(arguments: list[str], console: Console) -> int:
    from importlib import import_module

    from the_edge_agent.cli.commands import available_commands, build_parser, find_command, help_text
    from the_edge_agent.cli.parser import HelpRequested, parse

    if not arguments and _has_bundled_agent():
        arguments = ["run"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if len(arguments) > 1 and arguments[0] == "help":
            return _dispatch([*arguments[1:], "--help"], console)
        console.out(help_text(available_commands()))
        return 0
    if arguments[0] in ("--version", "-V"):
        return _print_version(console)
    if arguments[0].startswith("-"):
        from the_edge_agent.cli.about import about

        return about(arguments, console)
    command = find_command(arguments[0])
    try:
        args = parse(build_parser((command,)), arguments)
    except HelpRequested as asked:
        console.out(str(asked).rstrip("\n"))
        return 0
    module, _, function = args.handler.partition(":")
    code: int = getattr(import_module(module), function)(args, console)
    return code


def _has_bundled_agent() -> bool:
    """A bundle with an agent runs it when it is started without any words."""
    from the_edge_agent.bundle.bundled import bundled_agent
    from the_edge_agent.settings import load_settings

    return bundled_agent(load_settings().appdir) is not None


def _report(error: BaseException, arguments: list[str], console: Console) -> int:
    from the_edge_agent.cli.errors import exit_code_of, render_error, render_traceback

    if console.debug:
        console.err(render_traceback(error))
    console.block(render_error(error))
    if _wants_json(arguments):
        from the_edge_agent.cli.outcome import Outcome

        console.json(Outcome.of_error(error).to_json())
    return exit_code_of(error)


def _wants_json(arguments: list[str]) -> bool:
    """Whether ``--output json`` was asked for; then even a command line that can't be parsed gets its JSON object."""
    from itertools import pairwise

    asked = "--output=json" in arguments or ("--output", "json") in pairwise(arguments)
    return asked and arguments[0] in ("run", "resume", "replay")


def _ensure_standard_files() -> None:
    """Fill closed standard descriptors with the null device, lest the next file opened be taken for stdout."""
    for descriptor, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
