import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.build import drive, go_on, sets, workflow

from the_edge_agent.adapters.run_store import RunStore
from the_edge_agent.errors import RunBusy, RunError, RunIdTaken, RunLogCorrupt, RunNotFound, UsageError
from the_edge_agent.workflow.nodes import Settings

HEAD = {"kind": "run", "format": 1, "workflow": {"name": "w"}, "at_s": 5.0}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "deep" / "runs.db")


def chain(count: int = 5):
    return workflow(
        *[sets(f"n{i}", "n", "state.n + 1") for i in range(count)], settings=Settings(max_steps=10_000)
    )


def logged(store: RunStore, run_id: str = "one", made=None):
    with store.create(run_id) as log:
        return drive(made or chain(), {"n": 0}, log=log)


def damage(store: RunStore, sql: str, *values: object) -> None:
    with sqlite3.connect(store.path) as connection:
        connection.execute(sql, values)
    connection.close()


def test_a_run_is_kept_and_resumed_from_the_file(store: RunStore) -> None:
    told = logged(store)
    with store.open("one") as log:
        assert go_on(chain(), log).state == told.state


def test_a_store_that_is_not_there_is_empty_and_is_not_made_by_looking(store: RunStore) -> None:
    assert store.list() == ()
    with pytest.raises(RunNotFound, match="'one'"):
        store.show("one")
    assert not store.path.parent.exists()


def test_a_name_that_exists_is_refused(store: RunStore) -> None:
    logged(store)
    with pytest.raises(RunIdTaken, match="tea resume one"):
        store.create("one")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "ä", "x" * 65, "a\n", "../../etc", "a\0b"])
def test_a_name_that_can_not_be_one_is_refused(store: RunStore, name: str) -> None:
    with pytest.raises(UsageError):
        store.create(name)
    with pytest.raises(RunNotFound):
        store.open(name)


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "x" * 64, "-v", "..."[:2] + "a"])
def test_a_name_of_letters_digits_dots_dashes_and_underscores_is_taken(store: RunStore, name: str) -> None:
    with store.create(name) as log:
        log.append(HEAD)
    assert [run.run_id for run in store.list()] == [name]


def test_two_drivers_of_one_run_are_one_too_many(store: RunStore) -> None:
    with store.create("one") as log:
        log.append(HEAD)
        with pytest.raises(RunBusy):
            store.open("one")
        with pytest.raises(RunBusy):
            store.prune(run_ids=["one"])
    store.open("one").close()


def test_two_runs_can_be_driven_at_once(store: RunStore) -> None:
    with store.create("one") as first, store.create("two") as second:
        for log in (first, second, first):
            log.append(HEAD)
    assert [len(store.read(name)) for name in ("one", "two")] == [2, 1]


def test_a_run_that_never_began_leaves_nothing(store: RunStore) -> None:
    store.create("one").close()
    assert store.list() == ()


def test_the_locks_leave_nothing_behind(store: RunStore) -> None:
    logged(store)
    assert list(store.path.with_name("runs.db.locks").iterdir()) == []


def test_the_list_tells_name_status_and_size_with_the_latest_first(store: RunStore) -> None:
    logged(store, "done")
    logged(store, "bad", workflow(sets("a", "n", "state.x.y")))
    with store.create("stopped") as log:
        log.append(HEAD)
        running = {run.run_id: run.status for run in store.list()}
    assert running["stopped"] == "running"
    runs = store.list()
    assert [run.run_id for run in runs] == ["stopped", "bad", "done"]
    assert [run.status for run in runs] == ["stopped", "failed", "finished"]
    assert [run.workflow for run in runs] == ["w", "test", "test"]
    assert runs[2].records == 7
    assert runs[2].size_bytes > 300


def test_show_gives_records_and_what_they_add_up_to(store: RunStore) -> None:
    logged(store)
    details = store.show("one")
    assert details.history.status == "finished"
    assert list(details.history.nodes) == ["n0", "n1", "n2", "n3", "n4"]
    assert [record["kind"] for record in details.records] == ["run", *["node"] * 5, "end"]


def test_prune_removes_what_ended_and_leaves_what_can_go_on(store: RunStore) -> None:
    logged(store, "done")
    with store.create("stopped") as log:
        log.append(HEAD)
    assert store.prune() == ("done",)
    assert [run.run_id for run in store.list()] == ["stopped"]
    assert store.prune(run_ids=["stopped"]) == ("stopped",)
    with pytest.raises(RunNotFound):
        store.prune(run_ids=["stopped"])


def test_prune_spares_what_is_younger(store: RunStore) -> None:
    logged(store)
    assert store.prune(older_than_s=3600) == ()


def test_pruning_gives_the_space_back(store: RunStore) -> None:
    with store.create("big") as log:
        log.append({"kind": "note", "text": "x" * 1_000_000})
    big = store.path.stat().st_size
    store.prune(run_ids=["big"])
    assert store.path.stat().st_size < big / 10


def test_a_name_can_be_used_again_once_it_is_pruned_and_finds_nothing_old(store: RunStore) -> None:
    logged(store)
    store.prune(run_ids=["one"])
    with store.create("one") as log:
        assert log.records() == []


