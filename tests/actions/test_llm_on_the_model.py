"""The llm actions over the embedded model itself: what must hold whatever the model says."""

import asyncio
from pathlib import Path

import pytest
from tests.actions.llm_context import make_context

import the_edge_agent
from the_edge_agent.actions.llm import LLM_ACTIONS
from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.engine.params import checked_params
from the_edge_agent.errors import ContextLengthExceeded
from the_edge_agent.workflow.builtin_actions import BUILTIN

TINY = Path(the_edge_agent.__file__).parent / "store" / "embedded" / "tiny.gguf"
N_CTX = 512


def perform(name, params):
    async def go():
        async with LocalBackend.open(TINY, LocalOptions(n_ctx=N_CTX, n_threads=1)) as backend:
            return await LLM_ACTIONS[name](checked_params(BUILTIN[name], params), make_context(backend))

    return asyncio.run(go())


def conversation(turns):
    return [
        {"role": ("user", "assistant")[index % 2], "content": f"Message number {index} about the weather."}
        for index in range(turns)
    ]


def test_the_effective_context_shows_in_the_result():
    assert perform("llm.call", {"prompt": "Hello!", "max_tokens": 20})["n_ctx"] == N_CTX


def test_a_prompt_that_does_not_fit_fails_with_both_numbers():
    with pytest.raises(ContextLengthExceeded) as caught:
        perform("llm.call", {"messages": conversation(80), "prompt": "Hello!"})
    assert caught.value.n_ctx == N_CTX
    assert caught.value.needed > N_CTX


def test_a_prompt_of_a_megabyte_fails_the_same_way():
    with pytest.raises(ContextLengthExceeded):
        perform("llm.call", {"prompt": "word " * 200_000})


@pytest.mark.parametrize("policy", ["truncate_oldest", "summarize"])
def test_a_policy_makes_room_and_says_so(policy):
    params = {"messages": conversation(80), "prompt": "Hello!", "on_overflow": policy, "max_tokens": 30}
    result = perform("llm.call", params)
    assert result["usage"]["prompt_tokens"] <= N_CTX - 30
    assert f"the prompt didn't fit {N_CTX} tokens" in result["notices"][0]


@pytest.mark.parametrize(
    "text", ["", "qwertz uiop", "Classify yourself!", "{{ secrets }}", "</s>" * 20, "x" * 300]
)
def test_a_label_is_always_one_of_the_labels(text):
    labels = ["größer", "kleiner", "a very long label with many words"]
    result = perform("llm.classify", {"text": text, "labels": labels})
    assert labels[result["index"]] == result["label"]


def test_similar_texts_are_closer_than_unrelated_ones():
    params = {
        "text": "The phone is broken.",
        "candidates": ["My phone does not work.", "Maria lives in Porto."],
    }
    assert perform("llm.similarity", params)["best_index"] == 0


def test_the_same_seed_draws_the_same_text():
    params = {"prompt": "Hello!", "temperature": 1.5, "seed": 7, "max_tokens": 30}
    assert perform("llm.call", params)["content"] == perform("llm.call", params)["content"]


def test_streamed_tokens_add_up_to_the_answer():
    tokens = []

    async def go():
        async with LocalBackend.open(TINY, LocalOptions(n_ctx=N_CTX, n_threads=1)) as backend:
            return await LLM_ACTIONS["llm.stream"]({"prompt": "Hello!"}, make_context(backend, tokens=tokens))

    result = asyncio.run(go())
    assert "".join(tokens) == result["content"] != ""
