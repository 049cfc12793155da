"""Chooses the next token from a row of logits: grammar, penalties, top_k, top_p, min_p, temperature, then a draw.

Sampling stays in C; Python only looks where a grammar or log-probabilities are asked for. Each draw is seeded by the
request's seed and the token's index, so a sequence that is resumed or preempted draws what it would have drawn.
Knows nothing of sequences or text.
"""

from __future__ import annotations

import ctypes
import math
import re
from array import array
from codecs import utf_8_decode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from the_edge_agent.errors import GrammarInvalid
from the_edge_agent.inference import SamplingParams
from the_edge_agent.llama.context import LlamaContext
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.owned import Handle, Owned

MAX_GRAMMAR_BYTES = 1_000_000
MAX_GRAMMAR_DEPTH = 200
PENALTY_WINDOW = 64
MAX_BANNED = 256
MIN_TEMPERATURE = 1e-6
_FIELDS_PER_TOKEN = 3  # llama_token_data: id, logit, p


@dataclass(frozen=True, slots=True)
class Draw:
    """A chosen token; ``logprob`` is 0 and ``top`` empty unless log-probabilities were asked for. ``top`` is
    (token, logprob), best first.
    """

    token: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


class Sampler(Handle):
    """The sampling state of one sequence. Close it, or use it in a ``with`` block."""

    __slots__ = ("__dict__",)

    def __init__(
        self,
        model: LlamaModel,
        params: SamplingParams,
        *,
        grammar: str = "",
        grammar_trigger: str = "",
        seed: int = 0,
    ) -> None:
        """``grammar`` is GBNF with the start rule ``root``; with ``grammar_trigger`` it binds only from that text on.
        ``seed`` decides the draws (``params.seed`` is the caller's wish; who draws one passes it here).

        Raises GrammarInvalid.
        """
        if grammar and params.ignore_eos:
            raise GrammarInvalid(
                "an answer that keeps to a grammar ends where the grammar does", fix="leave ignore_eos out"
            )
        lib = model.library.bindings
        owned = model.owned
        owned.lease()
        try:
            grammar_pointer = _create_grammar(lib, model, grammar, grammar_trigger) if grammar else None
            banned = model.vocab.end_tokens() if params.ignore_eos else []
            chain = _create_chain(lib, params, model.vocab.n_tokens, banned)
        except BaseException:
            owned.release()
            raise

        def free(address: Any) -> None:
            lib.llama_sampler_free(address)
            if grammar_pointer:
                lib.llama_sampler_free(grammar_pointer)
            owned.release()

        super().__init__(Owned("sampler", chain, free))
        self._lib = lib
        self._sample = lib.llama_sampler_sample
        self._model = model
        self._grammar = grammar_pointer
        self._logprobs = params.logprobs
        self._draws = _draws(params)
        self._seed = seed
        self._index = 0
        self._candidates: _Candidates | None = None
        self._partial = b""  # bytes of a character that isn't whole yet

    def sample(self, context: LlamaContext, row: int) -> Draw:
        """Choose and accept the token that follows an output row of the last batch.

        Raises GrammarInvalid if no token of the vocabulary can continue the grammar.
        """
        chain = self._owned.lease()
        try:
            if self._draws:
                self._reseed(chain)
            self._index += 1
            if self._grammar is None and self._logprobs is None:
                return Draw(context.sample_with(self._sample, chain, row))
            return self._sample_watched(chain, context, row)
        finally:
            self._owned.release()

    def accept(self, tokens: Iterable[int]) -> None:
        """Take tokens as if they had been sampled: penalties, grammar and draws go on behind them.

        Raises GrammarInvalid if the grammar doesn't allow them.
        """
        with self._use() as chain:
            for token in tokens:
                if self._grammar is not None:
                    if not self._allows(token):
                        raise GrammarInvalid(
                            f"the grammar doesn't allow token {token} here", fix="resume without it"
                        )
                    self._accept_grammar(token)
                self._lib.llama_sampler_accept(chain, token)
                self._index += 1

    def _reseed(self, chain: Any) -> None:
        lib = self._lib
        last = lib.llama_sampler_chain_n(chain) - 1
        lib.llama_sampler_free(lib.llama_sampler_chain_remove(chain, last))
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(mix_seed(self._seed, self._index)))

    def _sample_watched(self, chain: Any, context: LlamaContext, row: int) -> Draw:
        """The same choice with the candidates in our hands. The grammar first judges only the token that was chosen
        freely; it looks at the whole vocabulary when that one is wrong, which is seldom.
        """
        candidates = self._candidates
        if candidates is None:
            candidates = self._candidates = _Candidates(self._lib, self._model.vocab.n_tokens)
        logits = context.logits(row)
        token = candidates.fill(logits).choose(chain)
        if self._grammar is not None:
            token = self._keep_to_grammar(chain, candidates, logits, token)
            self._accept_grammar(token)
        self._lib.llama_sampler_accept(chain, token)
        if self._logprobs is None:
            return Draw(token)
        return candidates.fill(logits).explain(token, self._logprobs)

    def _keep_to_grammar(
        self, chain: Any, candidates: _Candidates, logits: memoryview[float], token: int
    ) -> int:
        """The token, or the one that the grammar and UTF-8 allow in its place."""
        banned: list[int] = []
        while not self._allows(token):
            if (banned and token == banned[-1]) or len(banned) == MAX_BANNED:
                raise GrammarInvalid(
                    "no token of this model's vocabulary continues the grammar",
                    fix="loosen the grammar or the schema",
                )
            banned.append(token)
            candidates.fill(logits, banned).apply(self._grammar)
            token = candidates.choose(chain)
        return token

    def _allows(self, token: int) -> bool:
        """Whether the token continues both the grammar and the text. libllama's grammars take bytes that are no UTF-8
        for characters; what people read would then not be what the grammar counted.
        """
        try:
            utf_8_decode(self._partial + self._model.vocab.piece(token), "strict", False)
        except UnicodeDecodeError:
            return False
        single = self._lib.llama_token_data(token, 1.0, 0.0)
        alone = self._lib.llama_token_data_array(ctypes.pointer(single), 1, -1, False)
        self._lib.llama_sampler_apply(self._grammar, ctypes.byref(alone))
        return not math.isinf(single.logit)

    def _accept_grammar(self, token: int) -> None:
        text = self._partial + self._model.vocab.piece(token)
        self._partial = text[utf_8_decode(text, "strict", False)[1] :]
        self._lib.llama_sampler_accept(self._grammar, token)


