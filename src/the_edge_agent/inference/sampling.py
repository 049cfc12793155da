"""How the next token is chosen, as one validated frozen value. Knows nothing of libllama's sampler chain."""

from __future__ import annotations

from dataclasses import dataclass

from the_edge_agent.errors import ActionParamsInvalid

MAX_TOKENS_LIMIT = 1_000_000
MAX_STOP_STRINGS = 64


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """OpenAI's and llama.cpp's field names. ``temperature`` 0 is greedy; ``seed`` None draws one.

    ``max_tokens`` None means "until the context is full". Raises ActionParamsInvalid for NaN, negative or absurd
    values, naming the field.
    """

    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logprobs: int | None = None
    """How many alternatives to report a token (0-20); None reports nothing."""
    ignore_eos: bool = False
    """Go on where the model would end, until ``max_tokens`` or the context ends it; for measurements."""

    def __post_init__(self) -> None:
        if self.max_tokens is not None:
            _check("max_tokens", self.max_tokens, 1, MAX_TOKENS_LIMIT)
        _check("temperature", self.temperature, 0.0, 100.0)
        _check("top_p", self.top_p, 0.0, 1.0)
        _check("top_k", self.top_k, 0, 1_000_000)
        _check("min_p", self.min_p, 0.0, 1.0)
        _check("repeat_penalty", self.repeat_penalty, 0.01, 100.0)
        _check("frequency_penalty", self.frequency_penalty, -100.0, 100.0)
        _check("presence_penalty", self.presence_penalty, -100.0, 100.0)
        if self.seed is not None:
            _check("seed", self.seed, 0, 2**32 - 1)
        if self.logprobs is not None:
            _check("logprobs", self.logprobs, 0, 20)
        if self.ignore_eos not in (True, False):
            raise ActionParamsInvalid(f"ignore_eos is {self.ignore_eos}", fix="give true or false")
        if len(self.stop) > MAX_STOP_STRINGS or any(not text for text in self.stop):
            raise ActionParamsInvalid(
                "stop must be up to 64 strings, none of them empty",
                fix="remove the empty or surplus stop strings",
            )


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # a NaN is nowhere between them
        raise ActionParamsInvalid(f"{name} is {value}", fix=f"give a number from {low:g} to {high:g}")
