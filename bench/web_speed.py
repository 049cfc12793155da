"""The web package in Debian's Chromium: time to the first token, decoding, and loading from the cache.

Peers: bare wllama on the same page; the same model's first load. Bounds: 6 s cold, 3 s with everything kept.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

from bench.row import Row, at_least, at_most, limit
from tests.e2e.web import build


def rows(quick: bool) -> Iterator[Row]:
    """Every row."""
    web = build.package()
    node = shutil.which("node")
    assert node, "node 20 or newer is needed"
    wanted = {"rounds": 1 if quick else 5, "cacheBytes": 64_000_000 if quick else 1_000_000_000}
    done = subprocess.run(
        [node, "bench/speed.js", json.dumps(wanted)],
        cwd=web, capture_output=True, text=True, timeout=3600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(done.stdout)
    yield limit("web: page to an agent's first token, nothing kept", found["cold"], 6, "s")
    yield limit("web: page to an agent's first token, all kept", found["warm"], 3, "s")
    decode = found["decode"]
    yield at_least("web: decoding, against bare wllama", decode["ours"], decode["bare"], 0.95, "tok/s")
    size = f"{wanted['cacheBytes'] / 1e9:g} GB"
    load = found["load"]
    yield at_most(
        f"web: a model of {size} from the cache, against its first load",
        load["cached"],
        load["first"],
        0.4,
        "s",
    )
