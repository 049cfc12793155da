"""kill -9 at random moments, with real processes and a real store."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.engine.killed_run import SHAPES
from tests.rounds import rounds

from the_edge_agent.adapters.run_store import RunStore

ROOT = Path(__file__).parents[2]


def start(verb: str, store: Path, run_id: str, shape: str, effects: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.engine.killed_run", verb, str(store), run_id, shape, str(effects)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, object], float]:
    """The final state, and the seconds from the run's beginning to its end."""
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    began_s = time.monotonic()
    out = process.stdout.read()  # communicate() would lose what readline() has buffered
    process.stdout.close()
    assert process.wait() == 0
    return json.loads(out)["state"], time.monotonic() - began_s


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def let_live(process: subprocess.Popen[str], effects: Path, work: int, duration_s: float) -> None:
    """Wait for a random moment: mostly one within a random piece of work, sometimes any at all."""
    seconds = random.uniform(0, duration_s)
    if random.random() < 0.8:
        begun = random.randrange(1, work)
        while len(lines(effects)) < begun and process.poll() is None:
            wait(process, 0.0005)
        seconds = random.uniform(0, 0.006)
    wait(process, seconds)


def wait(process: subprocess.Popen[str], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)


@pytest.mark.long
def test_a_run_that_is_killed_at_a_random_moment_goes_on_where_it_was(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    whole: dict[str, tuple[dict[str, object], float]] = {}
    for shape in SHAPES:
        whole[shape] = finish(start("run", store, f"whole-{shape}", shape, tmp_path / f"whole-{shape}"))
    count = rounds(8, 40, 200)
    in_mid_run = 0
    for number in range(count):
        shape = list(SHAPES)[number % len(SHAPES)]
        state, duration_s = whole[shape]
        run_id, effects = f"killed-{number}", tmp_path / f"effects-{number}"
        process = start("run", store, run_id, shape, effects)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        let_live(process, effects, len(lines(tmp_path / f"whole-{shape}")), duration_s)
        process.kill()
        process.communicate()
        details = RunStore(store).show(run_id)
        assert not details.summary.damage
        committed = set(details.history.nodes)
        in_mid_run += details.history.end is None and len(committed) > 0
        before = lines(effects)
        assert committed & set(before) or not before or details.history.end is None
        again, _ = finish(start("resume", store, run_id, shape, effects))
        assert json.dumps(again) == json.dumps(state), (shape, number)
        after = lines(effects)[len(before) :]
        assert not committed & set(after), (shape, number, "committed nodes ran again")
        assert len(after) == len(set(after)), (shape, number, "a node ran twice in one life")
    print(f"{count} kills, {in_mid_run} of them in mid-run")
    assert in_mid_run >= count / 2


def test_a_run_that_a_process_drives_is_busy_until_that_process_is_gone(tmp_path: Path) -> None:
    from the_edge_agent.errors import RunBusy

    store, effects = tmp_path / "runs.db", tmp_path / "effects"
    process = start("run", store, "one", "linear", effects)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(19)  # SIGSTOP: alive, and in no hurry to finish
    try:
        with pytest.raises(RunBusy, match="'one'"):
            RunStore(store).open("one")
        assert RunStore(store).list()[0].status == "running"
    finally:
        process.kill()
        process.communicate()
    RunStore(store).open("one").close()
    assert RunStore(store).list()[0].status == "stopped"
