"""One request on its way through the generator: what is asked, and the text that grows out of it.

``Stream`` turns tokens into text (whole characters, stop strings held back), decides when it is complete, and hands
pieces to its sink. It knows nothing of scheduling, batches or sequences of other requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from the_edge_agent.inference import FinishReason, SamplingParams, Timings, TokenLogprob, Usage
from the_edge_agent.llama.drafts import Drafts
from the_edge_agent.llama.images import PlacedImage
from the_edge_agent.llama.sampler import Draw, Sampler
from the_edge_agent.llama.scheduler import Work
from the_edge_agent.llama.shown_text import ShownText
from the_edge_agent.llama.vocab import Vocab

#: Pieces are handed over at once when slow, gathered up to this long when fast.
FLUSH_S = 0.004


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Tokens to continue, and how. ``resume_ids`` were emitted before and are prefilled behind the prompt; their text
    is not sent again. ``grammar`` is GBNF; with ``grammar_trigger`` it binds from that text on. ``show_special`` spells
    control tokens out, for tool calls that are made of them. ``deadline`` is on time.monotonic's clock.
    ``images`` stand where ``prompt_ids`` holds their placeholders; the last one of these is a token.
    """

    prompt_ids: tuple[int, ...]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    grammar: str = ""
    grammar_trigger: str = ""
    resume_ids: tuple[int, ...] = ()
    show_special: bool = False
    deadline: float | None = None
    images: tuple[PlacedImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Text and the tokens since the last piece."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The end: why, and what it took."""

    finish_reason: FinishReason
    usage: Usage
    timings: Timings


@dataclass(frozen=True, slots=True)
class Failed:
    """The end by an error."""

    error: Exception


Event: TypeAlias = Piece | Finished | Failed
#: Called on the generator's thread; must not block and must not raise.
Sink: TypeAlias = Callable[[Event], None]


class Stream:
    """A request being answered. All methods run on the generator's thread."""

    __slots__ = (
        "_last_flush", "_logprobs", "_max_tokens", "_n_ctx", "_shown", "_sink", "_texts", "_token_ids",
        "_vocab", "admitted_at", "drafts", "emitted", "first_token_at", "request", "sampler", "submitted_at", "work",
    )  # fmt: skip

    def __init__(
        self,
        request: GenerationRequest,
        work: Work,
        sampler: Sampler,
        vocab: Vocab,
        sink: Sink,
        *,
        n_ctx: int,
        now: float,
        drafts: Drafts | None = None,
    ) -> None:
        self.request = request
        self.drafts = drafts
        self.work = work
        self.sampler = sampler
        self.submitted_at = now
        self.admitted_at = 0.0
        self.first_token_at = 0.0
        self.emitted = len(request.resume_ids)
        self._max_tokens = request.sampling.max_tokens
        self._n_ctx = n_ctx
        self._sink = sink
        self._vocab = vocab
        self._shown = ShownText(
            vocab, request.sampling.stop, request.resume_ids, show_special=request.show_special
        )
        self._texts: list[str] = []
        self._token_ids: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._last_flush = 0.0

    @property
    def room(self) -> int:
        """Tokens that may still come, by the context and by ``max_tokens``."""
        room = self._n_ctx - len(self.request.prompt_ids) - self.emitted
        return room if self._max_tokens is None else min(room, self._max_tokens - self.emitted)

    @property
    def complete(self) -> FinishReason | None:
        """Why nothing may follow what was emitted already, or None."""
        if self._shown.stopped:
            return "stop"
        return "length" if self.room <= 0 else None

    @staticmethod
    def refuse(sink: Sink, error: Exception) -> None:
        """Answer a request that never became a stream."""
        sink(Failed(error))

    def take(self, draw: Draw, now: float) -> FinishReason | None:
        """Take a sampled token; says why the stream is complete, or None."""
        token = draw.token
        if not self.first_token_at:
            self.first_token_at = now
        if self._vocab.is_end(token):
            return "stop"
        self.emitted += 1
        text = self._shown.push(token)
        self._token_ids.append(token)
        if text:
            self._texts.append(text)
        if self.request.sampling.logprobs is not None:
            self._logprobs.append(self._describe(draw))
        reason = self.complete
        if reason is None and now - self._last_flush >= FLUSH_S:
            self.flush(now)
        return reason

    def flush(self, now: float) -> None:
        """Hand over what has gathered."""
        self._last_flush = now
        if self._token_ids or self._texts:
            piece = Piece("".join(self._texts), tuple(self._token_ids), tuple(self._logprobs))
            self._texts.clear()
            self._token_ids.clear()
            self._logprobs.clear()
            self._sink(piece)

    def finish(self, reason: FinishReason, now: float) -> None:
        """Send the rest and the end."""
        rest = self._shown.finish()
        if rest:
            self._texts.append(rest)
        self.flush(now)
        admitted = self.admitted_at or now
        first = self.first_token_at or now
        usage = Usage(
            len(self.request.prompt_ids), self.emitted, min(self.work.cached, len(self.request.prompt_ids))
        )
        timings = Timings(admitted - self.submitted_at, first - admitted, now - first)
        self._sink(Finished(reason, usage, timings))

    def fail(self, error: Exception, now: float) -> None:
        """Send what is there and the error."""
        self.flush(now)
        self._sink(Failed(error))

    def _describe(self, draw: Draw) -> TokenLogprob:
        text = self._vocab.token_text
        return TokenLogprob(
            text(draw.token), draw.logprob, tuple((text(token), value) for token, value in draw.top)
        )
