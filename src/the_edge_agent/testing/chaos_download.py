"""Pulls under random faults and random kill -9, with real processes over loopback: what ``tea chaos download`` runs.

Each round is one model, one server that fails at random, and a puller that is killed at random moments and started again
until it ends by itself. The report counts what must never happen: a wrong file under a model's name, a finished chunk
fetched twice, an error without a type, a byte outside the store.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.store.backoff import Backoff
from the_edge_agent.store.download import DownloadOptions
from the_edge_agent.store.http_options import HttpOptions
from the_edge_agent.store.hub_cache import HubCache
from the_edge_agent.store.partial import finished_chunks
from the_edge_agent.store.places import StorePlaces
from the_edge_agent.store.pull import pull_model
from the_edge_agent.store.pull_options import PullOptions
from the_edge_agent.store.transfer import TransferOptions
from the_edge_agent.testing.faulty_server import FaultKind, FaultyServer, SeenRequest, at_random, wait_until
from the_edge_agent.testing.gguf_file import pattern_model

CHUNK_BYTES = 64 * 1024
_REPO, _FILE = "local/model", "model.gguf"
_MOST_KILLS = 3
_KINDS: tuple[FaultKind, ...] = (
    "drop",
    "drop",
    "stall",
    "ignore-range",
    "416",
    "429",
    "503",
    "longer-than-sent",
    "shorter-than-sent",
    "wrong-range",
    "wrong-bytes",
    "redirects",
    "trickle",
)


@dataclass(slots=True)
class ChaosReport:
    """Counts over all rounds. The last four must be 0."""

    rounds: int = 0
    succeeded: int = 0
    failed: dict[str, int] = field(default_factory=dict[str, int])
    kills: int = 0
    faults: dict[str, int] = field(default_factory=dict[str, int])
    wrong_files: int = 0
    chunks_fetched_twice: int = 0
    untyped_errors: list[str] = field(default_factory=list[str])
    """What each of them said; there should be none."""
    paths_outside: int = 0

    @property
    def held(self) -> bool:
        """Whether nothing happened that must not."""
        return not (
            self.wrong_files or self.chunks_fetched_twice or self.untyped_errors or self.paths_outside
        )


def run_chaos(
    folder: Path,
    rounds: int,
    *,
    seed: int,
    size_bytes: int = 1_000_003,
    on_round: Callable[[ChaosReport], None] | None = None,
) -> ChaosReport:
    """Run the rounds in ``folder`` (made and emptied here); the same seed draws the same faults and files."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "httpx", "httpcore"])
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    report = ChaosReport()
    for number in range(rounds):
        data = pattern_model(chance.randrange(size_bytes // 4, size_bytes), seed=seed + number)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "home").mkdir(parents=True)
        faults = at_random(
            chance.randrange(1 << 30), rate=chance.uniform(0, 0.4), body_bytes=CHUNK_BYTES, kinds=_KINDS
        )
        with FaultyServer({f"/{_FILE}": data}, faults=faults) as server:
            _Round(folder, data, server, chance, report).run(context)
        report.rounds += 1
        if on_round is not None:
            on_round(report)
    shutil.rmtree(folder, ignore_errors=True)
    return report


@dataclass(slots=True)
class _Round:
    folder: Path
    data: bytes
    server: FaultyServer
    chance: random.Random
    report: ChaosReport

    def run(self, context: Any) -> None:
        kills_left = self.chance.randrange(_MOST_KILLS + 1)
        result = self.folder / "result.json"
        sha256 = hashlib.sha256(self.data).hexdigest()
        while True:
            finished = set(finished_chunks(self._partial()))
            already = len(self.server.seen)
            process = context.Process(
                target=_pull, args=(str(self.folder), self.server.url(f"/{_FILE}"), sha256)
            )
            process.start()
            if kills_left:
                self._kill_at_some_point(process)
                kills_left -= 1
            process.join()
            self._count(finished, self.server.seen[already:])
            if result.exists():
                break
        outcome = json.loads(result.read_text(encoding="utf-8"))
        if outcome["ok"]:
            self.report.succeeded += 1
        elif outcome["typed"]:
            self.report.failed[outcome["error"]] = self.report.failed.get(outcome["error"], 0) + 1
        else:
            self.report.untyped_errors.append(outcome["error"])
        for seen in self.server.seen:
            if seen.fault:
                self.report.faults[seen.fault] = self.report.faults.get(seen.fault, 0) + 1

    def _kill_at_some_point(self, process: Any) -> None:
        """Once a random number of bytes went out: any state a download can be in, from the first request to the rename."""
        limit = self.server.body_bytes_sent + self.chance.randrange(int(len(self.data) * 1.1))
        seen = len(self.server.seen) + self.chance.randrange(60)
        wait_until(
            lambda: (
                self.server.body_bytes_sent >= limit
                or len(self.server.seen) >= seen
                or not process.is_alive()
            ),
            timeout_s=300,
        )
        if process.is_alive():
            process.kill()
            self.report.kills += 1

    def _count(self, finished_before: set[int], seen: list[SeenRequest]) -> None:
        order = finished_chunks(self._partial())
        self.report.chunks_fetched_twice += len(order) - len(set(order))
        for request in seen:
            probe = request.start == 0 and request.end == 1
            if request.start is not None and not probe and request.start // CHUNK_BYTES in finished_before:
                self.report.chunks_fetched_twice += 1
        visible = HubCache(self.folder / "store").find(_REPO, _FILE)
        if visible is not None and visible.read_bytes() != self.data:
            self.report.wrong_files += 1
        outside = {path.name for path in self.folder.iterdir()} - {"store", "home", "result.json"}
        self.report.paths_outside += len(outside) + sum(1 for _ in (self.folder / "home").iterdir())

    def _partial(self) -> Path:
        return StorePlaces(self.folder / "store", self.folder / "hub").partial_dir(_REPO, _FILE, "main")


def _pull(folder: str, url: str, sha256: str) -> None:
    """One puller's life; how it ended is written down last."""
    root = Path(folder)
    options = PullOptions(
        download=DownloadOptions(
            http=HttpOptions(stall_timeout_s=0.25, lowest_rate_bytes_s=100_000),
            transfer=TransferOptions(backoff=Backoff(base_s=0.001, longest_s=0.01)),
            chunk_bytes=CHUNK_BYTES,
        ),
        sha256=sha256,
    )
    try:
        pulled = pull_model(url, StorePlaces(root / "store", root / "hub"), options)
        outcome = {"ok": pulled.files[0].sha256 == sha256}
    except EdgeAgentError as error:
        outcome = {"ok": False, "typed": True, "error": error.name}
    except BaseException as error:  # noqa: BLE001 - that none comes is what is tested
        outcome = {"ok": False, "typed": False, "error": repr(error)}
    # Written aside and renamed: a kill may come in the middle of this, too.
    (root / "result.new").write_text(json.dumps(outcome), encoding="utf-8")
    (root / "result.new").replace(root / "result.json")
