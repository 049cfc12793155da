"""A smaller model that guesses for a larger one: greedy, a few tokens at a time, on a small context of its own.

It follows up to ``N_FOLLOWED`` sequences. What it has read of a prompt is bounded a step, so that it never holds the
larger model up for long; until it has caught up it has no guess. Knows nothing of who judges the guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from the_edge_agent.errors import DecodeFailed, ModelLoadFailed, UnsupportedFeature, UseAfterClose
from the_edge_agent.inference import SamplingParams
from the_edge_agent.llama.batch import LlamaBatch
from the_edge_agent.llama.context import LlamaContext
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.params import ContextParams
from the_edge_agent.llama.prefix import common_prefix
from the_edge_agent.llama.sampler import Sampler
from the_edge_agent.llama.vocab import Vocab

#: Drafts fill rows that would be idle; with more sequences than this there are none.
N_FOLLOWED = 2
#: Prompt tokens that are read a step.
CATCH_UP = 128
#: Padding at a vocabulary's end differs between sizes of one family.
MOST_PADDING = 256


@dataclass(slots=True)
class _Slot:
    """A sequence of the draft's context: what it holds, for whom, and when that was last asked for."""

    number: int
    tokens: list[int] = field(default_factory=list[int])
    key: int = -1
    used: int = 0


class DraftModel:
    """The smaller model at work. One thread; close it."""

    def __init__(self, model: LlamaModel, params: ContextParams) -> None:
        """``params.n_ctx`` cells serve all sequences that are followed. Raises OutOfMemory, UnsupportedFeature,
        UsageError, UseAfterClose.
        """
        if model.is_recurrent or not model.has_decoder:
            raise UnsupportedFeature(
                "this model can't take a guess back, so it can't draft",
                place=str(model.path),
                fix="take a draft model of an ordinary transformer",
            )
        self._vocab = model.vocab
        self._context = LlamaContext(model, params)
        self._batch = LlamaBatch(model.library.bindings, self._context.n_batch)
        try:
            self._sampler = Sampler(model, SamplingParams())
        except BaseException:
            self._context.close()
            raise
        self._slots = [_Slot(number) for number in range(min(N_FOLLOWED, self._context.n_seq_max))]
        self._clock = 0

    def guess(self, key: int, tokens: Sequence[int], length: int) -> list[int]:
        """Up to ``length`` tokens that may follow; ``key`` names the sequence from call to call."""
        slot = self._slot_of(key)
        try:
            if not self._read(slot, tokens):
                return []
            return self._continue(slot, length)
        except DecodeFailed:  # no room, or worse: a guess is not worth an error
            self._cut(slot, 0)
        except UseAfterClose:  # its model was closed
            pass
        return []

    def close(self) -> None:
        """Free the context. Safe to call twice."""
        self._sampler.close()
        self._context.close()

    def _slot_of(self, key: int) -> _Slot:
        found = next((slot for slot in self._slots if slot.key == key), None)
        slot = found or min(self._slots, key=lambda slot: slot.used)
        self._clock += 1
        slot.key, slot.used = key, self._clock
        return slot

    def _cut(self, slot: _Slot, length: int) -> None:
        if len(slot.tokens) > length:
            del slot.tokens[length:]
            self._context.remove_sequence(slot.number, length)

    def _read(self, slot: _Slot, tokens: Sequence[int]) -> bool:
        """Bring the slot to ``tokens``, the last one included; False while there is more than fits a step."""
        self._cut(slot, common_prefix(slot.tokens, tokens, len(tokens) - 1))
        done = len(slot.tokens)
        end = min(len(tokens), done + min(CATCH_UP, self._batch.capacity))
        self._feed(slot, list(tokens[done:end]), n_outputs=int(end == len(tokens)))
        return end == len(tokens)

    def _continue(self, slot: _Slot, length: int) -> list[int]:
        guesses: list[int] = []
        while True:
            token = self._sampler.sample(self._context, self._batch.size - 1).token
            if self._vocab.is_end(token):
                return guesses
            guesses.append(token)
            if len(guesses) == length:
                return guesses
            self._feed(slot, [token], n_outputs=1)

    def _feed(self, slot: _Slot, tokens: list[int], *, n_outputs: int) -> None:
        self._batch.clear()
        self._batch.extend(tokens, len(slot.tokens), slot.number, n_outputs=n_outputs)
        self._context.decode(self._batch)
        slot.tokens.extend(tokens)


class ModelDrafts:
    """The smaller model as a source of drafts for the sequence ``key`` of a model with ``n_vocab`` tokens."""

    __slots__ = ("_key", "_model", "_n_vocab")

    def __init__(self, model: DraftModel, key: int, n_vocab: int) -> None:
        self._model = model
        self._key = key
        self._n_vocab = n_vocab

    def draft(self, tokens: Sequence[int], length: int) -> list[int]:
        """Tokens that may follow; empty until the smaller model has read what there is."""
        guesses = self._model.guess(self._key, tokens, length)
        known = next((place for place, token in enumerate(guesses) if token >= self._n_vocab), len(guesses))
        return guesses[:known]


def check_same_vocabulary(model: Vocab, draft: Vocab, path: Path) -> None:
    """Raise ModelLoadFailed unless a draft's tokens mean what the model's mean; padding at the end may differ."""
    sizes = sorted((model.n_tokens, draft.n_tokens))
    different = model.first_difference(draft)
    if sizes[1] - sizes[0] > MOST_PADDING:
        reason = f"it has {draft.n_tokens} tokens, the model {model.n_tokens}"
    elif different is not None:
        reason = f"token {different} is {draft.raw_text(different)!r}, the model's is {model.raw_text(different)!r}"
    else:
        return
    raise ModelLoadFailed(
        f"the draft model has another vocabulary: {reason}",
        place=str(path),
        fix="take a draft model of the same family",
    )
