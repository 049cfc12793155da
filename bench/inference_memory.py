"""Memory and time of loading, and that neither grows: each figure from a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.row import Row, at_least, limit
from bench.synthetic import synthetic_model

import the_edge_agent

TINY = Path(the_edge_agent.__file__).parent / "store" / "embedded" / "tiny.gguf"
MB = 1e6


def rows(quick: bool) -> Iterator[Row]:
    """All rows about memory."""
    tinyllama = synthetic_model("tinyllama-1.1b-q4_k_m")
    default = probe("load", tinyllama)
    yield limit("inference TinyLlama Q4_K_M, load and first token", default["first_token_s"], 5.0, "s")
    yield limit("inference TinyLlama Q4_K_M, resident", default["rss"] / MB, 1000, "MB")
    other = probe("load", tinyllama, repack=not default["repacked"])
    chosen = ("repacked", "as in the file") if default["repacked"] else ("as in the file", "repacked")
    name = f"inference TinyLlama Q4_K_M, {chosen[0]} / {chosen[1]}"
    yield at_least(f"{name}, answers", default["rate"], other["rate"], 0.95, "tok/s")
    yield at_least(f"{name}, prompts", default["prompt_rate"], other["prompt_rate"], 0.95, "tok/s")
    both = probe("load", tinyllama, repack=True, use_mmap=True)
    yield Row(
        "inference TinyLlama Q4_K_M, resident when repacked and mapped", both["rss"] / MB, default["rss"] / MB,
        both["rss"] / default["rss"], "shown", "MB", ok=True,
    )  # fmt: skip
    quantized = probe("load", tinyllama, kv_type="q8_0")
    yield Row(
        "inference TinyLlama Q4_K_M, q8_0 KV cache / f16", quantized["rate"], default["rate"],
        quantized["rate"] / default["rate"], "shown", "tok/s", ok=True,
    )  # fmt: skip
    if not quick:
        mistral = probe("load", synthetic_model("mistral-7b-q4_0"))
        yield limit("inference Mistral 7B Q4_0, resident", mistral["rss"] / MB, 5000, "MB")
    cycles, requests = (60, 400) if quick else (1000, 10_000)
    grown = probe("cycles", TINY, rounds=cycles)
    yield limit(f"inference embedded model, growth over {cycles} loads", grown["growth"] / MB, 8, "MB")
    grown = probe("requests", TINY, rounds=requests)
    yield limit(f"inference embedded model, growth over {requests:,} requests", grown["growth"] / MB, 8, "MB")


def probe(what: str, path: Path, **options: Any) -> dict[str, float]:
    """Run this module as a program and read its one line of JSON."""
    command = [sys.executable, "-m", "bench.inference_memory", what, str(path), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def _load(path: Path, options: dict[str, Any]) -> dict[str, float]:
    import time

    from bench.local_runs import chat_all, words

    from the_edge_agent.backends.local import LocalBackend, LocalOptions

    started = time.perf_counter()
    backend = LocalBackend.load(path, LocalOptions(**options))
    chat_all(backend, [words(8)], 1)
    first_token_s = time.perf_counter() - started
    best = 0.0
    for _ in range(4):
        run = chat_all(backend, [words(8)], 16)
        best = max(best, (run.n_tokens - 1) / run.decode_s)
    rss = resident_bytes()
    prompt_s = min(chat_all(backend, [words(250, seed)], 1).seconds for seed in range(3))
    repacked = backend.plan.model.repack
    backend.close()
    return {
        "first_token_s": first_token_s, "rss": rss, "rate": best, "prompt_rate": 250 / prompt_s, "repacked": repacked,
    }  # fmt: skip


def _cycles(path: Path, options: dict[str, Any]) -> dict[str, float]:
    from bench.local_runs import chat_all

    from the_edge_agent.backends.local import LocalBackend, LocalOptions

    def once() -> None:
        backend = LocalBackend.load(path, LocalOptions(n_ctx=256))
        chat_all(backend, ["Say OK."], 1)
        backend.close()

    return _growth(once, options["rounds"])


def _requests(path: Path, options: dict[str, Any]) -> dict[str, float]:
    from bench.local_runs import chat_all

    from the_edge_agent.backends.local import LocalBackend, LocalOptions

    backend = LocalBackend.load(path, LocalOptions(n_ctx=256))
    number = iter(range(10**9))

    def once() -> None:
        chat_all(backend, [f"Say {next(number)}." for _ in range(10)], 1)

    result = _growth(once, options["rounds"] // 10)
    backend.close()
    return result


def _growth(once: Any, rounds: int) -> dict[str, float]:
    """Resident bytes that the last nine tenths of the rounds added to the first tenth."""
    warm = max(5, rounds // 10)
    for _ in range(warm):
        once()
    before = resident_bytes()
    for _ in range(rounds - warm):
        once()
    return {"growth": max(1, resident_bytes() - before), "rss": resident_bytes()}


def resident_bytes() -> int:
    """This process's resident set."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


if __name__ == "__main__":
    _PROBES = {"load": _load, "cycles": _cycles, "requests": _requests}
    print(json.dumps(_PROBES[sys.argv[1]](Path(sys.argv[2]), json.loads(sys.argv[3]))))