def test_lone_surrogates_and_odd_text_survive(store: RunStore) -> None:
    record = {"kind": "note", "text": "\ud800 \udfff \x00 \u2028 𝄞 é", "n": [1, 1.5, True, None, -0.0, 2**70]}
    with store.create("one") as log:
        log.append(record)
    assert json.dumps(store.read("one")[0]) == json.dumps(record)


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_what_is_no_json_is_refused_and_the_log_stays_sound(store: RunStore, value: object) -> None:
    with store.create("one") as log:
        with pytest.raises((ValueError, TypeError)):
            log.append({**HEAD, "value": value})
        log.append(HEAD)
    assert store.read("one") == (HEAD,)


@pytest.mark.parametrize(
    ("sql", "values", "what"),
    [
        (
            "UPDATE records SET data = ? WHERE (key & 0xffffffff) = 4",
            (b'{"kind":"node","at":"n9"}',),
            "checksum",
        ),
        ("UPDATE records SET data = substr(data, 1, 20) WHERE (key & 0xffffffff) = 4", (), "checksum"),
        ("DELETE FROM records WHERE (key & 0xffffffff) = 4", (), "record 4 is missing"),
        ("UPDATE records SET checksum = 0 WHERE (key & 0xffffffff) = 4", (), "checksum"),
    ],
)
def test_a_damaged_log_says_where_and_keeps_what_is_before(
    store: RunStore, sql: str, values: tuple, what: str
) -> None:
    whole = logged(store)
    damage(store, sql, *values)
    with store.open("one") as log, pytest.raises(RunLogCorrupt, match=f"run one: record 4.*{what}"):
        log.records()
    with pytest.raises(RunLogCorrupt):
        store.read("one")
    details = store.show("one")
    assert "record 4" in details.summary.damage
    assert list(details.history.nodes) == ["n0", "n1"]
    assert store.cut("one") == 3
    with store.open("one") as log:
        told = go_on(chain(), log)
    assert told.state == whole.state
    assert told.ran() == ["n2", "n3", "n4"]


def test_records_swapped_between_runs_are_noticed(store: RunStore) -> None:
    logged(store, "one")
    logged(store, "two")
    damage(
        store,
        "UPDATE records SET data = (SELECT data FROM records r WHERE r.key = records.key + (1 << 32)) WHERE key = (1 << 32) + 3",
    )
    damage(
        store,
        "UPDATE records SET checksum = (SELECT checksum FROM records r WHERE r.key = records.key + (1 << 32)) WHERE key = (1 << 32) + 3",
    )
    assert "record 3" in store.show("one").summary.damage


def test_cutting_a_sound_log_changes_nothing(store: RunStore) -> None:
    logged(store)
    assert store.cut("one") == 7
    assert len(store.read("one")) == 7


def test_a_file_that_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(b"this is no database, it only looks like a file" * 50)
    with pytest.raises(RunLogCorrupt, match=r"runs\.db"):
        RunStore(path).list()


def test_a_file_cut_short_is_noticed(store: RunStore) -> None:
    with store.create("one") as log:
        drive(chain(400), {"n": 0}, log=log)
    data = store.path.read_bytes()
    store.path.write_bytes(data[: len(data) // 2 // 4096 * 4096])
    with pytest.raises(RunLogCorrupt):
        store.read("one")


def test_a_store_of_a_newer_version_is_left_alone(store: RunStore) -> None:
    logged(store)
    damage(store, "PRAGMA user_version = 7")
    with pytest.raises(RunLogCorrupt, match="format 7"):
        store.list()


def test_a_store_that_can_not_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "runs.db").mkdir()
    with pytest.raises(RunError, match=r"runs\.db"):
        RunStore(tmp_path / "runs.db").create("one")


@pytest.mark.parametrize("sync", ["normal", "full"])
def test_how_hard_it_syncs_is_the_callers_choice(store: RunStore, sync) -> None:
    with store.create("one", sync=sync) as log:
        setting = log._connection.execute("PRAGMA synchronous").fetchone()[0]
        assert setting == {"normal": 1, "full": 2}[sync]
        assert log._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_nothing_in_a_store_can_make_a_reader_run_code() -> None:
    source = Path(__file__).parents[2] / "src" / "the_edge_agent"
    for part in ("engine", "adapters"):
        for path in (source / part).rglob("*.py"):
            assert "pickle" not in path.read_text(), path


CREATE_MANY = """
import sys
from the_edge_agent.adapters.run_store import RunStore
sys.stdin.readline()
for number in range(5):
    with RunStore(sys.argv[1]).create(f"{sys.argv[2]}-{number}") as log:
        for _ in range(20):
            log.append({"kind": "run", "format": 1, "workflow": {"name": "w"}, "at_s": 5.0})
"""


def test_processes_that_make_one_store_at_the_same_moment_do_not_get_in_each_others_way(
    store: RunStore,
) -> None:
    command = [sys.executable, "-c", CREATE_MANY, str(store.path)]
    processes = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in processes]
    assert errors == [""] * 4
    assert [run.records for run in store.list()] == [20] * 20