class _Candidates:
    """The array that samplers work on: one entry a token of the vocabulary, refilled for each use."""

    __slots__ = ("_address", "_array", "_buffer", "_lib", "_logit_view", "_size", "_template")

    def __init__(self, lib: Any, size: int) -> None:
        self._lib = lib
        self._size = size
        self._buffer = (lib.llama_token_data * size)()
        fields = memoryview(self._buffer).cast("B")
        fields.cast("i")[0::_FIELDS_PER_TOKEN] = memoryview(array("i", range(size)))
        self._address = ctypes.addressof(self._buffer)
        self._template = bytes(self._buffer)  # samplers reorder entries; this puts the IDs back
        self._logit_view = fields.cast("f")[1::_FIELDS_PER_TOKEN]
        self._array = lib.llama_token_data_array(
            ctypes.cast(self._buffer, lib.llama_token_data_p), size, -1, False
        )

    def fill(self, logits: memoryview[float], banned: Iterable[int] = ()) -> _Candidates:
        ctypes.memmove(self._address, self._template, len(self._template))
        self._logit_view[:] = logits
        for token in banned:
            self._buffer[token].logit = -math.inf
        self._array.data = ctypes.cast(self._buffer, self._lib.llama_token_data_p)
        self._array.size, self._array.selected, self._array.sorted = self._size, -1, False
        return self

    def apply(self, sampler: Any) -> None:
        self._lib.llama_sampler_apply(sampler, ctypes.byref(self._array))

    def choose(self, chain: Any) -> int:
        self.apply(chain)
        return self._array.data[self._array.selected].id

    def explain(self, token: int, n_top: int) -> Draw:
        """Log-probabilities under the unchanged distribution of the model, not under the sampling parameters."""
        lib = self._lib
        chosen = self._buffer[token].logit
        for make, argument in (
            (lib.llama_sampler_init_dist, 0),
            (lib.llama_sampler_init_top_k, max(n_top, 1)),
        ):
            sampler = make(argument)
            self.apply(sampler)
            lib.llama_sampler_free(sampler)
        best = self._array.data[0]
        # p is of the whole vocabulary; the best token's never underflows.
        norm = best.logit - math.log(best.p)
        entries = (self._array.data[index] for index in range(n_top))
        return Draw(token, chosen - norm, tuple((entry.id, entry.logit - norm) for entry in entries))


