"""A smaller model's guesses change when tokens come, never which."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from tests.llama.collected import chat_ids, start
from tests.llama.conftest import TINY

from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.errors import EdgeAgentError, ModelLoadFailed, UsageError
from the_edge_agent.inference import ChatRequest, Message, SamplingParams, collect
from the_edge_agent.llama.draft_model import CATCH_UP, DraftModel, check_same_vocabulary
from the_edge_agent.llama.generator import Generator, most_drafted
from the_edge_agent.llama.library import LlamaLibrary
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.pacer import Pacer
from the_edge_agent.llama.params import ContextParams
from the_edge_agent.llama.stream import GenerationRequest

DRAFT_PARAMS = ContextParams(n_ctx=2048, n_seq_max=2, n_batch=256, n_ubatch=256)
TEXTS = ["Who are you?", "What is 17+25?", "How do I run an agent?", "Hello", "Repeat: red house red house"]


@contextmanager
def drafting(model: LlamaModel, params: ContextParams, n_tokens: int = 6) -> Iterator[Generator]:
    """The model as its own draft: every greedy guess is right."""
    with Generator(
        model, params, draft_tokens=n_tokens, draft_model=DraftModel(model, DRAFT_PARAMS)
    ) as generator:
        yield generator


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 1.2, "seed": 5},
        {"max_tokens": 7},
        {"max_tokens": 1},
        {"stop": ("a",)},
        {"repeat_penalty": 1.3},
        {"logprobs": 1},
    ],
)
def test_the_text_is_the_same_with_a_draft_model_and_without(model, context_params, fields):
    sampling = SamplingParams(**{"max_tokens": 40, **fields})
    requests = [GenerationRequest(chat_ids(model, text), sampling) for text in TEXTS]
    with Generator(model, context_params) as plain:
        expected = [start(plain, request).wait() for request in requests]
    with drafting(model, context_params) as drafted:
        alone = [start(drafted, request).wait() for request in requests]
        together = [answer.wait() for answer in [start(drafted, request) for request in requests]]
    for wanted, one, other in zip(expected, alone, together, strict=True):
        assert one.token_ids == other.token_ids == wanted.token_ids
        assert one.text == other.text == wanted.text
        assert one.end.finish_reason == other.end.finish_reason == wanted.end.finish_reason


def test_short_requests_beside_two_streams_with_long_drafts_leave_the_process_alive():
    """More rows with logits than a context was opened for end the process, so this runs in one of its own."""
    code = (
        "from tests.llama.collected import *\n"
        "from tests.llama.conftest import TINY\n"
        "from the_edge_agent.llama.drafts import DraftPace\n"
        "from the_edge_agent.llama.lookup import PromptLookup\n"
        "from the_edge_agent.llama.params import ContextParams\n"
        "DraftPace.ask = lambda pace: 15\n"
        "PromptLookup.draft = lambda lookup, tokens, length: list(tokens[:length])\n"
        "def ask(text, **fields):\n"
        "    request = GenerationRequest(chat_ids(model, text), SamplingParams(**fields))\n"
        "    return start(generator, request)\n"
        "model = LlamaModel.load(TINY)\n"
        "with Generator(model, ContextParams(n_ctx=4096, n_seq_max=16), draft_tokens=15) as generator:\n"
        "    talking = [ask(text, max_tokens=200, ignore_eos=True) for text in ('Hello', 'Who are you?')]\n"
        "    for round in range(8):\n"
        "        for short in [ask(f'What is {n}+{round}?', max_tokens=2) for n in range(14)]:\n"
        "            short.wait()\n"
        "    print(*(len(stream.wait().token_ids) for stream in talking))\n"
        "model.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "200 200\n"), done.stderr[-2000:]


def test_drafts_leave_every_other_sequence_its_row():
    assert most_drafted(ContextParams(n_ctx=512, n_seq_max=16), 15) == 15
    assert most_drafted(ContextParams(n_ctx=512, n_seq_max=16, n_batch=24, n_ubatch=24), 15) == 4
    assert most_drafted(ContextParams(n_ctx=512, n_seq_max=16, n_batch=8, n_ubatch=8), 15) == 0


def test_right_guesses_take_fewer_steps(model, context_params):
    requests = [GenerationRequest(chat_ids(model, text), SamplingParams(max_tokens=40)) for text in TEXTS]
    with Generator(model, context_params) as plain, counted_steps() as steps:
        expected = [start(plain, request).wait().token_ids for request in requests]
    n_plain = steps.call_count
    with drafting(model, context_params, 8) as drafted, counted_steps() as steps:
        answers = [start(drafted, request).wait().token_ids for request in requests]
    assert answers == expected
    assert steps.call_count < 0.8 * n_plain


def test_a_long_prompt_is_read_in_pieces_and_then_guessed_from(model):
    ids = model.vocab.tokenize("the library opens at nine. " * 60)
    draft = DraftModel(model, DRAFT_PARAMS)
    assert len(ids) > 2 * CATCH_UP
    n_pieces = -(-len(ids) // CATCH_UP)
    answers = [draft.guess(1, ids, 4) for _ in range(n_pieces)]
    assert all(answer == [] for answer in answers[:-1])
    again = draft.guess(1, ids, 4)
    assert again == answers[-1]
    assert len(again) <= 4
    draft.close()


def test_three_sequences_share_two_places_and_keep_their_guesses(model):
    texts = [model.vocab.tokenize(f"number {word} is") for word in ("one", "two", "three")]
    draft = DraftModel(model, DRAFT_PARAMS)
    first = [draft.guess(key, text, 5) for key, text in enumerate(texts)]
    second = [draft.guess(key, text, 5) for key, text in enumerate(texts)]
    assert first == second
    draft.close()


def test_a_draft_without_room_gives_no_guess_and_no_error(model):
    ids = model.vocab.tokenize("word " * 300)
    draft = DraftModel(model, ContextParams(n_ctx=256, n_seq_max=1, n_batch=128, n_ubatch=128))
    assert [draft.guess(1, ids, 4) for _ in range(4)][-1] == []
    assert draft.guess(2, ids[:20], 4) == draft.guess(2, ids[:20], 4)
    draft.close()


def test_a_draft_of_another_vocabulary_is_refused_and_named(tmp_path, model):
    other = tmp_path / "other.gguf"
    other.write_bytes(TINY.read_bytes().replace(b"<|im_start|>", b"<|im_sTart|>"))
    with (
        LlamaModel.load(other) as draft,
        pytest.raises(ModelLoadFailed, match=r"another vocabulary.*im_sTart"),
    ):
        check_same_vocabulary(model.vocab, draft.vocab, other)
    before = LlamaLibrary.acquire().users
    with pytest.raises(ModelLoadFailed, match="another vocabulary"):
        LocalBackend.load(TINY, LocalOptions(draft_model=other))
    assert LlamaLibrary.acquire().users == before + 1


@pytest.mark.parametrize("options", [{"draft_tokens": 99}, {"draft_model": TINY.with_name("none.gguf")}])
def test_a_draft_that_cannot_be_is_a_typed_error_and_leaves_nothing_open(options):
    users = LlamaLibrary.acquire().users
    with pytest.raises(EdgeAgentError) as caught:
        LocalBackend.load(TINY, LocalOptions(**options))
    assert isinstance(caught.value, UsageError) or "none.gguf" in str(caught.value)
    assert LlamaLibrary.acquire().users == users + 1


def test_a_backend_with_a_draft_model_says_what_it_says_without():
    def ask(backend: LocalBackend) -> list[str]:
        async def all_texts() -> list[str]:
            requests = [
                ChatRequest((Message("user", text),), SamplingParams(max_tokens=40)) for text in TEXTS
            ]
            return [(await collect(backend.chat(request))).text for request in requests]

        texts = asyncio.run(all_texts())
        backend.close()
        return texts

    plain = LocalBackend.load(TINY, LocalOptions(n_ctx=512))
    drafted = LocalBackend.load(TINY, LocalOptions(n_ctx=512, draft_model=TINY))
    assert ask(drafted) == ask(plain)


def counted_steps():
    """Counts the decodes of the model itself: the pacer is told of each."""
    return mock.patch.object(Pacer, "observe", autospec=True, side_effect=Pacer.observe)
