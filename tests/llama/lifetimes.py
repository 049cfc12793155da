"""Run in a process of its own by test_lifetimes: every order of closing, several threads, exceptions, no close at all.

Prints one line a scenario; a crash ends the process and is seen by its exit code. Takes the model's path, a scenario
and a number of rounds.
"""

# ruff: noqa: TRY301 - exceptions in between are what is tried

from __future__ import annotations

import gc
import itertools
import random
import sys
import threading
from pathlib import Path

from the_edge_agent.errors import EdgeAgentError, UseAfterClose
from the_edge_agent.inference import SamplingParams
from the_edge_agent.llama.batch import LlamaBatch
from the_edge_agent.llama.context import LlamaContext
from the_edge_agent.llama.draft_model import DraftModel
from the_edge_agent.llama.generator import Generator
from the_edge_agent.llama.library import LlamaLibrary
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.params import ContextParams
from the_edge_agent.llama.sampler import Sampler
from the_edge_agent.llama.stream import GenerationRequest, Piece

PARAMS = ContextParams(n_ctx=256, n_seq_max=2, n_batch=64, n_ubatch=64, flash_attention=False)


class Things:
    """One of each, on a model of their own."""

    def __init__(self, path: Path) -> None:
        self.model = LlamaModel.load(path)
        self.context = LlamaContext(self.model, PARAMS)
        self.batch = LlamaBatch(self.model.library.bindings, 8)
        self.sampler = Sampler(
            self.model, SamplingParams(temperature=1.0), grammar="root ::= [a-z ]+", seed=1
        )
        self.generator = Generator(
            self.model, PARAMS, draft_tokens=4, draft_model=DraftModel(self.model, PARAMS)
        )

    def use_all(self) -> int:
        """Use everything that can be used; returns how many refused with the typed error."""
        refused = 0
        for use in (self._tokenize, self._decode, self._sample, self._accept, self._submit, self._embed):
            try:
                use()
            except UseAfterClose:
                refused += 1
            except EdgeAgentError as error:
                if type(error).__name__ not in ("DecodeFailed", "GrammarInvalid", "KvCacheFull"):
                    raise
        return refused

    def _tokenize(self) -> None:
        self.model.vocab.tokenize("some text")

    def _decode(self) -> None:
        self.context.clear()
        self.batch.clear()
        self.batch.extend([10, 11, 12], 0, 0, n_outputs=1)
        self.context.decode(self.batch)

    def _sample(self) -> None:
        self.sampler.sample(self.context, 2)

    def _accept(self) -> None:
        self.sampler.accept([])

    def _submit(self) -> None:
        request = GenerationRequest((10, 11, 12), SamplingParams(max_tokens=3))
        ended = threading.Event()
        self.generator.submit(request, lambda event: None if isinstance(event, Piece) else ended.set())
        if not ended.wait(30):
            raise AssertionError("a request was never ended")

    def _embed(self) -> None:
        ended = threading.Event()
        self.generator.embed([[10, 11]], lambda result: ended.set())
        if not ended.wait(30):
            raise AssertionError("an embedding was never ended")


def every_order(path: Path, rounds: int) -> None:
    orders = list(itertools.permutations(["model", "context", "sampler", "generator"]))
    for order in orders * rounds:
        things = Things(path)
        for name in order:
            getattr(things, name).close()
            things.use_all()
        refused = things.use_all()
        assert refused == 6, (order, refused)
        for name in order:
            getattr(things, name).close()
    assert LlamaLibrary.acquire().users == 1


def from_threads(path: Path, rounds: int) -> None:
    for seed in range(rounds):
        chance = random.Random(seed)
        things = Things(path)
        failures: list[BaseException] = []
        go = threading.Barrier(7)

        def work(
            things: Things = things, go: threading.Barrier = go, failures: list[BaseException] = failures
        ) -> None:
            try:
                go.wait()
                for _ in range(8):
                    things.model.vocab.tokenize("some text to tokenize")
                    things._submit()
            except UseAfterClose:
                pass
            except BaseException as error:
                failures.append(error)

        def decode(
            things: Things = things, go: threading.Barrier = go, failures: list[BaseException] = failures
        ) -> None:
            try:
                go.wait()
                for _ in range(20):
                    things._decode()
                    things._sample()
            except UseAfterClose:
                pass
            except BaseException as error:
                failures.append(error)

        names = ["model", "context", "sampler", "generator"]
        chance.shuffle(names)

        def close(name: str, things: Things = things, go: threading.Barrier = go) -> None:
            go.wait()
            getattr(things, name).close()

        threads = [threading.Thread(target=work), threading.Thread(target=decode)]
        threads += [threading.Thread(target=close, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        go.wait()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread hangs"
        assert not failures, failures
        assert things.use_all() == 6


def with_exceptions(path: Path, rounds: int) -> None:
    for _ in range(rounds):
        for depth in range(5):
            try:
                with LlamaModel.load(path) as model:
                    if depth == 0:
                        raise KeyboardInterrupt
                    with LlamaContext(model, PARAMS) as context:
                        if depth == 1:
                            raise ValueError
                        with Sampler(model, SamplingParams()), Generator(model, PARAMS) as generator:
                            generator.submit(GenerationRequest((10, 11)), lambda event: None)
                            if depth == 2:
                                raise ValueError
                            if depth == 3:
                                model.close()
                                raise RuntimeError
                            context.close()
                            raise KeyboardInterrupt
            except (KeyboardInterrupt, ValueError, RuntimeError):
                pass
    assert LlamaLibrary.acquire().users == 1


def never_closed(path: Path, rounds: int) -> None:
    """The garbage collector and the end of the process find everything open."""
    for _ in range(rounds):
        things = Things(path)
        things.use_all()
        things.cycle = things
        del things
        gc.collect()
    assert LlamaLibrary.acquire().users == 1
    left = Things(path)
    left.generator.submit(GenerationRequest((10, 11), grammar="root ::= [a-z ] root"), lambda event: None)
    globals()["left"] = left  # the process ends with a stream that runs


def in_sinks(path: Path, rounds: int) -> None:
    """A sink that closes everything, on the generator's own thread; and one that raises."""
    for _ in range(rounds):
        things = Things(path)
        ended = threading.Event()

        def close_all(event: object, things: Things = things, ended: threading.Event = ended) -> None:
            things.generator.close()
            things.model.close()
            things.context.close()
            if not isinstance(event, Piece):
                ended.set()

        things.generator.submit(GenerationRequest((10, 11), grammar="root ::= [a-z ] root"), close_all)
        assert ended.wait(30)
        things.sampler.close()
        assert things.use_all() == 6


SCENARIOS = {
    function.__name__: function
    for function in (every_order, from_threads, with_exceptions, never_closed, in_sinks)
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[2]](Path(sys.argv[1]), int(sys.argv[3]))
    print("survived", flush=True)
