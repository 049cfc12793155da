"""What is known of runs afterwards: list, show, logs, replay, diff, prune."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli import agents
from tests.cli.tea import COMMAND, clean_environ, tea


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("COUNT", "ASK", "FAILING"):
        (tmp_path / f"{name.lower()}.yaml").write_text(getattr(agents, name))
    for name, code in (("count", 0), ("ask", 3), ("failing", 1)):
        assert tea("run", f"{name}.yaml", "--run-id", f"{name}-1", home=tmp_path).code == code
    return tmp_path


def test_the_list_has_a_tab_separated_line_for_each_run_the_latest_first(home: Path) -> None:
    rows = [line.split("\t") for line in tea("runs", "list", home=home).out.splitlines()]
    assert [row[:3] for row in rows] == [
        ["failing-1", "failed", "failing"],
        ["ask-1", "interrupted", "approval"],
        ["count-1", "finished", "count"],
    ]


def test_the_list_can_be_narrowed_and_read_as_json(home: Path) -> None:
    runs = json.loads(tea("runs", "list", "--status", "failed", "--json", home=home).out)
    assert [run["id"] for run in runs] == ["failing-1"]
    assert tea("runs", "list", "--limit", "1", home=home).out.startswith("failing-1\t")
    assert tea("runs", "list", "--limit", "0", home=home).code == 2


def test_show_says_what_was_done_and_what_to_do_next(home: Path) -> None:
    failed = tea("runs", "show", "failing-1", home=home).out
    assert "✓ fine" in failed
    assert "✗ broken" in failed
    assert "TemplateError: " in failed
    assert "tea resume failing-1" in failed
    waiting = tea("runs", "show", "ask-1", home=home).out
    assert "Publish this? [publish / discard]" in waiting
    assert "tea resume ask-1 --answer TEXT" in waiting
    shown = json.loads(tea("runs", "show", "count-1", "--json", home=home).out)
    assert shown["status"] == "finished"
    assert shown["records"][0]["kind"] == "run"


def test_logs_print_every_record(home: Path) -> None:
    lines = tea("logs", "count-1", home=home).out.splitlines()
    assert [line.split()[1] for line in lines] == ["run", "node", "node", "end"]
    records = [
        json.loads(line) for line in tea("logs", "count-1", "--json", "--follow", home=home).out.splitlines()
    ]
    assert [record["kind"] for record in records] == ["run", "node", "node", "end"]


def test_a_replay_tells_the_same_answer_without_the_file(home: Path) -> None:
    (home / "count.yaml").unlink()
    done = tea("replay", "count-1", "-q", home=home)
    assert (done.code, done.out) == (0, "2\n")
    again = tea("replay", "failing-1", "--output", "json", home=home)
    assert again.code == 1
    assert json.loads(again.out)["run"]["error"]["name"] == "TemplateError"


def test_prune_removes_what_ended_and_keeps_what_can_be_resumed(home: Path) -> None:
    assert tea("runs", "prune", home=home).code == 2
    planned = tea("runs", "prune", "--all", "--dry-run", home=home)
    assert planned.out.split() == ["failing-1", "count-1"]
    assert tea("runs", "prune", "--older-than", "1h", home=home).out == ""
    assert tea("runs", "prune", "--all", home=home).out.split() == ["failing-1", "count-1"]
    assert [line.split("\t")[0] for line in tea("runs", "list", home=home).out.splitlines()] == ["ask-1"]
    assert tea("runs", "prune", "ask-1", home=home).out == "ask-1\n"
    assert tea("runs", "prune", "ask-1", home=home).code == 1


def test_a_damaged_log_is_shown_as_far_as_it_goes_and_can_be_mended(home: Path) -> None:
    store = next(home.rglob("runs.sqlite"))
    with sqlite3.connect(store) as connection:
        first = connection.execute("SELECT key FROM runs WHERE id = 'count-1'").fetchone()[0] << 32
        connection.execute("UPDATE records SET data = x'7b7d' WHERE key = ?", (first + 3,))
    connection.close()
    assert "the log is damaged: record 3" in tea("runs", "show", "count-1", home=home).out
    assert tea("logs", "count-1", home=home).code == 1
    refused = tea("resume", "count-1", home=home)
    assert (refused.code, refused.first_error_line.split(":")[0]) == (1, "RunLogCorrupt")
    assert tea("runs", "mend", "count-1", home=home).out == "count-1: 2 records kept\n"
    assert tea("resume", "count-1", "-q", home=home).out == "2\n"


def test_a_changed_file_is_noticed_and_the_text_of_the_log_is_used(home: Path) -> None:
    (home / "ask.yaml").write_text(agents.ASK.replace("It was ", "CHANGED "))
    done = tea("resume", "ask-1", "--answer", "publish", home=home)
    assert done.out == "It was publish\n"
    assert "has changed since this run began" in done.err


def test_diff_says_where_two_runs_part_and_exits_as_diff_does(home: Path) -> None:
    assert tea("run", "count.yaml", "--run-id", "count-2", home=home).code == 0
    assert tea("run", "count.yaml", "--run-id", "count-3", "-i", '{"start": 1}', home=home).code == 0
    alike = tea("diff", "count-1", "count-2", home=home)
    assert (alike.code, alike.out) == (0, "2 executions came out alike\nthe runs are alike\n")
    apart = tea("diff", "count-1", "count-3", "--json", home=home)
    assert apart.code == 1
    found = json.loads(apart.out)
    assert [difference["kind"] for difference in found["differences"]] == ["input", "result", "result"]
    assert tea("diff", "count-1", "nobody", home=home).first_error_line.startswith("RunNotFound: ")


KILLED = """
import os, sys
from the_edge_agent.adapters.run_store import RunStore
log = RunStore(sys.argv[1]).create("killed-1")
log.append({"kind": "run", "workflow": {"name": "killed"}, "at_s": 1.0})
os._exit(0)  # nothing is closed: what it wrote lies in the write-ahead log
"""


def frozen(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``tea ARGUMENTS`` where the file system of its data is read-only, for root as well."""
    data = home / ".local/share/the-edge-agent"
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    namespaces = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*namespaces, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this kernel gives us no mount namespace")
    command = [*namespaces, "sh", "-c", script, str(data), *COMMAND, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=clean_environ(home), cwd=home, timeout=120, check=False
    )


