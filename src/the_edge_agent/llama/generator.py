"""Continuous batching, seen from outside: many requests at once on one context, answered by a thread of its own.

Requests come in and events go out through plain calls; what happens between is ``llama.loop``. It knows nothing of chat
templates, of asyncio or of where events go.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from the_edge_agent.errors import ContextLengthExceeded, UnsupportedFeature
from the_edge_agent.llama.adapter import LlamaAdapter
from the_edge_agent.llama.context import LlamaContext
from the_edge_agent.llama.draft_model import N_FOLLOWED, DraftModel
from the_edge_agent.llama.embedder import EmbedJob
from the_edge_agent.llama.inbox import Inbox
from the_edge_agent.llama.loop import Loop, Task
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.params import ContextParams
from the_edge_agent.llama.stream import GenerationRequest, Sink

_CLOSE_TIMEOUT_S = 60.0


class Generator:
    """Answers many requests at once on one context. Close it, or use it in a ``with`` block; the model stays the
    caller's.
    """

    def __init__(
        self,
        model: LlamaModel,
        params: ContextParams,
        *,
        n_ctx_seq: int | None = None,
        cache_cells: int = 0,
        prefill_share: float = 0.16,
        draft_tokens: int = 0,
        draft_model: DraftModel | None = None,
        adapters: Sequence[tuple[LlamaAdapter, float]] = (),
    ) -> None:
        """``params.n_ctx`` cells are shared by all sequences; one may be ``n_ctx_seq`` long at most (default: all).
        ``draft_tokens`` above 0 turns on drafts, that many tokens at most: by prompt lookup, and by ``draft_model``,
        which is the generator's from now on.

        Raises OutOfMemory, UsageError, UseAfterClose.
        """
        self._inbox: Inbox[Task] = Inbox()
        self._ids = itertools.count(1)
        try:
            draft_tokens = most_drafted(params, draft_tokens)
            n_outputs = max(params.n_outputs, params.n_seq_max + N_FOLLOWED * draft_tokens)
            context = LlamaContext(model, replace(params, n_outputs=n_outputs), adapters)
        except BaseException:
            if draft_model is not None:
                draft_model.close()
            raise
        try:
            loop = Loop(
                self._inbox,
                model,
                context,
                n_ctx_seq=n_ctx_seq,
                cache_cells=cache_cells,
                share=prefill_share,
                draft_tokens=draft_tokens,
                draft_model=draft_model,
            )
            self.n_ctx = loop.n_ctx
            self._most_rows = params.n_ubatch
            self._thread = threading.Thread(target=loop.run, name="llama-generator", daemon=True)
            self._thread.start()
        except BaseException:
            context.close()
            if draft_model is not None:
                draft_model.close()
            raise
        # Also at interpreter exit: the thread must be out of C before Python goes away.
        self._finalizer = weakref.finalize(self, _stop, self._inbox, self._thread)

    def submit(self, request: GenerationRequest, sink: Sink) -> int:
        """Start answering; events go to ``sink`` on the generator's thread. Returns the ID for ``cancel``.

        Raises ContextLengthExceeded, UnsupportedFeature (an image that fits no pass), UseAfterClose at once; all later errors arrive as ``Failed``.
        """
        needed = len(request.prompt_ids) + len(request.resume_ids)
        if needed > self.n_ctx or len(request.prompt_ids) >= self.n_ctx:
            raise ContextLengthExceeded(
                f"the prompt has {needed} tokens, the context {self.n_ctx}",
                fix="shorten the prompt, raise n_ctx, or set on_overflow",
                needed=needed,
                n_ctx=self.n_ctx,
            )
        if not request.prompt_ids:
            raise ContextLengthExceeded(
                "the prompt has no tokens", fix="send some text", needed=0, n_ctx=self.n_ctx
            )
        for placed in request.images:
            if placed.image.whole and placed.image.count > self._most_rows:
                raise UnsupportedFeature(
                    f"this image takes {placed.image.count} rows in one pass, {self._most_rows} fit",
                    fix="raise n_batch, and leave deterministic off",
                )
        request_id = next(self._ids)
        submitted_at = time.monotonic()
        self._inbox.put(lambda loop: loop.add(request_id, request, sink, submitted_at))
        return request_id

    def cancel(self, request_id: int) -> None:
        """Stop a request within one step; its sink gets ``Finished("cancelled")``. Unknown IDs are ignored."""
        self._inbox.put(lambda loop: loop.cancel(request_id), late=True)

    def embed(
        self, texts: Sequence[Sequence[int]], done: Callable[[list[tuple[float, ...]] | Exception], None]
    ) -> Callable[[], None]:
        """Embed token sequences between steps; ``done`` is called on the generator's thread. Returns what gives the rest
        up: ``done`` may then never be called. Raises UseAfterClose.
        """
        job = EmbedJob([list(ids) for ids in texts], done)
        self._inbox.put(lambda loop: loop.embed(job))
        return lambda: self._inbox.put(lambda loop: loop.give_up(job), late=True)

    @property
    def closed(self) -> bool:
        """True once close was called."""
        return self._inbox.closed

    def close(self) -> None:
        """Fail what is running with UseAfterClose and free the context. Safe to call twice, from any thread."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def most_drafted(params: ContextParams, wished: int) -> int:
    """As many drafts a sequence as wished, but no more than leave every other sequence its row of a decode."""
    return max(0, min(wished, (params.n_batch - params.n_seq_max) // N_FOLLOWED))


def _stop(inbox: Inbox[Task], thread: threading.Thread) -> None:
    inbox.close()
    if thread is not threading.current_thread():
        thread.join(_CLOSE_TIMEOUT_S)
