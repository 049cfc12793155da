"""The loop of ``tea chat``: read a line, ask the backend, stream its answer, keep the conversation.

Ctrl-C stops an answer, not the program; at the prompt it drops the line. What the lines mean is in ``chat_session``.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from the_edge_agent.app import App
from the_edge_agent.cli.chat_answer import AnswerStream, cancelling, ctrl_c
from the_edge_agent.cli.chat_history import History
from the_edge_agent.cli.chat_session import (
    BLOCK,
    COMMANDS,
    Command,
    Conversation,
    Lines,
    Nothing,
    Say,
    parse_line,
    stats_lines,
)
from the_edge_agent.cli.console import Console
from the_edge_agent.cli.errors import render_error, render_traceback
from the_edge_agent.cli.flags import app_options
from the_edge_agent.errors import ActionParamsInvalid, ContextLengthExceeded, EdgeAgentError, UsageError
from the_edge_agent.inference import (
    Backend,
    BackendInfo,
    ChatRequest,
    SamplingParams,
)
from the_edge_agent.settings import load_settings


class ChatLoop:
    """One conversation with one backend."""

    def __init__(self, console: Console, args: argparse.Namespace) -> None:
        self._console = console
        self._args = args
        self._conversation = Conversation(system=read_system(args.system))
        self._sampling = read_sampling(args)
        self._saved: Path | None = None
        self._person = console.terminal.person and console.is_terminal
        self._info = BackendInfo("", "")
        self._code = 0

    def talk(self) -> int:
        """Go on until Ctrl-D or /exit. Returns the exit code: in a pipe, 1 once any message failed."""
        return self._run(self._talk)

    def ask_once(self, prompt: str) -> int:
        """One message, one answer on stdout."""
        if not prompt.strip():
            raise UsageError(
                "the message is empty", place="tea chat", fix='write it like: tea chat "What is 2+2?"'
            )
        return self._run(lambda backend: self._answer_or_raise(backend, prompt))

    def _run(self, body: Callable[[Backend], Any]) -> int:
        async def main() -> int:
            async with App.open(app_options(self._args)) as app:
                with self._console.status("Loading the model"):
                    backend = await app.backend()
                    self._info = await backend.describe()
                code: int = await body(backend)
                return code

        with ctrl_c(signal.default_int_handler):
            return asyncio.run(main())

    async def _talk(self, backend: Backend) -> int:
        if not self._person:
            return await self._talk_in_pipe(backend)
        self._greet(self._info)
        lines = Lines()
        with History(load_settings().data_dir / "chat_history") as history:
            while True:
                typed = self._prompt(lines)
                if typed is None:
                    return 0
                text = lines.feed(typed)
                if text is None:
                    continue
                history.add(text)
                if not await self._do(backend, text):
                    return 0

    async def _talk_in_pipe(self, backend: Backend) -> int:
        lines = Lines()
        for typed in sys.stdin or ():
            text = lines.feed(typed.rstrip("\n"))
            if text is not None and not await self._do(backend, text):
                return self._code
        if lines.open:
            await self._do(backend, lines.take_rest())
        return self._code

    def _prompt(self, lines: Lines) -> str | None:
        """One typed line; None at Ctrl-D. Blocking on purpose: nothing else happens while a person types."""
        mark = "... " if lines.open else "> "
        try:
            with ctrl_c(signal.default_int_handler):
                return input(_readline_colour(mark) if self._console.terminal.colour_out else mark)
        except EOFError:
            self._console.out()
            return None
        except KeyboardInterrupt:
            self._console.out()
            lines.drop()
            self._console.err(self._console.style("Ctrl-D leaves", "dim", err=True))
            return ""

    async def _do(self, backend: Backend, text: str) -> bool:
        """Carry out one complete text. False: leave."""
        try:
            line = parse_line(text)
            match line:
                case Nothing():
                    return True
                case Command():
                    return self._command(line)
                case Say():
                    await self._answer_or_raise(backend, line.text)
        except EdgeAgentError as error:
            self._code = 1
            if self._console.debug:
                self._console.err(render_traceback(error))
            self._console.block(render_error(error))
            if isinstance(error, ContextLengthExceeded):
                self._console.err(
                    "/reset forgets the conversation and makes room; the message above was not kept"
                )
        return True

    async def _answer_or_raise(self, backend: Backend, text: str) -> int:
        """Stream the answer to stdout and keep it."""
        request = ChatRequest(
            messages=self._conversation.messages(text),
            sampling=self._sampling,
            privacy="may-leave" if self._info.leaves_machine else "local-only",
        )
        stream = AnswerStream(self._console)
        task = asyncio.ensure_future(stream.follow(backend, request))
        with ctrl_c(cancelling(task)):
            stopped = False
            try:
                await task
            except asyncio.CancelledError:
                stopped = True
            finally:
                stream.end_line()
        self._conversation = self._conversation.answered(text, stream.completion(), stream.stats())
        for notice in stream.notices:
            self._console.err(self._console.style(f"note: {notice}", "yellow", err=True))
        if stopped:
            self._console.err(self._console.style("stopped", "yellow", err=True))
            if not self._person:
                raise KeyboardInterrupt
        if self._person:
            self._console.out()
        return 0

    def _command(self, command: Command) -> bool:
        match command.name:
            case "/help":
                for name, meaning in COMMANDS.items():
                    self._say(f"{name.ljust(8)} {meaning}")
                self._say(
                    f"a line ending in \\ goes on in the next; {BLOCK} begins and ends a block; // sends a slash"
                )
            case "/reset":
                self._conversation = self._conversation.reset()
                self._say("the conversation is forgotten")
            case "/system":
                self._system(command.argument)
            case "/save":
                self._save(command.argument)
            case "/stats":
                for line in stats_lines(self._conversation):
                    self._say(line)
            case _:
                return False
        return True

    def _system(self, text: str) -> None:
        if text:
            self._conversation = replace(self._conversation, system=read_system(text))
            self._say("the system message is set")
        else:
            self._say(self._conversation.system or "there is no system message; set one with /system TEXT")

    def _save(self, name: str) -> None:
        if not name:
            raise UsageError(
                "/save needs a file", place="chat", fix="write /save talk.md, or /save talk.json"
            )
        path = Path(name).expanduser()
        if path.exists() and path != self._saved:
            raise UsageError(f"{path} exists already", place="chat", fix="choose another name")
        text = self._conversation.to_json() if path.suffix == ".json" else self._conversation.to_markdown()
        try:
            whole = path.with_name(path.name + ".part")
            whole.write_text(text, encoding="utf-8", errors="backslashreplace")
            whole.replace(path)
        except OSError as error:
            raise UsageError(
                f"can't write {path}: {error.strerror}", place="chat", fix="choose another name"
            ) from None
        self._saved = path
        self._say(f"saved to {path}")

    def _say(self, text: str) -> None:
        """Talk about the conversation: on a terminal beside it, in a pipe never between the answers."""
        if self._person:
            self._console.out(self._console.style(text, "dim"))
        else:
            self._console.err(text)

    def _greet(self, info: BackendInfo) -> None:
        context = f", {info.n_ctx:,} tokens of context" if info.n_ctx else ""
        title = self._console.style(info.model or info.backend, "bold")
        self._console.out(f"{title} ({info.backend}{context})")
        if info.leaves_machine:
            self._console.out(self._console.style("what you type leaves this machine", "yellow"))
        self._console.out(
            self._console.style("/help lists commands, Ctrl-C stops an answer, Ctrl-D leaves", "dim")
        )
        self._console.out()


def read_system(text: str | None) -> str:
    """A system message as given, or the text of ``@FILE``."""
    if text is None or not text.startswith("@"):
        return text or ""
    try:
        return Path(text[1:]).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(
            f"can't read the system message: {said}", place=text[1:], fix="name a text file"
        ) from None


def read_sampling(args: argparse.Namespace) -> SamplingParams:
    """How the next word is chosen, from the flags. Raises UsageError naming the one that is off."""
    try:
        return SamplingParams(max_tokens=args.max_tokens, temperature=args.temperature or 0.0, seed=args.seed)
    except ActionParamsInvalid as error:
        raise UsageError(error.what, place="tea chat", fix=error.fix) from None


def _readline_colour(mark: str) -> str:
    """A coloured prompt; the marks tell readline which bytes take no room."""
    return f"\x01\x1b[1;36m\x02{mark}\x01\x1b[0m\x02"
