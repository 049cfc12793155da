"""Sampling parameters are checked when they are made: nothing negative, absurd or NaN goes further."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, sampled_from

from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.inference import SamplingParams

NUMBERS = [field.name for field in fields(SamplingParams) if field.name != "stop"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1e9, 1e30, 2**80])
def test_absurd_values_are_refused_by_name(name, value):
    with pytest.raises(ActionParamsInvalid, match=name):
        SamplingParams(**{name: value})


@given(sampled_from(NUMBERS), floats() | integers())
def test_any_number_is_taken_within_bounds_or_refused(name, value):
    try:
        taken = getattr(SamplingParams(**{name: value}), name)
    except ActionParamsInvalid:
        return
    assert math.isfinite(taken)
    assert abs(taken) < 2**33


@pytest.mark.parametrize("stop", [("",), tuple("x" for _ in range(65))])
def test_stop_strings_are_bounded_and_never_empty(stop):
    with pytest.raises(ActionParamsInvalid, match="stop"):
        SamplingParams(stop=stop)
