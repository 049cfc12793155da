"""Run in a process of its own by test_leaks, under LeakSanitizer: everything opened, used and closed, again and again.

Takes the model's path, a number of rounds, and ``forget`` to leave one model behind on purpose.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from tests.llama.lifetimes import Things

from the_edge_agent.llama.library import LlamaLibrary
from the_edge_agent.llama.model import LlamaModel


def use_and_close(path: Path) -> None:
    things = Things(path)
    refused = things.use_all()
    assert refused == 0
    for name in ("generator", "sampler", "context", "model"):
        getattr(things, name).close()


def forget_a_model(path: Path) -> None:
    model = LlamaModel.load(path)
    model._finalizer.detach()
    model._owned._pointer = None


if __name__ == "__main__":
    for _ in range(int(sys.argv[2])):
        use_and_close(Path(sys.argv[1]))
    if "forget" in sys.argv:
        forget_a_model(Path(sys.argv[1]))
    else:
        assert LlamaLibrary.acquire().users == 1
    gc.collect()
    print("closed", flush=True)
