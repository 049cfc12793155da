"""The generator's thread: plan → decode → sample → emit, step by step, over one context.

Everything in here runs on that one thread, so nothing needs a lock but the inbox it takes its tasks from. Who is fed is
the scheduler's decision, how much the pacer's. It knows nothing of who asks or of where events go.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeAlias

from the_edge_agent.errors import BackendTimeout, DecodeFailed, UseAfterClose
from the_edge_agent.inference import FinishReason
from the_edge_agent.llama.batch import LlamaBatch, RowBatch
from the_edge_agent.llama.context import KvCacheFull, LlamaContext
from the_edge_agent.llama.draft_model import N_FOLLOWED, DraftModel, ModelDrafts
from the_edge_agent.llama.drafts import Drafts
from the_edge_agent.llama.embedder import Embedder, EmbedJob
from the_edge_agent.llama.images import image_at
from the_edge_agent.llama.inbox import Inbox
from the_edge_agent.llama.lookup import PromptLookup
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.pacer import Pacer
from the_edge_agent.llama.sampler import Sampler
from the_edge_agent.llama.scheduler import CopyPrefix, Scheduler, Span, Step, Work
from the_edge_agent.llama.stream import GenerationRequest, Sink, Stream

logger = logging.getLogger("the_edge_agent.llama.generator")

Task: TypeAlias = Callable[["Loop"], None]


class Loop:
    """The generator's thread: the only one that touches the context."""

    def __init__(
        self,
        inbox: Inbox[Task],
        model: LlamaModel,
        context: LlamaContext,
        *,
        n_ctx_seq: int | None,
        cache_cells: int,
        share: float,
        draft_tokens: int,
        draft_model: DraftModel | None,
    ) -> None:
        self.n_ctx = min(n_ctx_seq or context.n_ctx, context.n_ctx_seq)
        self._inbox = inbox
        self._model = model
        self._context = context
        self._batch = LlamaBatch(model.library.bindings, context.n_batch)
        self._scheduler = Scheduler(
            n_slots=context.n_seq_max,
            n_cells=context.n_ctx,
            n_batch=context.n_batch,
            cache_cells=cache_cells,
            can_share=not model.is_recurrent,
            unified=context.params.kv_unified,
        )
        self._pacer = Pacer(context.n_batch, share)
        self._embedder = Embedder(model, context.params)
        self._draft_tokens = 0 if model.is_recurrent else draft_tokens
        self._draft_model = draft_model
        self._streams: dict[int, Stream] = {}
        self._earliest_deadline = float("inf")
        self._n_full = 0
        """Decodes in a row that found no room."""

    # --- tasks from the inbox --------------------------------------------------------------------------------------

    def add(self, request_id: int, request: GenerationRequest, sink: Sink, submitted_at: float) -> None:
        """Start a stream, or fail it."""
        work = Work(request_id, [*request.prompt_ids, *request.resume_ids], images=request.images)
        try:
            sampler = Sampler(
                self._model,
                request.sampling,
                grammar=request.grammar,
                grammar_trigger=request.grammar_trigger,
                seed=request.sampling.seed or 0,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's answer
            Stream.refuse(sink, error)
            return
        drafts = self._sources(request_id) if self._draft_tokens and not request.images else None
        stream = Stream(
            request, work, sampler, self._model.vocab, sink, n_ctx=self.n_ctx, now=submitted_at, drafts=drafts
        )
        try:
            sampler.accept(request.resume_ids)
        except Exception as error:  # noqa: BLE001 - as above
            self._end(stream, error)
            return
        reason = stream.complete
        if reason is not None:  # what was emitted before is all there is to be
            stream.finish(reason, time.monotonic())
            sampler.close()
            return
        self._streams[request_id] = stream
        self._scheduler.add(work)
        if request.deadline is not None:
            self._earliest_deadline = min(self._earliest_deadline, request.deadline)

    def cancel(self, request_id: int) -> None:
        """End a stream and free its cells."""
        stream = self._streams.pop(request_id, None)
        if stream is not None:
            self._scheduler.remove(stream.work)
            stream.finish("cancelled", time.monotonic())
            stream.sampler.close()

    def embed(self, job: EmbedJob) -> None:
        """Queue texts to embed."""
        self._embedder.add(job)

    def give_up(self, job: EmbedJob) -> None:
        """Embed no more of a job that nobody waits for."""
        self._embedder.remove(job)

    # --- the loop --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Step until closed. Whatever fails ends the requests it concerns, never the thread."""
        try:
            while not self._inbox.closed:
                idle = self._scheduler.idle and self._embedder.idle
                for task in self._inbox.take(wait=idle):
                    task(self)
                self._expire(time.monotonic())
                if not self._scheduler.idle:
                    self._step()
                if not self._embedder.idle:
                    self._embedder.step()
        except Exception as error:
            logger.exception("the generator's thread ended")
            self._inbox.close()
            self._fail_all(DecodeFailed(f"the generator ended: {error}", fix="open the model again"))
        finally:
            closed = UseAfterClose("the generator was closed", fix="open a new one")
            for task in self._inbox.take(wait=False):  # what came in too late is answered, too
                task(self)
            self._fail_all(closed)
            self._embedder.close(closed)
            if self._draft_model is not None:
                self._draft_model.close()
            self._context.close()

    def _step(self) -> None:
        scheduler = self._scheduler
        scheduler.admit()
        budget = self._pacer.budget(n_decoding=scheduler.n_decoding, prompts=scheduler.pending_prompts)
        step = scheduler.plan(budget)
        self._apply(step)
        if not step.spans:
            return
        started = time.monotonic()
        rows = self._fill(step, started)
        fed: list[Span] = []
        try:
            self._feed_images(step, fed)
            if self._batch.size:
                self._context.decode(self._batch)
        except KvCacheFull as error:
            logger.info("no room for %d tokens in the KV cache; making some", step.n_tokens)
            for span in fed:
                self._context.remove_sequence(span.work.slot, span.start)
            self._n_full += 1
            if self._n_full > self._context.n_seq_max + 1:  # whatever was given back, it didn't help
                self._fail_step(step, error)
            else:
                scheduler.give_back(step)
            return
        except DecodeFailed as error:
            self._fail_step(step, error)
            return
        self._n_full = 0
        scheduler.commit(step)
        n_decoded = self._sample(rows, time.monotonic())
        now = time.monotonic()
        n_prompt = step.n_tokens - n_decoded
        self._pacer.observe(n_prompt=n_prompt, n_decoded=n_decoded, seconds=now - started)

    def _apply(self, step: Step) -> None:
        for operation in step.operations:
            if isinstance(operation, CopyPrefix):
                self._context.copy_sequence(operation.source, operation.target, operation.length)
            else:
                self._context.remove_sequence(operation.slot, operation.length)

    def _fill(self, step: Step, now: float) -> list[tuple[Stream, int]]:
        """Write the batch; returns the streams that can sample, with the row of their first logits."""
        batch = self._batch
        batch.clear()
        rows: list[tuple[Stream, int]] = []
        for span in step.spans:
            work = span.work
            stream = self._streams[work.id]
            if not stream.admitted_at:
                stream.admitted_at = now
            if work.images and image_at(work.images, span.start):
                continue
            if span.completes:
                rows.append((stream, batch.size + span.count - work.n_outputs))
            end = span.start + span.count
            if span.count == 1:
                batch.add(work.tokens[span.start], span.start, work.slot, output=span.completes)
            else:
                n_outputs = work.n_outputs if span.completes else 0
                batch.extend(work.tokens[span.start : end], span.start, work.slot, n_outputs=n_outputs)
        return rows

    def _feed_images(self, step: Step, fed: list[Span]) -> None:
        """Decode the rows of images, each span by itself; ``fed`` grows by what is in the KV cache now."""
        for span in step.spans:
            placed = image_at(span.work.images, span.start) if span.work.images else None
            if placed is None:
                continue
            rows = placed.rows_of(span.start, span.count)
            batch = RowBatch(self._model.library.bindings, rows, span.count, span.start, span.work.slot)
            self._context.decode_rows(batch, whole=placed.image.whole)
            fed.append(span)

    def _sample(self, rows: list[tuple[Stream, int]], now: float) -> int:
        """Choose the next tokens of each; returns how many rows were no prompt."""
        n_decoded = 0
        for stream, row in rows:
            if stream.first_token_at:
                n_decoded += stream.work.n_outputs
            try:
                reason = self._advance(stream, row, now)
            except Exception as error:  # noqa: BLE001 - one request's failure is its own
                self._drop(stream, error)
                continue
            if reason is None:
                if stream.drafts is not None and len(rows) <= N_FOLLOWED:
                    self._draft(stream, stream.drafts)
            else:
                del self._streams[stream.work.id]
                self._scheduler.finish(stream.work)
                stream.finish(reason, now)
                stream.sampler.close()
        return n_decoded

    def _advance(self, stream: Stream, row: int, now: float) -> FinishReason | None:
        """Sample behind the last token, and on behind each draft that turns out right; drops the others."""
        work = stream.work
        n_drafts = work.n_outputs - 1
        base = len(work.tokens) - n_drafts
        hits = 0
        while True:
            draw = stream.sampler.sample(self._context, row + hits)
            reason = stream.take(draw, now)
            if reason is not None or hits == n_drafts or draw.token != work.tokens[base + hits]:
                break
            hits += 1
        if n_drafts:
            self._scheduler.cut(work, base + hits)
            work.n_outputs = 1
            if stream.drafts is not None:
                stream.drafts.learn(n_drafts, hits)
        if reason is None:
            work.tokens.append(draw.token)
        return reason

    def _sources(self, request_id: int) -> Drafts:
        if self._draft_model is None:
            return Drafts(self._draft_tokens, PromptLookup())
        model = ModelDrafts(self._draft_model, request_id, self._model.vocab.n_tokens)
        return Drafts(self._draft_tokens, PromptLookup(), model)

    def _draft(self, stream: Stream, drafts: Drafts) -> None:
        work = stream.work
        found = drafts.draft(work.tokens, stream.room - 1)
        work.tokens.extend(found)
        work.n_outputs = 1 + len(found)

    def _expire(self, now: float) -> None:
        if now < self._earliest_deadline:
            return
        self._earliest_deadline = float("inf")
        for stream in list(self._streams.values()):
            deadline = stream.request.deadline
            if deadline is None:
                continue
            if now >= deadline:
                self._drop(
                    stream,
                    BackendTimeout("the deadline passed", fix="allow more time or ask for fewer tokens"),
                )
            else:
                self._earliest_deadline = min(self._earliest_deadline, deadline)

    def _fail_step(self, step: Step, error: Exception) -> None:
        """A decode failed for good: what was in it can't be trusted any more."""
        for span in step.spans:
            self._drop(self._streams[span.work.id], error)
        self._scheduler.forget_cached()

    def _fail_all(self, error: Exception) -> None:
        for stream in list(self._streams.values()):
            self._drop(stream, error)

    def _drop(self, stream: Stream, error: Exception) -> None:
        self._streams.pop(stream.work.id, None)
        self._scheduler.remove(stream.work)
        self._end(stream, error)

    def _end(self, stream: Stream, error: Exception) -> None:
        stream.fail(error, time.monotonic())
        stream.sampler.close()