@pytest.mark.parametrize("killed", [False, True], ids=["closed", "with a write-ahead log"])
def test_runs_are_listed_and_shown_where_nothing_can_be_written(home: Path, killed: bool) -> None:
    store = home / ".local/share/the-edge-agent/runs.sqlite"
    if killed:
        subprocess.run([sys.executable, "-c", KILLED, str(store)], check=True)
        assert store.with_name("runs.sqlite-wal").stat().st_size
    before = {path.name: path.stat().st_mtime_ns for path in store.parent.iterdir()}
    listed = frozen(home, "runs", "list")
    names = [line.split("\t")[0] for line in listed.stdout.splitlines()]
    assert (listed.returncode, listed.stderr) == (0, "")
    assert names == [*(["killed-1"] if killed else []), "failing-1", "ask-1", "count-1"]
    shown = frozen(home, "runs", "show", "ask-1")
    assert "Publish this? [publish / discard]" in shown.stdout
    assert {path.name: path.stat().st_mtime_ns for path in store.parent.iterdir()} == before


def test_what_has_to_write_says_what_to_do_where_nothing_can_be_written(home: Path) -> None:
    for arguments in (
        ("resume", "ask-1", "--answer", "publish"),
        ("runs", "prune", "--all"),
        ("run", "count.yaml"),
    ):
        done = frozen(home, *arguments)
        assert done.returncode == 1
        assert "TEA_DATA_DIR" in done.stderr
        assert "Traceback" not in done.stderr
