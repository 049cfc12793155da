"""Closed pipes, closed descriptors, full disks, no HOME, read-only HOME, signals in mid-run."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli import agents
from tests.cli.tea import COMMAND, TIMEOUT_S, clean_environ, tea


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("COUNT", "LONG", "ASK"):
        (tmp_path / f"{name.lower()}.yaml").write_text(getattr(agents, name))
    return tmp_path


def shell(home: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which ``tea`` is the command."""
    quoted = " ".join(COMMAND)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'tea() {{ {quoted} "$@"; }}\n{line}'],
        cwd=home, env=clean_environ(home), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


@contextmanager
def started(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=home, env=clean_environ(home), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "line", ["tea run long.yaml --stream | head -n 1", "tea schema | head -n 1", "tea run --help | head -n 1"]
)
def test_a_reader_that_goes_away_ends_the_command_quietly(home: Path, line: str) -> None:
    done = shell(home, line)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_a_run_whose_reader_went_away_can_be_resumed(home: Path) -> None:
    done = shell(home, "tea run long.yaml --stream --run-id r | head -n 3")
    assert done.returncode == 141
    assert tea("runs", "list", home=home).out.split("\t")[:2] == ["r", "stopped"]


def test_a_full_disk_behind_stdout_is_an_error(home: Path) -> None:
    done = shell(home, "tea --version > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("FileError: stdout: no space left on device")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_break_nothing(home: Path, closed: str) -> None:
    done = shell(home, f"tea run count.yaml --run-id r {closed}; code=$?; tea replay r -q; exit $code")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "2"
    assert "Traceback" not in done.stderr


def test_a_question_without_a_keyboard_is_no_endless_loop(home: Path) -> None:
    done = shell(home, "tea run ask.yaml --interactive <&-")
    assert done.returncode not in (0, 3)
    assert "stdin ended" in done.stderr


def test_without_home_runs_are_kept_where_the_password_database_says_or_here(home: Path) -> None:
    data = {"HOME": None, "XDG_DATA_HOME": str(home / "data")}
    assert tea("run", "count.yaml", "-q", home=home, environ=data).out == "2\n"
    assert (home / "data" / "the-edge-agent").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_home_is_named_with_what_to_do_instead(home: Path) -> None:
    locked = home / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    _check_unwritable(home, {"HOME": str(locked)})


def test_a_data_folder_that_is_a_file_is_named_with_what_to_do_instead(home: Path) -> None:
    (home / "file").write_text("not a folder")
    _check_unwritable(home, {"TEA_DATA_DIR": str(home / "file")})


def _check_unwritable(home: Path, environ: dict[str, str]) -> None:
    done = tea("run", "count.yaml", home=home, environ=environ)
    assert (done.code, done.out) == (1, "")
    assert "Traceback" not in done.err
    assert "TEA_DATA_DIR" in done.err
    assert "--no-log" in done.err
    assert tea("run", "count.yaml", "-q", "--no-log", home=home, environ=environ).out == "2\n"
    assert tea("runs", "list", home=home, environ=environ).code == 0


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_says_how_to_go_on_and_goes_on(home: Path, signum: signal.Signals, code: int) -> None:
    with started(home, "run", "long.yaml", "--run-id", "r", "--output", "json") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("count: done"):
                break
        process.send_signal(signum)
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code
    value = json.loads(out)
    assert (value["run"]["status"], value["run"]["id"]) == ("stopped", "r")
    assert value["state"]["n"] >= 1
    assert "tea resume r" in err
    assert "Traceback" not in err


def test_a_stopped_run_takes_up_where_it_was(home: Path) -> None:
    short = agents.LONG.replace("90000", "3000")
    (home / "short.yaml").write_text(short)
    with started(home, "run", "short.yaml", "--run-id", "r", "--stream") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"node_finished"' in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    done = tea("resume", "r", "--stream", home=home)
    told = [json.loads(line) for line in done.out.splitlines()]
    assert told[-1]["state"]["n"] == 3000
    finished = [event for event in told if event["type"] == "node_finished"]
    assert finished[0]["from_log"] is True
    assert len(finished) == 3000


@pytest.mark.parametrize(
    "environ",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "POSIX", "LC_ALL": "POSIX"},
        {"LC_ALL": "nonsense"},
        {"TERM": None, "LANG": None},
        {"COLUMNS": "1", "LINES": "1"},
        {"COLUMNS": "nonsense"},
    ],
)
def test_no_locale_and_no_terminal_setting_breaks_unicode_in_a_pipe(home: Path, environ: dict) -> None:
    (home / "ünï.yaml").write_text(agents.COUNT.replace("name: count", "name: 名前 ✓"))
    done = tea("validate", "ünï.yaml", home=home, environ=environ)
    assert (done.code, done.out) == (0, "ünï.yaml: ok (名前 ✓, 2 nodes)\n")


def test_a_python_that_was_told_to_avoid_utf8_still_finds_the_file_and_writes_utf8(home: Path) -> None:
    (home / "ünï.yaml").write_text(agents.COUNT.replace("name: count", "name: 名前 ✓"))
    environ = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = tea("validate", "ünï.yaml", home=home, environ=environ)
    assert done.code == 0
    assert "名前 ✓" in done.out


def test_a_megabyte_of_input_comes_through_whole(home: Path) -> None:
    (home / "echo.yaml").write_text(
        'name: echo\nnodes:\n  - name: a\n    run: {type: expression, value: "state.text", output_key: answer}\n'
    )
    text = "é✓\U0001f600\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace") * 100_000
    done = tea("run", "echo.yaml", "-q", "-i", "-", home=home, stdin=json.dumps({"text": text}))
    assert done.code == 0
    assert done.out == text + "\n"


def test_version_imports_nothing_that_takes_time(home: Path) -> None:
    del home
    code = "import sys; from the_edge_agent.cli.main import main; main(['--version']); print(*sorted(sys.modules))"
    done = subprocess.run(
        [COMMAND[0], "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT_S
    )
    first, modules = done.stdout.splitlines()
    assert first.startswith("tea ")
    assert not {"asyncio", "argparse", "yaml", "jinja2", "rich", "json", "dataclasses"} & set(modules.split())
