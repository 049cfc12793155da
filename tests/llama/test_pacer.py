"""Streams keep their pace beside a long prompt; nothing waits where nobody is hurt. Time is simulated."""

from __future__ import annotations

import pytest

from the_edge_agent.llama.pacer import BURST_S, MAX_STEP_S, MIN_CHUNK, Pacer


def simulate(pacer: Pacer, *, prompt: int, token_s: float, decode_s: float) -> tuple[float, float]:
    """Feed a prompt beside a running stream. Returns the time until it is in, and the stream's share of its pace."""
    elapsed, decoded, steps, left = 0.0, 0, 0, prompt
    while left > 0:
        steps += 1
        assert steps < 1_000_000
        chunk = min(left, pacer.budget(n_decoding=1, prompts=(prompt,)))
        seconds = decode_s + chunk * token_s
        pacer.observe(n_prompt=chunk, n_decoded=1, seconds=seconds)
        left -= chunk
        elapsed += seconds
        decoded += 1
    return elapsed, decoded * decode_s / elapsed


def decoding(pacer: Pacer, decode_s: float, n_decoding: int = 1) -> Pacer:
    """The pacer after a while of streams without prompts."""
    for _ in range(50):
        pacer.budget(n_decoding=n_decoding, prompts=())
        pacer.observe(n_prompt=0, n_decoded=n_decoding, seconds=decode_s)
    return pacer


@pytest.mark.parametrize(
    ("token_s", "decode_s"), [(0.0075, 0.018), (0.0001, 0.0005), (0.05, 0.12), (0.002, 0.03)]
)
def test_a_stream_keeps_four_fifths_of_its_pace_beside_a_prompt_of_4000_tokens(token_s, decode_s):
    pacer = Pacer(512)
    for _ in range(20):
        pacer.observe(n_prompt=0, n_decoded=1, seconds=decode_s)
    _, pace = simulate(pacer, prompt=4000, token_s=token_s, decode_s=decode_s)
    assert 0.8 <= pace <= 0.9


def test_a_short_prompt_goes_in_whole_and_at_once():
    pacer = decoding(Pacer(512, token_s=0.001), 0.01)
    assert pacer.budget(n_decoding=1, prompts=(200,)) == 200


def test_a_stream_beside_short_prompts_without_end_keeps_half_of_its_pace():
    pacer = decoding(Pacer(512, token_s=0.002), 0.01)
    elapsed = decoded = 0.0
    for _ in range(1000):
        chunk = min(150, pacer.budget(n_decoding=1, prompts=(150, 150)))
        # two wait, one stream runs: two thirds are theirs
        seconds = 0.01 + chunk * 0.002
        pacer.observe(n_prompt=chunk, n_decoded=1, seconds=seconds)
        elapsed, decoded = elapsed + seconds, decoded + 0.01
    assert decoded / elapsed == pytest.approx(1 / 3, abs=0.03)


def test_of_many_prompts_that_come_at_once_the_last_does_not_wait_for_the_first_to_be_answered():
    pacer = decoding(Pacer(512, token_s=0.008), 0.02)
    waiting, elapsed = 7, 0.0
    while waiting:
        budget = pacer.budget(n_decoding=8 - waiting, prompts=(40,) * waiting)
        fed = min(waiting, budget // 40)
        seconds = 0.02 + fed * 40 * 0.008
        pacer.observe(n_prompt=fed * 40, n_decoded=8 - waiting, seconds=seconds)
        waiting, elapsed = waiting - fed, elapsed + seconds
    assert elapsed < 2 * 7 * 40 * 0.008


def test_a_prompt_whose_cells_slow_a_stream_down_takes_less_of_its_time():
    pacer = decoding(Pacer(512, token_s=0.008), 0.03)
    left, elapsed, decoded = 3000, 0.0, 0
    while left > 0:
        slow_s = 0.03 * (1 + 0.1 * (3000 - left) / 3000)
        chunk = min(left, pacer.budget(n_decoding=1, prompts=(3000,)))
        seconds = slow_s + chunk * 0.008
        pacer.observe(n_prompt=chunk, n_decoded=1, seconds=seconds)
        left, elapsed, decoded = left - chunk, elapsed + seconds, decoded + 1
    assert decoded * 0.03 / elapsed > 0.79


def test_a_prompt_does_not_pay_for_a_stream_that_slows_itself_down():
    pacer = decoding(Pacer(512, token_s=0.008), 0.02)
    left, elapsed, decoded = 1000, 0.0, 0
    while left > 0:
        slow_s = 0.02 * (1 + decoded / 8000)
        chunk = min(left, pacer.budget(n_decoding=1, prompts=(1000,)))
        seconds = slow_s + chunk * 0.008
        pacer.observe(n_prompt=chunk, n_decoded=1, seconds=seconds)
        left, elapsed, decoded = left - chunk, elapsed + seconds, decoded + 1
    assert 1000 * 0.008 / elapsed > 0.12


def test_with_nobody_decoding_a_chunk_takes_as_long_as_a_step_may():
    pacer = Pacer(4096)
    pacer.observe(n_prompt=64, n_decoded=0, seconds=0.064)
    assert pacer.budget(n_decoding=0, prompts=(4000,)) == pytest.approx(MAX_STEP_S / 0.001, abs=1)


def test_a_very_slow_model_still_makes_progress():
    pacer = Pacer(512)
    pacer.observe(n_prompt=16, n_decoded=0, seconds=16.0)
    assert pacer.budget(n_decoding=0, prompts=(4000,)) == MIN_CHUNK


def test_saved_time_is_bounded():
    pacer = Pacer(512)
    for _ in range(10_000):
        pacer.observe(n_prompt=0, n_decoded=1, seconds=1.0)
    assert pacer.credit_s == BURST_S
