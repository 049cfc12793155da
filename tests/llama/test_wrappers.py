"""Models, contexts, batches, samplers and vocabularies: typed errors where C would crash."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis.strategies import text

from the_edge_agent.errors import (
    DecodeFailed,
    GrammarInvalid,
    InvalidPath,
    ModelLoadFailed,
    TokenizeFailed,
    UnsupportedFeature,
    UsageError,
    UseAfterClose,
)
from the_edge_agent.inference import SamplingParams
from the_edge_agent.llama.batch import LlamaBatch
from the_edge_agent.llama.context import KvCacheFull, LlamaContext
from the_edge_agent.llama.library import LlamaLibrary
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.params import ContextParams, ModelParams
from the_edge_agent.llama.sampler import Sampler, mix_seed
from the_edge_agent.llama.vocab import Detokenizer


@pytest.fixture
def context(model):
    with LlamaContext(model, ContextParams(n_ctx=256, flash_attention=False)) as opened:
        yield opened


def feed(context: LlamaContext, tokens: list[int], start: int = 0) -> None:
    batch = LlamaBatch(context.model.library.bindings, len(tokens))
    batch.extend(tokens, start, 0, n_outputs=1)
    context.decode(batch)


# --- models -------------------------------------------------------------------------------------------------------


def test_the_whole_loop_runs_on_a_real_model(model, context):
    tokens = model.vocab.tokenize(
        "<|im_start|>user\nSay OK.<|im_end|>\n<|im_start|>assistant\n", parse_special=True
    )
    feed(context, tokens)
    assert len(context.logits(len(tokens) - 1)) == model.vocab.n_tokens
    said = []
    with Sampler(model, SamplingParams()) as sampler:
        row = len(tokens) - 1
        for position in range(len(tokens), len(tokens) + 20):
            token = sampler.sample(context, row).token
            if model.vocab.is_end(token):
                break
            said.append(token)
            feed(context, [token], position)
            row = 0
    assert "OK" in model.vocab.detokenize(said)


def test_a_model_says_what_its_file_says(model):
    assert model.name == "tea-tiny"
    assert model.architecture == "llama"
    assert model.metadata("no.such.key") is None
    assert "im_start" in model.chat_template


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelLoadFailed, match=r"absent\.gguf: no such file"):
        LlamaModel.load(tmp_path / "absent.gguf")


@pytest.mark.parametrize("name", ["bad\0name.gguf", "bad\udcffname.gguf"])
def test_a_path_that_c_would_misread_is_refused(name):
    with pytest.raises(InvalidPath):
        LlamaModel.load(Path(name))


def test_a_file_that_is_no_model_says_what_is_wrong_with_it(tmp_path):
    path = tmp_path / "text.gguf"
    path.write_text("this is no model")
    with pytest.raises(ModelLoadFailed, match="magic"):
        LlamaModel.load(path)


def test_a_truncated_model_is_refused(tmp_path, tiny_path):
    path = tmp_path / "half.gguf"
    path.write_bytes(tiny_path.read_bytes()[:1_500_000])
    with pytest.raises(ModelLoadFailed, match="tensor"):
        LlamaModel.load(path)


def test_a_failed_load_leaves_nothing_behind(tmp_path, model):
    before = model.library.users
    with pytest.raises(ModelLoadFailed):
        LlamaModel.load(tmp_path / "absent.gguf")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelLoadFailed):
        LlamaModel.load(tmp_path / "x.gguf")
    assert LlamaLibrary.acquire().users == before + 1
    model.library.release()


def test_gpu_layers_on_a_build_without_a_gpu_are_refused_not_ignored(tiny_path, model):
    if model.library.supports_gpu:
        pytest.skip("this build has a GPU")
    with pytest.raises(UnsupportedFeature, match="no GPU"):
        LlamaModel.load(tiny_path, ModelParams(n_gpu_layers=-1))


# --- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"n_ctx": 0},
        {"n_ctx": -1},
        {"n_ctx": 2**40},
        {"n_ctx": math.nan},
        {"n_ctx": 256, "n_seq_max": 0},
        {"n_ctx": 256, "n_seq_max": 10_000},
        {"n_ctx": 256, "n_batch": -5},
        {"n_ctx": 256, "n_batch": 64, "n_ubatch": 128},
        {"n_ctx": 256, "n_threads": 0},
        {"n_ctx": 256, "n_threads_batch": -1},
        {"n_ctx": 256, "kv_type": "q2_k"},
        {"n_ctx": 256, "kv_type": "q8_0", "flash_attention": False},
        {"n_ctx": True},
    ],
)
def test_absurd_context_parameters_never_reach_c(fields):
    with pytest.raises(UsageError):
        ContextParams(**fields)


def test_absurd_model_parameters_never_reach_c():
    with pytest.raises(UsageError, match="n_gpu_layers is -2"):
        ModelParams(n_gpu_layers=-2)


@pytest.mark.parametrize("kv_type", ["f32", "f16", "q8_0", "q4_0"])
def test_every_kv_type_decodes(model, kv_type):
    params = ContextParams(
        n_ctx=256, kv_type=kv_type, flash_attention=True if kv_type.startswith("q") else None
    )
    with LlamaContext(model, params) as context:
        feed(context, [5, 6, 7])
        assert all(math.isfinite(value) for value in context.logits(2))


# --- contexts -----------------------------------------------------------------------------------------------------


def test_a_full_cache_is_a_typed_error_that_changes_nothing(context):
    feed(context, list(range(5, 205)))
    with pytest.raises(KvCacheFull):
        feed(context, list(range(5, 105)), 200)
    feed(context, [9], 200)


def test_logits_that_nobody_asked_for_are_a_typed_error(model, context):
    batch = LlamaBatch(model.library.bindings, 4)
    batch.extend([5, 6], 0, 0, n_outputs=1)
    context.decode(batch)
    with pytest.raises(DecodeFailed, match="no logits"):
        context.logits(0)


def test_a_token_outside_the_vocabulary_is_a_typed_error(context):
    with pytest.raises(DecodeFailed):
        feed(context, [10**6])


def test_a_batch_takes_no_more_rows_than_it_has(model):
    batch = LlamaBatch(model.library.bindings, 2)
    batch.extend([1, 2], 0, 0, n_outputs=1)
    with pytest.raises(UsageError):
        batch.add(3, 2, 0, output=True)
    with pytest.raises(UsageError):
        batch.extend([3], 2, 0, n_outputs=1)


def test_an_embedding_needs_a_context_with_pooling(model, context):
    feed(context, [5, 6])
    with pytest.raises(DecodeFailed, match="pooling"):
        context.embedding(0)


def test_a_closed_thing_says_so(model, tiny_path):
    other = LlamaModel.load(tiny_path)
    context = LlamaContext(other, ContextParams(n_ctx=256, flash_attention=False))
    sampler = Sampler(other, SamplingParams())
    feed(context, [5])
    other.close()
    feed(context, [6], 1)  # the model stays in memory for the context that is open
    with pytest.raises(UseAfterClose, match="this model is closed"):
        other.vocab.tokenize("text")
    with pytest.raises(UseAfterClose):
        LlamaContext(other, ContextParams(n_ctx=256))
    context.close()
    with pytest.raises(UseAfterClose, match="this context is closed"):
        sampler.sample(context, 0)
    sampler.close()
    with pytest.raises(UseAfterClose, match="this sampler is closed"):
        sampler.accept([5])
    for thing in (other, context, sampler):
        thing.close()


# --- samplers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= (",
        "nothing",
        'root ::= "a" | missing',
        "root ::= root",
        "root ::= " + "(" * 5000,
        "x ::= y\0",
    ],
)
def test_a_bad_grammar_is_a_typed_error(model, grammar):
    with pytest.raises(GrammarInvalid):
        Sampler(model, SamplingParams(), grammar=grammar)


def test_a_grammar_binds_every_token(model, context):
    feed(context, model.vocab.tokenize("Hello"))
    row = len(model.vocab.tokenize("Hello")) - 1
    said = []
    with Sampler(model, SamplingParams(), grammar='root ::= "yes" | "no"') as sampler:
        position = row + 1
        while not model.vocab.is_end(token := sampler.sample(context, row).token):
            said.append(token)
            feed(context, [token], position)
            row, position = 0, position + 1
    assert model.vocab.detokenize(said) in ("yes", "no")


def test_a_token_that_the_grammar_forbids_cannot_be_resumed_from(model):
    with Sampler(model, SamplingParams(), grammar='root ::= "yes"') as sampler, pytest.raises(GrammarInvalid):
        sampler.accept(model.vocab.tokenize("no", add_special=False))


def test_penalties_change_what_is_chosen(model, context):
    def choose(params: SamplingParams) -> int:
        context.clear()
        tokens = model.vocab.tokenize("blue blue blue blue", add_special=False)
        feed(context, tokens)
        with Sampler(model, params) as sampler:
            sampler.accept(tokens)
            return sampler.sample(context, len(tokens) - 1).token

    free = choose(SamplingParams())
    model_tokens = model.vocab.tokenize("blue blue", add_special=False)
    if free in model_tokens:
        assert choose(SamplingParams(frequency_penalty=50.0)) != free


def test_seeds_of_neighbouring_draws_have_nothing_in_common():
    seeds = {mix_seed(seed, index) for seed in range(100) for index in range(100)}
    assert len(seeds) > 9_990
    assert all(0 <= seed < 2**32 for seed in seeds)


# --- vocabulary ---------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None, database=None)
@given(text())
def test_text_survives_tokens_whole_or_one_at_a_time(model, original):
    if any("\ud800" <= char <= "\udfff" for char in original):
        with pytest.raises(TokenizeFailed, match="surrogate"):
            model.vocab.tokenize(original)
        return
    tokens = model.vocab.tokenize(original, add_special=False)
    assert model.vocab.detokenize(tokens) == original
    stream = Detokenizer(model.vocab)
    pieces = [stream.push(token) for token in tokens]
    assert "".join(pieces) == original


def test_half_a_character_is_never_emitted(model):
    tokens = model.vocab.tokenize("☃", add_special=False)
    assert len(tokens) > 1
    stream = Detokenizer(model.vocab)
    assert [stream.push(token) for token in tokens] == [""] * (len(tokens) - 1) + ["☃"]
    assert stream.push(tokens[0]) == ""


def test_control_tokens_are_text_unless_the_template_wrote_them(model):
    assert len(model.vocab.tokenize("<|im_end|>", parse_special=True, add_special=False)) == 1
    assert len(model.vocab.tokenize("<|im_end|>", add_special=False)) > 1


@pytest.mark.parametrize("token", [-1, 10**7])
def test_a_token_that_is_not_in_the_vocabulary_is_a_typed_error(model, token):
    with pytest.raises(TokenizeFailed):
        model.vocab.piece(token)


def test_a_prompt_of_a_megabyte_is_tokenized(model):
    assert len(model.vocab.tokenize("word " * 200_000)) > 100_000
