"""The grammars in llama.cpp itself: it takes them, follows them, and what the embedded model writes is valid."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.inference.forty_schemas import SCHEMAS as FORTY
from tests.inference.schemas import SCHEMAS, values
from tests.rounds import rounds

import the_edge_agent
from the_edge_agent.actions.llm_answer import structured
from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.errors import GrammarInvalid, SchemaUnsupported, StructuredOutputInvalid
from the_edge_agent.inference import ChatRequest, Message, ResponseFormat, SamplingParams, Tool, collect
from the_edge_agent.inference.json_schema import json_object_gbnf, schema_to_gbnf, validate
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.sampler import Sampler

TINY = Path(the_edge_agent.__file__).parent / "store" / "embedded" / "tiny.gguf"
GREEDY = SamplingParams()
RELAXED = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=rounds(25, 100, 1000),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    database=None,
)
PROMPTS = (
    "Extract the fields as JSON: Nina Berg, 34, lives in Lisbon and paid 20 euros on 2024-03-01.",
    "Hello!",
    "What is 12 + 30?",
)


@pytest.fixture(scope="module")
def model():
    with LlamaModel.load(TINY) as loaded:
        yield loaded


def derives(model, grammar, text):
    """Whether llama.cpp's own matcher takes the whole text, and an end behind it."""
    end = next(token for token in range(model.vocab.n_tokens) if model.vocab.is_end(token))
    tokens = [*model.vocab.tokenize(text, add_special=False), end]
    with Sampler(model, GREEDY, grammar=grammar) as sampler:
        try:
            sampler.accept(tokens)
        except GrammarInvalid:
            return False
    return True


@pytest.mark.long
@RELAXED
@given(st.data(), SCHEMAS)
def test_llama_cpp_takes_every_grammar_and_every_value_of_its_schema(model, data, schema):
    try:
        grammar = schema_to_gbnf(schema)
    except SchemaUnsupported as error:
        assume("no value can meet" not in error.what and "no text can match" not in error.what)
        raise
    text = json.dumps(data.draw(values(schema)), ensure_ascii=False)
    assert derives(model, grammar, text), text


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "maxLength": 5_000}, '"' + "x" * 5_000 + '"', '"' + "x" * 5_001 + '"'),
        ({"type": "string", "minLength": 3_000}, '"' + "x" * 3_000 + '"', '"' + "x" * 2_999 + '"'),
        ({"type": "array", "items": {"const": 1}, "maxItems": 3_000}, str([1] * 3_000), str([1] * 3_001)),
        (
            {"enum": ["Köln", "東京", "\u0085", 'a"b\\c\n']},
            json.dumps("\u0085", ensure_ascii=False),
            '"Koln"',
        ),
    ],
)
def test_large_bounds_hold_in_llama_cpp(model, schema, good, bad):
    grammar = schema_to_gbnf(schema)
    assert derives(model, grammar, good)
    assert not derives(model, grammar, bad)


def test_the_grammar_of_any_object_works_in_llama_cpp(model):
    assert derives(model, json_object_gbnf(), '{"a": [1, {"b": null}], "c": "x\\n"}')
    assert not derives(model, json_object_gbnf(), "[1]")


@pytest.fixture(scope="module")
def answers():
    """Every schema asked greedily and with draws, all at once: (name, completion)."""

    async def one(backend, name, schema, seed):
        sampling = SamplingParams(
            max_tokens=700, temperature=0.0 if seed == 0 else 0.7 + 0.2 * (seed % 5), seed=seed
        )
        prompt = Message("user", PROMPTS[seed % len(PROMPTS)])
        wanted = ResponseFormat("json_schema", schema)
        return name, await collect(backend.chat(ChatRequest((prompt,), sampling, response_format=wanted)))

    async def go():
        async with LocalBackend.open(TINY, LocalOptions(n_threads=1)) as backend:
            seeds = range(rounds(1, 5, 50))
            return await asyncio.gather(
                *(one(backend, n, s, seed) for n, s in FORTY.items() for seed in seeds)
            )

    return asyncio.run(go())


@pytest.mark.long
def test_every_whole_answer_meets_its_schema(answers):
    for name, completion in answers:
        if completion.finish_reason == "stop":
            assert validate(FORTY[name], json.loads(completion.text)) == (), (name, completion.text)


@pytest.mark.long
def test_answers_come_to_an_end(answers):
    cut = [(name, completion.text) for name, completion in answers if completion.finish_reason != "stop"]
    assert len(cut) <= len(answers) // 50, cut


@pytest.mark.long
def test_an_answer_that_was_cut_off_is_reported_and_never_passes_for_valid():
    async def go():
        async with LocalBackend.open(TINY, LocalOptions(n_threads=1)) as backend:
            wanted = ResponseFormat("json_schema", FORTY["nested objects"])
            request = ChatRequest(
                (Message("user", PROMPTS[0]),), SamplingParams(max_tokens=5), response_format=wanted
            )
            return await collect(backend.chat(request)), wanted

    completion, wanted = asyncio.run(go())
    assert completion.finish_reason == "length"
    with pytest.raises(StructuredOutputInvalid, match="finish_reason length"):
        structured(completion, wanted)


PLANT = {
    "$defs": {
        "place": {"type": "object", "properties": {"row": {"type": "integer", "minimum": 0, "maximum": 9}}}
    },
    "type": "object",
    "properties": {"place": {"$ref": "#/$defs/place"}},
    "required": ["place"],
    "additionalProperties": False,
}


@pytest.mark.long
def test_a_forced_call_has_valid_arguments_even_with_references():
    tools = (
        Tool("plant", "Plant a tree", PLANT),
        Tool(
            "paint",
            "Paint it",
            {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]},
        ),
    )

    async def go():
        async with LocalBackend.open(TINY, LocalOptions(n_threads=1)) as backend:
            found = []
            for choice in ("plant", "paint", "required"):
                request = ChatRequest(
                    (Message("user", "Paint it red."),),
                    SamplingParams(max_tokens=300),
                    tools=tools,
                    tool_choice=choice,
                    parallel_tool_calls=False,
                )
                found.append((choice, await collect(backend.chat(request))))
            return found

    for choice, completion in asyncio.run(go()):
        assert completion.finish_reason == "tool_calls", completion
        (call,) = completion.tool_calls
        assert choice in (call.name, "required")
        tool = next(tool for tool in tools if tool.name == call.name)
        assert validate(tool.parameters, json.loads(call.arguments)) == ()
