"""Where images stand in a prompt, how they are fed, and what is refused without a projector or its library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, tuples
from tests.llama.conftest import TINY

from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.errors import ModelLoadFailed, UnsupportedFeature
from the_edge_agent.llama.images import ImageRows, PlacedImage, placeholders, run_length
from the_edge_agent.llama.library import LlamaLibrary
from the_edge_agent.llama.scheduler import Scheduler, Work


def placed(start: int, count: int, *, whole: bool = False, content: bytes = b"x") -> PlacedImage:
    return PlacedImage(start, ImageRows(count, bytes(4 * count), whole, placeholders(content, 0, count)))


# --- decisions ----------------------------------------------------------------------------------------------------


@given(lists(tuples(integers(1, 9), integers(1, 20), booleans()), min_size=1, max_size=4), integers(1, 16))
def test_a_prompt_with_images_is_fed_in_spans_that_never_mix(parts, budget):
    """Text, image, text, ...: every position is fed once, in order, and whole images in one piece."""
    tokens: list[int] = []
    images: list[PlacedImage] = []
    for number, (n_text, n_rows, whole) in enumerate(parts):
        tokens += range(1, n_text + 1)
        images.append(placed(len(tokens), n_rows, whole=whole, content=bytes([number])))
        tokens += images[-1].image.ids
    tokens.append(1)
    scheduler = Scheduler(n_slots=1, n_cells=512, n_batch=64)
    work = Work(1, tokens, images=tuple(images))
    scheduler.add(work)
    fed: list[tuple[int, int]] = []
    while work.pending:
        step = scheduler.plan(budget)
        assert step.spans
        fed += [(span.start, span.count) for span in step.spans]
        scheduler.commit(step)
    assert [start for start, _ in fed] == [
        sum(count for _, count in fed[:place]) for place in range(len(fed))
    ]
    for start, count in fed:
        kinds = {
            next((number for number, image in enumerate(images) if image.start <= p < image.end), -1)
            for p in range(start, start + count)
        }
        assert len(kinds) == 1
        number = kinds.pop()
        if number >= 0 and images[number].image.whole:
            assert (start, start + count) == (images[number].start, images[number].end)
        else:
            assert count <= budget


def test_prompts_share_the_same_image_and_no_other():
    same, other = placeholders(b"one", 0, 5), placeholders(b"two", 0, 5)
    assert same == placeholders(b"one", 0, 5)
    assert not set(same) & set(other)
    assert not set(same) & set(placeholders(b"one", 1, 5))
    assert len(set(same)) == 5
    assert max(same) < 0


def test_a_run_ends_where_an_image_begins_or_ends():
    images = (placed(3, 4), placed(9, 5, whole=True))
    assert [run_length(images, start, 99) for start in (0, 3, 5, 7, 9, 14)] == [3, 4, 2, 2, 5, 99]
    assert run_length(images, 9, 1) == 5
    assert run_length(images, 3, 2) == 2


# --- refusals that need no library --------------------------------------------------------------------------------


def test_a_file_that_is_no_projector_is_refused_before_any_library_sees_it(tmp_path):
    users = LlamaLibrary.acquire().users
    for path in (TINY, tmp_path / "missing.gguf"):
        with pytest.raises(ModelLoadFailed):
            LocalBackend.load(TINY, LocalOptions(projector=path))
    assert LlamaLibrary.acquire().users == users + 1


def test_a_build_without_libmtmd_says_how_to_get_it(tmp_path, monkeypatch):
    from the_edge_agent.llama import vision_bindings

    monkeypatch.setattr(vision_bindings, "_loaded", None)
    monkeypatch.setenv(vision_bindings.PATH_VARIABLE, str(tmp_path))
    with pytest.raises(UnsupportedFeature, match=r"reads no images.*build\.py vision"):
        vision_bindings.load_vision_bindings()
