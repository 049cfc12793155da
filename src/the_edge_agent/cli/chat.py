"""``tea chat``: talk to a model. On a terminal with history and editing; in a pipe a line is a message.

It knows nothing of agents; it asks one backend.
"""

from __future__ import annotations

import argparse
import sys

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.flags import add_backend_flags, parse_seed
from the_edge_agent.cli.parser import Parser, Subparsers

_EPILOG = """\
In the conversation:
  /help lists the commands; Ctrl-C stops an answer; Ctrl-D leaves.
  A line that ends with \\ goes on in the next one; \"\"\" begins and ends a block of lines.

Examples:
  tea chat
  tea chat "What is 2+2?"                      one answer, then done
  tea chat --gguf ~/models/gemma.gguf --system "Answer in one sentence."
  cat questions.txt | tea chat                 an answer for each line
  cat notes.txt | tea chat -                   one answer to all of it
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea chat``."""
    parser: Parser = subparsers.add_parser(
        "chat", help="talk to a model", description="Talk to a model in the terminal.", epilog=_EPILOG
    )
    parser.add_argument(
        "prompt", nargs="?", metavar="PROMPT", help="ask this once and leave; - reads it from stdin"
    )
    parser.add_argument("--system", metavar="TEXT", help="system message; @FILE reads it from a file")
    add_backend_flags(parser)
    sampling = parser.add_argument_group("answers")
    sampling.add_argument(
        "--temperature", type=float, metavar="T", help="0 always takes the likeliest token (default)"
    )
    sampling.add_argument("--max-tokens", type=int, metavar="N", help="longest answer, in tokens")
    sampling.add_argument(
        "--seed", type=parse_seed, metavar="N", help="make a temperature above 0 repeatable"
    )
    parser.set_defaults(handler="the_edge_agent.cli.chat:chat")


def chat(args: argparse.Namespace, console: Console) -> int:
    """Run the conversation."""
    from the_edge_agent.cli.chat_loop import ChatLoop

    loop = ChatLoop(console, args)
    if args.prompt is None:
        return loop.talk()
    prompt = (sys.stdin.read() if sys.stdin else "") if args.prompt == "-" else args.prompt
    return loop.ask_once(prompt)
