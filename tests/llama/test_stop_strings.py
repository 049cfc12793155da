"""Stop strings are found however the text is cut, and nothing of them is ever shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import lists, text

from the_edge_agent.llama.stop_strings import StopStrings

letters = text("abc", max_size=4)


@given(lists(letters), lists(text("abc", min_size=1, max_size=5), max_size=3))
def test_streamed_text_ends_where_the_whole_text_would(pieces, stops):
    whole = "".join(pieces)
    finder = StopStrings(tuple(stops))
    shown = ""
    seen = ""
    for piece in pieces:
        seen += piece
        shown += finder.push(piece)
        if finder.stopped:
            break
    if not finder.stopped:
        shown += finder.finish()
        assert not any(stop in whole for stop in stops)
        assert shown == whole
    else:
        assert shown == seen[: min(seen.index(stop) for stop in stops if stop in seen)]


def test_text_that_cannot_begin_a_stop_string_is_shown_at_once():
    finder = StopStrings(("END",))
    assert finder.push("hello E") == "hello "
    assert finder.push("x") == "Ex"
