"""Who the inference benchmarks compare with: a bare loop over llama.cpp's C API, llama-cpp-python, llama-server.

Each answers the same questions: seconds for so many tokens. Knows nothing of our own code but where the library is.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from the_edge_agent.llama.abi import library_path
from the_edge_agent.llama.bindings import load_bindings
from the_edge_agent.llama.library import LlamaLibrary


class BareLoop:
    """llama_decode and llama_sampler_sample with nothing around them: what the machine gives at best."""

    def __init__(
        self,
        path: Path,
        *,
        n_threads: int,
        n_ctx: int = 2048,
        flash: int = -1,
        mapped: bool = False,
        repack: bool = True,
    ) -> None:
        self._library = LlamaLibrary.acquire()
        lib = self.lib = self._library.bindings
        model_params = lib.llama_model_default_params()
        model_params.n_gpu_layers = 0
        model_params.load_mode = int(mapped)
        model_params.use_extra_bufts = repack
        self.model = lib.llama_model_load_from_file(str(path).encode(), model_params)
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, 512, 512
        params.n_threads = params.n_threads_batch = n_threads
        params.flash_attn_type = flash
        self.context = lib.llama_init_from_model(self.model, params)
        self.batch = lib.llama_batch_init(512, 0, 1)
        self.chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        lib.llama_sampler_chain_add(self.chain, lib.llama_sampler_init_greedy())

    def prefill(self, tokens: Sequence[int]) -> float:
        """Seconds for a prompt, on an empty cache."""
        lib = self.lib
        lib.llama_memory_clear(lib.llama_get_memory(self.context), False)
        started = time.perf_counter()
        for first in range(0, len(tokens), 512):
            self._rows(tokens[first : first + 512], first)
        lib.llama_synchronize(self.context)
        self.position = len(tokens)
        return time.perf_counter() - started

    def decode(self, n_tokens: int) -> float:
        """Seconds for ``n_tokens`` behind what was prefilled."""
        lib, batch, context, chain = self.lib, self.batch, self.context, self.chain
        sample, decode = lib.llama_sampler_sample, lib.llama_decode
        token = sample(chain, context, -1)
        started = time.perf_counter()
        for _ in range(n_tokens):
            batch.n_tokens = 1
            batch.token[0], batch.pos[0] = token, self.position
            batch.n_seq_id[0], batch.seq_id[0][0], batch.logits[0] = 1, 0, 1
            if decode(context, batch):
                raise RuntimeError("llama_decode failed")
            token = sample(chain, context, -1)
            self.position += 1
        return time.perf_counter() - started

    def _rows(self, tokens: Sequence[int], start: int) -> None:
        batch = self.batch
        batch.n_tokens = len(tokens)
        for row, token in enumerate(tokens):
            batch.token[row], batch.pos[row] = token, start + row
            batch.n_seq_id[row], batch.seq_id[row][0] = 1, 0
            batch.logits[row] = row == len(tokens) - 1
        if self.lib.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode failed")

    def close(self) -> None:
        """Free everything."""
        lib = self.lib
        lib.llama_sampler_free(self.chain)
        lib.llama_batch_free(self.batch)
        lib.llama_free(self.context)
        lib.llama_model_free(self.model)
        self._library.release()


class BareProcess:
    """A ``BareLoop`` in a process of its own: where two teams of OpenMP threads live in one process, both are slowed down.
    ``options`` are the loop's. Use it in a ``with`` block.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve_bare, args=(theirs, path, options), daemon=True)

    def rate(self, prompt: range, n_tokens: int) -> float:
        """Tokens a second behind a prompt."""
        self._pipe.send((prompt, n_tokens))
        return n_tokens / self._pipe.recv()

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.send(None)
        self._process.join(30)


def _serve_bare(pipe: Connection, path: Path, options: dict[str, Any]) -> None:
    loop = BareLoop(path, **options)
    while asked := pipe.recv():
        prompt, n_tokens = asked
        loop.prefill(prompt)
        pipe.send(loop.decode(n_tokens))
    loop.close()


def high_level_llama(path: Path, *, n_threads: int, n_ctx: int) -> Any:
    """llama-cpp-python's own ``Llama``."""
    folder = Path(library_path(load_bindings())).parent
    os.environ["LLAMA_CPP_LIB_PATH"] = str(folder)
    from llama_cpp import Llama

    return Llama(str(path), n_ctx=n_ctx, n_threads=n_threads, n_threads_batch=n_threads, verbose=False)


class LlamaServer:
    """A llama-server process on a free port; use it in a ``with`` block."""

    def __init__(self, path: Path, *, n_threads: int, slots: int, n_ctx: int) -> None:
        found = shutil.which(
            "llama-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )
        if found is None:
            raise RuntimeError(
                "llama-server is not built: .venv/bin/python packaging/llama/build.py server --into .venv"
            )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [found, "-m", str(path), "--host", "127.0.0.1", "--port", str(self.port), "-c", str(n_ctx), "-np", str(slots),
             "-kvu", "-t", str(n_threads), "-ngl", "0", "--cache-ram", "0", "--log-disable"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if self._get("/health") == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError("llama-server did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)

    def complete(self, prompts: Sequence[Sequence[int]], n_tokens: int, *, cache: bool = False) -> float:
        """Seconds until all prompts, sent at once, have their tokens."""
        threads = [
            threading.Thread(target=self._complete, args=(prompt, n_tokens, cache)) for prompt in prompts
        ]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started

    def _complete(self, prompt: Sequence[int], n_tokens: int, cache: bool) -> None:
        body = {
            "prompt": list(prompt),
            "n_predict": n_tokens,
            "ignore_eos": True,
            "cache_prompt": cache,
            "temperature": 0,
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        if answer["tokens_predicted"] != n_tokens:
            raise RuntimeError(f"llama-server answered {answer['tokens_predicted']} of {n_tokens} tokens")

    def _get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().status
