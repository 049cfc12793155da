"""Embeddings beside generation: a second, small context on the same model, opened on first use.

Works in pieces, one batch a step, so that running streams wait no longer than that. Knows nothing of requests or of
text.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice

from the_edge_agent.errors import ContextLengthExceeded
from the_edge_agent.llama.batch import LlamaBatch
from the_edge_agent.llama.context import LlamaContext
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.params import ContextParams

#: Tokens of one text. Pooling needs a text in one pass, and the compute buffer grows with it.
MAX_TOKENS = 2_048
MAX_TEXTS = 16


@dataclass(slots=True)
class EmbedJob:
    """Token sequences to embed, and whom to tell: the vectors in order, or an error."""

    texts: list[list[int]]
    done: Callable[[list[tuple[float, ...]] | Exception], None]
    vectors: list[tuple[float, ...]] = field(default_factory=list[tuple[float, ...]])


class Embedder:
    """Jobs in order of arrival. One thread."""

    def __init__(self, model: LlamaModel, like: ContextParams) -> None:
        self._model = model
        self._like = like
        # Alone in its cache a text always gives the same vector, whatever else was asked for.
        self._n_texts = MAX_TEXTS if like.kv_unified else 1
        self._jobs: deque[EmbedJob] = deque()
        self._context: LlamaContext | None = None
        self._batch: LlamaBatch | None = None

    @property
    def idle(self) -> bool:
        """No job is waiting."""
        return not self._jobs

    def add(self, job: EmbedJob) -> None:
        """Queue a job; answers an empty one at once."""
        if job.texts:
            self._jobs.append(job)
        else:
            job.done([])

    def remove(self, job: EmbedJob) -> None:
        """Forget a job, however far it is."""
        self._jobs = deque(queued for queued in self._jobs if queued is not job)

    def step(self) -> None:
        """Embed one batch of the first job; tells it when it is complete or has failed."""
        job = self._jobs[0]
        try:
            job.vectors.extend(self._embed(self._next_texts(job)))
        except Exception as error:  # noqa: BLE001 - it is the job's answer
            self._jobs.popleft()
            job.done(error)
            return
        if len(job.vectors) == len(job.texts):
            self._jobs.popleft()
            job.done(job.vectors)

    def close(self, error: Exception) -> None:
        """Fail what is queued and free the context."""
        while self._jobs:
            self._jobs.popleft().done(error)
        if self._context is not None:
            self._context.close()

    def _next_texts(self, job: EmbedJob) -> list[list[int]]:
        chosen: list[list[int]] = []
        room = self._open().n_batch
        for text in islice(job.texts, len(job.vectors), None):
            if len(text) > self._open().n_batch:
                raise ContextLengthExceeded(
                    f"a text to embed has {len(text)} tokens, {self._open().n_batch} fit",
                    fix="split the text",
                    needed=len(text),
                    n_ctx=self._open().n_batch,
                )
            if len(text) > room or len(chosen) == self._n_texts:
                break
            chosen.append(text)
            room -= len(text)
        return chosen

    def _embed(self, texts: list[list[int]]) -> list[tuple[float, ...]]:
        context, batch = self._open(), self._batch
        assert batch is not None
        batch.clear()
        for sequence, ids in enumerate(texts):
            for position, token in enumerate(ids):
                batch.add(token, position, sequence, output=True)
        context.clear()
        if self._model.has_encoder and not self._model.has_decoder:
            context.encode(batch)
        else:
            context.decode(batch)
        return [normalize(context.embedding(sequence)) for sequence in range(len(texts))]

    def _open(self) -> LlamaContext:
        if self._context is None:
            size = min(MAX_TOKENS, self._model.n_ctx_train or MAX_TOKENS)
            params = replace(
                self._like,
                n_ctx=size,
                n_seq_max=self._n_texts,
                n_batch=size,
                n_ubatch=size,
                pooling="model"
                if self._model.metadata(f"{self._model.architecture}.pooling_type")
                else "mean",
                kv_type="f16",
                kv_unified=True,
            )
            self._context = LlamaContext(self._model, params)
            self._batch = LlamaBatch(self._model.library.bindings, self._context.n_batch)
        return self._context


def normalize(vector: tuple[float, ...]) -> tuple[float, ...]:
    """The vector at length 1; a zero vector stays as it is."""
    length = math.sqrt(math.fsum(value * value for value in vector))
    return tuple(value / length for value in vector) if length > 0 else vector
