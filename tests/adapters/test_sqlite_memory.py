import asyncio
import math
import random
from pathlib import Path

import pytest

from the_edge_agent.adapters import sqlite_memory
from the_edge_agent.adapters.sqlite_cache import SqliteCache
from the_edge_agent.adapters.sqlite_memory import SqliteMemory
from the_edge_agent.errors import ActionError


@pytest.fixture(params=["extension", "python"])
def memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteMemory:
    """The memory with the sqlite-vec extension, and without."""
    if request.param == "extension":
        pytest.importorskip("sqlite_vec")
    else:
        monkeypatch.setitem(__import__("sys").modules, "sqlite_vec", None)
    return SqliteMemory(tmp_path / "deep" / "memory.db")


def keep(
    memory: SqliteMemory, key: str, value: object = None, vector: object = None, namespace: str = "n"
) -> None:
    asyncio.run(memory.store(namespace, key, value, metadata={"of": key}, vector=vector))


def find(memory: SqliteMemory, vector: object, limit: int = 10, namespace: str = "n"):
    return asyncio.run(memory.search(namespace, vector, limit=limit))


def test_a_value_is_kept_and_replaced(memory: SqliteMemory) -> None:
    keep(memory, "a", {"x": ["\ud800", None]})
    hit = asyncio.run(memory.retrieve("n", "a"))
    assert (hit.key, hit.value, hit.metadata, hit.score) == ("a", {"x": ["\ud800", None]}, {"of": "a"}, 1.0)
    keep(memory, "a", 2)
    assert asyncio.run(memory.retrieve("n", "a")).value == 2


def test_what_is_not_there_is_none_and_looking_makes_no_file(memory: SqliteMemory) -> None:
    assert asyncio.run(memory.retrieve("n", "a")) is None
    assert find(memory, [1.0]) == ()
    assert not memory.path.exists()


def test_namespaces_are_apart(memory: SqliteMemory) -> None:
    keep(memory, "a", 1, [1.0, 0.0], namespace="one")
    assert asyncio.run(memory.retrieve("two", "a")) is None
    assert find(memory, [1.0, 0.0], namespace="two") == ()


def test_the_search_is_exact_and_the_nearest_come_first(memory: SqliteMemory) -> None:
    chance = random.Random(7)
    vectors = {f"k{i:03}": [chance.gauss(0, 1) for _ in range(16)] for i in range(200)}
    for key, vector in vectors.items():
        keep(memory, key, key, vector)
    wanted = [chance.gauss(0, 1) for _ in range(16)]

    def cosine(vector: list[float]) -> float:
        return sum(a * b for a, b in zip(wanted, vector, strict=True)) / (
            math.hypot(*wanted) * math.hypot(*vector)
        )

    hits = find(memory, wanted, limit=7)
    assert [hit.key for hit in hits] == sorted(vectors, key=lambda key: -cosine(vectors[key]))[:7]
    assert hits[0].score == pytest.approx(cosine(vectors[hits[0].key]), abs=1e-5)


def test_entries_without_a_vector_are_not_found_by_one(memory: SqliteMemory) -> None:
    keep(memory, "a", 1)
    assert find(memory, [1.0, 0.0]) == ()


def test_a_search_with_vectors_of_another_model_says_so(memory: SqliteMemory) -> None:
    keep(memory, "a", 1, [1.0, 0.0, 0.0])
    with pytest.raises(ActionError, match=r"vectors of 3 numbers, and the search has 2"):
        find(memory, [1.0, 0.0])


def test_a_vector_without_length_is_near_to_nothing(memory: SqliteMemory) -> None:
    keep(memory, "zero", 1, [0.0, 0.0])
    assert [hit.score for hit in find(memory, [1.0, 0.0])] in ([0.0], [])


def test_a_file_that_is_no_memory_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_bytes(b"no database at all" * 99)
    with pytest.raises(ActionError, match=r"m\.db"):
        asyncio.run(SqliteMemory(tmp_path / "m.db").retrieve("n", "k"))


def test_a_cached_value_is_there_until_it_expires_in_any_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cache.db"
    assert asyncio.run(SqliteCache(path).get("k", now_s=1)) is None
    asyncio.run(SqliteCache(path).put("k", None, expires_s=4e9))
    found = asyncio.run(SqliteCache(path).get("k", now_s=1))
    assert found is not None
    assert found.value is None
    assert asyncio.run(SqliteCache(path).get("k", now_s=4e9)) is None
    assert sqlite_memory.__doc__ is not None
