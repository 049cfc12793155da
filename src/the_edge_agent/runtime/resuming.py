"""One answer over as many workers as it takes: the ids that were emitted are kept, and the next worker goes on behind them.

At temperature 0 the text is that of an undisturbed run, no token lost or doubled. A worker that tells no ids (llama-server
under a grammar) is asked again from the start instead, and what was shown already is left out as long as it says the same.
What can't be taken up ends with one error and never with a made-up end. Knows nothing of queues: a ticket says which worker is
next.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from the_edge_agent.errors import BackendUnavailable
from the_edge_agent.inference import BackendInfo, ChatRequest, CompletionChunk, Timings, Usage
from the_edge_agent.runtime.deadline import Deadline
from the_edge_agent.runtime.ticket import Ticket
from the_edge_agent.runtime.worker_process import WorkerGone, WorkerProcess


class ResumingAnswer:
    """The stream of one request. ``on_tokens`` hears how many came, ``on_resume`` that a worker was lost."""

    def __init__(
        self,
        name: str,
        request: ChatRequest,
        *,
        on_tokens: Callable[[int], None],
        on_resume: Callable[[], None],
    ) -> None:
        self._name = name
        self._request = request
        self._on_tokens = on_tokens
        self._on_resume = on_resume
        self._emitted = list(request.resume_token_ids)
        self._can_resume = True
        self._shown: list[str] = []
        self._repeats = ""
        """What a worker that was asked again has yet to say a second time."""
        self._file_identity: object = None

    async def chunks(self, ticket: Ticket, deadline: Deadline) -> AsyncGenerator[CompletionChunk]:
        """The chunks, up to and including the last one. Raises what the ticket, the worker and the deadline raise."""
        while True:
            worker = await deadline.until(ticket.admission())
            self._check_file(worker)
            if self._was_all_said():
                prompt_tokens = await deadline.until(worker.count_tokens(self._request))
                yield _cut_off_chunk(worker.info, Usage(prompt_tokens, len(self._emitted)))
                return
            resumed = replace(self._request, model=self._name, resume_token_ids=tuple(self._emitted))
            try:
                async with aclosing(worker.chat(resumed)) as chunks:
                    while True:
                        chunk = self._noted(await deadline.until(anext(chunks)))
                        if chunk is None:
                            continue
                        yield chunk
                        if chunk.finish_reason is not None:
                            return
            except WorkerGone as gone:
                self._lose(gone)

    def _check_file(self, worker: WorkerProcess) -> None:
        if not self._shown:
            self._file_identity = worker.file_identity
        elif self._file_identity != worker.file_identity:
            raise BackendUnavailable(
                "the model's file was replaced in mid-answer",
                place=self._name,
                fix="ask again: the new file answers",
            )

    def _was_all_said(self) -> bool:
        """Whether the worker died between the last token and the word that it was the last."""
        limit = self._request.sampling.max_tokens
        return bool(self._shown) and self._can_resume and limit is not None and len(self._emitted) >= limit

    def _noted(self, chunk: CompletionChunk) -> CompletionChunk | None:
        """The chunk as the reader gets it: without what was shown before; None where nothing is left of it."""
        repeated = self._repeats[: len(chunk.text)]
        if not chunk.text.startswith(repeated) or (
            chunk.finish_reason and len(self._repeats) > len(repeated)
        ):
            raise self._lost_for_good("and the next one answers otherwise")
        if repeated:
            self._repeats = self._repeats[len(repeated) :]
            chunk = replace(chunk, text=chunk.text[len(repeated) :])
            if not chunk.text and chunk.finish_reason is None:
                return None
        self._emitted += chunk.token_ids
        self._can_resume = self._can_resume and (bool(chunk.token_ids) or not chunk.text)
        if chunk.text:
            self._shown.append(chunk.text)
        self._on_tokens(len(chunk.token_ids))
        return chunk

    def _lose(self, gone: WorkerGone) -> None:
        sampling = self._request.sampling
        if not self._can_resume and sampling.temperature > 0 and sampling.seed is None:
            raise self._lost_for_good(f"({gone.what}) and what it had said can't be taken up") from None
        self._on_resume()
        if not self._shown or not self._can_resume:  # begin again
            self._emitted = list(self._request.resume_token_ids)
            self._repeats = "".join(self._shown)

    def _lost_for_good(self, why: str) -> BackendUnavailable:
        return BackendUnavailable(
            f"the worker was lost in mid-answer {why}",
            place=self._name,
            fix="ask again; with a temperature, give a seed",
        )


def _cut_off_chunk(info: BackendInfo, usage: Usage) -> CompletionChunk:
    """The last chunk of an answer whose worker died between its last token and this."""
    return CompletionChunk(
        finish_reason="length",
        usage=usage,
        timings=Timings(),
        model=info.model,
        backend=info.backend,
        n_ctx=info.n_ctx,
    )
