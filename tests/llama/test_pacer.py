"""Streams keep their pace beside a long prompt; nothing waits where nobody is hurt. Time is simulated."""

from __future__ import annotations

import pytest

from the_edge_agent.llama.pacer import BURST_S, MAX_STEP_S, MIN_CHUNK, Pacer


def simulate(pacer: Pacer, *, prompt: int, token_s: float, decode_s: float) -> tuple[float, float]:
    """Feed a prompt beside a running stream. Returns the time until it is in, and the stream's share of its pace."""
    elapsed, decoded, steps = 0.0, 0, 0
    while prompt > 0:
        steps += 1
        assert steps < 1_000_000
        chunk = min(prompt, pacer.budget(n_decoding=1, n_pending=prompt))
        seconds = decode_s + chunk * token_s
        pacer.observe(n_prompt=chunk, n_decoded=1, seconds=seconds)
        prompt -= chunk
        elapsed += seconds
        decoded += 1
    return elapsed, decoded * decode_s / elapsed


@pytest.mark.parametrize(
    ("token_s", "decode_s"), [(0.0075, 0.018), (0.0001, 0.0005), (0.05, 0.12), (0.002, 0.03)]
)
def test_a_stream_keeps_four_fifths_of_its_pace_beside_a_prompt_of_4000_tokens(token_s, decode_s):
    pacer = Pacer(512)
    for _ in range(20):
        pacer.observe(n_prompt=0, n_decoded=1, seconds=decode_s)
    _, pace = simulate(pacer, prompt=4000, token_s=token_s, decode_s=decode_s)
    assert 0.8 <= pace <= 0.9


def test_a_short_prompt_may_take_half_of_the_time():
    pacer = Pacer(512)
    for _ in range(50):
        pacer.observe(n_prompt=0, n_decoded=1, seconds=0.01)
    elapsed, pace = simulate(pacer, prompt=200, token_s=0.002, decode_s=0.01)
    assert elapsed < 2.5 * 200 * 0.002
    assert pace > 0.4


def test_with_nobody_decoding_a_chunk_takes_as_long_as_a_step_may():
    pacer = Pacer(4096)
    pacer.observe(n_prompt=64, n_decoded=0, seconds=0.064)
    assert pacer.budget(n_decoding=0, n_pending=4000) == pytest.approx(MAX_STEP_S / 0.001, abs=1)


def test_a_very_slow_model_still_makes_progress():
    pacer = Pacer(512)
    pacer.observe(n_prompt=16, n_decoded=0, seconds=16.0)
    assert pacer.budget(n_decoding=0, n_pending=4000) == MIN_CHUNK


def test_saved_time_is_bounded():
    pacer = Pacer(512)
    for _ in range(10_000):
        pacer.observe(n_prompt=0, n_decoded=1, seconds=1.0)
    assert pacer.credit_s == BURST_S