def mix_seed(seed: int, index: int) -> int:
    """A 32-bit seed for draw ``index``: splitmix64 over both."""
    z = (seed + 0x9E3779B97F4A7C15 * (index + 1)) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (z ^ (z >> 31)) & 0xFFFFFFFF


def _draws(params: SamplingParams) -> bool:
    """Whether there is anything to draw; logits over a smaller temperature are no longer numbers."""
    return params.temperature > MIN_TEMPERATURE


def _create_chain(lib: Any, params: SamplingParams, n_vocab: int, banned: list[int]) -> Any:
    options = lib.llama_sampler_chain_default_params()
    options.no_perf = True
    chain = lib.llama_sampler_chain_init(options)
    add = lib.llama_sampler_chain_add
    if banned:
        biases = (lib.llama_logit_bias * len(banned))(*((token, -math.inf) for token in banned))
        add(chain, lib.llama_sampler_init_logit_bias(n_vocab, len(banned), biases))
    penalties = (params.repeat_penalty, params.frequency_penalty, params.presence_penalty)
    if penalties != (1.0, 0.0, 0.0):
        add(chain, lib.llama_sampler_init_penalties(n_vocab, PENALTY_WINDOW, *penalties))
    if not _draws(params):
        add(chain, lib.llama_sampler_init_greedy())
        return chain
    if params.top_k > 0:
        add(chain, lib.llama_sampler_init_top_k(params.top_k))
    if params.top_p < 1.0:
        add(chain, lib.llama_sampler_init_top_p(params.top_p, 1))
    if params.min_p > 0.0:
        add(chain, lib.llama_sampler_init_min_p(params.min_p, 1))
    add(chain, lib.llama_sampler_init_temp(params.temperature))
    add(chain, lib.llama_sampler_init_dist(0))
    return chain


def _create_grammar(lib: Any, model: LlamaModel, grammar: str, trigger: str) -> Any:
    check_grammar(grammar)
    vocab = model.vocab.address()
    with model.library.said() as lines:
        if trigger:
            # The first group is where the grammar starts to read.
            pattern = f"[\\s\\S]*?({re.escape(trigger)}[\\s\\S]*)".encode()
            patterns = (ctypes.c_char_p * 1)(pattern)
            pointer = lib.llama_sampler_init_grammar_lazy_patterns(
                vocab, grammar.encode(), b"root", patterns, 1, None, 0
            )
        else:
            pointer = lib.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
    if not pointer:
        raise GrammarInvalid("; ".join(lines) or "libllama can't parse it", fix="check the GBNF text")
    return pointer


def check_grammar(grammar: str) -> None:
    """Refuse what would overflow libllama's recursive parser. Raises GrammarInvalid."""
    if "\0" in grammar or (not grammar.isprintable() and any(ord(char) < 9 for char in grammar)):
        raise GrammarInvalid("the grammar holds control characters", fix="escape them")
    if len(grammar) > MAX_GRAMMAR_BYTES:
        raise GrammarInvalid(
            f"the grammar has {len(grammar)} characters", fix=f"keep it under {MAX_GRAMMAR_BYTES}"
        )
    depth = deepest = 0
    for char in grammar:
        if char == "(":
            depth += 1
            deepest = max(deepest, depth)
        elif char == ")":
            depth -= 1
    if deepest > MAX_GRAMMAR_DEPTH:
        raise GrammarInvalid(f"the grammar nests {deepest} groups", fix=f"keep it under {MAX_GRAMMAR_DEPTH}")
