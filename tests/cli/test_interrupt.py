"""Signals while a coroutine runs, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys
from the_edge_agent.cli.interrupt import Stopped, run_until_stopped

async def main():
    print("ready", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("closed", flush=True)
        if "stuck" in sys.argv:
            while True:
                pass

try:
    run_until_stopped(main(), last_words=lambda: print("last words", flush=True))
except Stopped as stopped:
    sys.exit(stopped.exit_code)
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_closes_what_is_owned_and_exits_with_its_code(signum: signal.Signals) -> None:
    with start() as process:
        process.send_signal(signum)
        out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("closed\n", "", 128 + signum)


def test_a_second_signal_ends_a_process_that_is_stuck() -> None:
    with start("stuck") as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "closed\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == ("last words\n", 130)


def test_handlers_are_given_back() -> None:
    from the_edge_agent.cli.interrupt import run_until_stopped

    async def nothing() -> int:
        return 7

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert run_until_stopped(nothing()) == 7
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert os.getpid()
