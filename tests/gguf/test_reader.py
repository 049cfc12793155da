"""What the header reader takes, and what it refuses and where."""

from __future__ import annotations

import os
import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import gguf
from the_edge_agent.errors import GgufInvalid
from the_edge_agent.gguf import SkippedValue, load_value, parse_header_bytes, read_header
from the_edge_agent.gguf.types import TENSOR_TYPES, ValueType
from the_edge_agent.testing.gguf_file import (
    DEFAULT_METADATA,
    FakeGguf,
    FakeTensor,
    pack_key,
    pack_string,
    pattern_model,
)

U32 = ValueType.UINT32
SOUND = FakeGguf()


def with_key(key, kind, value):
    return replace(SOUND, metadata={**DEFAULT_METADATA, key: (kind, value)})


def with_raw_key(raw):
    return replace(SOUND, extra_keys=raw, key_count=len(DEFAULT_METADATA) + 1)


def with_tensor(*tensors):
    return replace(SOUND, tensors=tensors)


def test_a_sound_header_says_what_the_model_is():
    header = parse_header_bytes(SOUND.build())
    assert header.architecture == "llama"
    assert header.context_length == 256
    assert header.quantization == "F32"
    assert header.vocabulary_size == 3
    assert header.parameters == 32 * 4 + 32
    assert header.weights_bytes == 4 * (32 * 4 + 32)
    assert [tensor.name for tensor in header.tensors] == ["token_embd.weight", "output_norm.weight"]
    assert header.data_offset % header.alignment == 0


def test_a_file_written_by_the_reference_writer_is_read_alike(tmp_path):
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_context_length(32768)
    writer.add_chat_template("{{ messages }}")
    writer.add_token_list([f"t{number}".encode() for number in range(3000)])
    writer.add_token_scores([0.5] * 3000)
    writer.add_token_types([1] * 3000)
    writer.add_array("general.tags", ["a", "ü"])
    writer.add_bool("gemma3.flag", True)
    writer.add_float64("gemma3.double", 0.25)
    writer.add_int8("gemma3.small", -3)
    writer.add_tensor("a.weight", np.zeros((3, 64), np.float16))
    writer.add_tensor("b.weight", np.zeros((2, 34), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ours, theirs = read_header(path), gguf.GGUFReader(path)
    assert set(ours.metadata) == {key for key in theirs.fields if not key.startswith("GGUF.")}
    assert ours.metadata["general.tags"] == ("a", "ü")
    assert ours.metadata["gemma3.flag"] is True
    assert ours.metadata["gemma3.double"] == 0.25
    assert ours.metadata["gemma3.small"] == -3
    assert ours.chat_template == "{{ messages }}"
    assert ours.context_length == 32768
    for mine, other in zip(ours.tensors, theirs.tensors, strict=True):
        assert (mine.name, mine.offset, mine.size_bytes) == (other.name, other.data_offset, other.n_bytes)
    tokens = ours.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, SkippedValue)
    assert load_value(path, tokens) == tuple(f"t{number}" for number in range(3000))
    assert load_value(path, ours.metadata["tokenizer.ggml.scores"])[:2] == (0.5, 0.5)


def test_the_table_of_tensor_types_agrees_with_the_reference_package():
    for kind, (elements, size) in gguf.GGML_QUANT_SIZES.items():
        if kind.name == "Q8_1":  # the package says 40; ggml's own static assertion says 36
            continue
        assert (TENSOR_TYPES[kind.value].name, *TENSOR_TYPES[kind.value][1:]) == (kind.name, elements, size)


def test_long_and_short_strings_mixed_are_stepped_over_exactly():
    tokens = [b"x" * (number * 7919 % 90) for number in range(1000)] + [b"y" * 70_000, b"", b"z"]
    data = with_key("tokenizer.ggml.tokens", ValueType.ARRAY, (ValueType.STRING, tokens)).build()
    header = parse_header_bytes(data)
    assert header.vocabulary_size == 1003
    assert header.metadata["tokenizer.ggml.tokens"].size_bytes == sum(8 + len(token) for token in tokens)


def test_a_header_keeps_no_vocabulary_in_memory():
    tokens = (ValueType.STRING, [f"token{number}" for number in range(100_000)])
    data = with_key("tokenizer.ggml.tokens", ValueType.ARRAY, tokens).build()
    tracemalloc.start()
    try:
        header = parse_header_bytes(data)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert header.vocabulary_size == 100_000
    assert kept < 1 << 20
    assert peak < 4 << 20


def test_a_string_too_long_to_keep_can_be_loaded_when_asked_for(tmp_path):
    path = tmp_path / "long.gguf"
    path.write_bytes(with_key("tokenizer.huggingface.json", ValueType.STRING, "j" * 2_000_000).build())
    value = read_header(path).metadata["tokenizer.huggingface.json"]
    assert isinstance(value, SkippedValue)
    assert load_value(path, value) == "j" * 2_000_000


def test_a_value_that_is_not_utf_8_is_read_with_replacement():
    assert parse_header_bytes(with_key("general.name", ValueType.STRING, b"\xff!").build()).name == "\ufffd!"


def test_a_split_model_says_which_part_it_is():
    metadata = {**DEFAULT_METADATA, "split.count": (ValueType.UINT16, 3), "split.no": (ValueType.UINT16, 1)}
    header = parse_header_bytes(replace(SOUND, metadata=metadata).build())
    assert (header.split_count, header.split_number) == (3, 1)


def test_a_per_layer_hyperparameter_answers_with_its_largest():
    data = with_key("llama.attention.head_count_kv", ValueType.ARRAY, (U32, [1, 4, 2])).build()
    assert parse_header_bytes(data).hyperparameter("attention.head_count_kv") == 4


HUGE = 2**63 - 1
CRAFTED = {
    "an_empty_file": b"",
    "a_wrong_magic": replace(SOUND, magic=b"GGML").build(),
    "a_web_page": b"<!DOCTYPE html><html>" + b" " * 200,
    "a_big_endian_file": b"GGUF" + struct.pack(">I", 3) + SOUND.build()[8:],
    "version_0": replace(SOUND, version=0).build(),
    "version_1": replace(SOUND, version=1).build(),
    "a_version_to_come": replace(SOUND, version=4).build(),
    "a_huge_tensor_count": replace(SOUND, tensor_count=2**64 - 1).build(),
    "more_tensors_than_there_is_room_for": replace(SOUND, tensor_count=60_000).build(),
    "a_huge_key_count": replace(SOUND, key_count=2**63).build(),
    "more_keys_than_there_is_room_for": replace(SOUND, key_count=16_000).build(),
    "an_empty_key": with_raw_key(pack_key("", U32, 1)).build(),
    "a_key_that_is_not_utf_8": with_raw_key(pack_key(b"a\xff\xfe", U32, 1)).build(),
    "a_key_with_a_nul": with_raw_key(pack_key("general.name\0x", U32, 1)).build(),
    "a_key_too_long": with_raw_key(pack_key("k" * 70_000, U32, 1)).build(),
    "a_key_longer_than_the_file": with_raw_key(struct.pack("<Q", 1 << 60)).build(),
    "a_duplicate_key": with_raw_key(pack_key("general.name", ValueType.STRING, "x")).build(),
    "an_unknown_value_type": with_raw_key(pack_string("k") + struct.pack("<I", 13) + b"\0" * 64).build(),
    "a_negative_value_type": with_raw_key(pack_string("k") + struct.pack("<i", -1) + b"\0" * 64).build(),
    "a_bool_that_is_neither": with_raw_key(pack_string("k") + struct.pack("<IB", 7, 2)).build(),
    "a_string_longer_than_the_file": with_raw_key(pack_string("k") + struct.pack("<IQ", 8, 1 << 40)).build(),
    "a_string_of_2_to_the_64_bytes": with_raw_key(
        pack_string("k") + struct.pack("<IQ", 8, 2**64 - 1)
    ).build(),
    "a_nested_array": with_raw_key(pack_string("k") + struct.pack("<IIQ", 9, 9, 1) + b"\0" * 64).build(),
    "an_array_of_unknown_type": with_raw_key(
        pack_string("k") + struct.pack("<IIQ", 9, 77, 1) + b"\0" * 64
    ).build(),
    "an_array_longer_than_the_file": with_raw_key(
        pack_string("k") + struct.pack("<IIQ", 9, 4, 1 << 50)
    ).build(),
    "an_array_whose_bytes_overflow": with_raw_key(
        pack_string("k") + struct.pack("<IIQ", 9, 10, 2**61)
    ).build(),
    "an_array_of_too_many_strings": with_raw_key(
        pack_string("k") + struct.pack("<IIQ", 9, 8, 1 << 50)
    ).build(),
    "an_array_whose_last_string_lies": with_raw_key(
        pack_string("k") + struct.pack("<IIQ", 9, 8, 100) + pack_string("s") * 99 + struct.pack("<Q", 1 << 40)
    ).build(),
    "a_zero_alignment": with_key("general.alignment", U32, 0).build(),
    "an_alignment_that_is_no_power_of_two": with_key("general.alignment", U32, 24).build(),
    "an_alignment_that_is_a_string": with_key("general.alignment", ValueType.STRING, "32").build(),
    "an_alignment_of_64_bits": with_key("general.alignment", ValueType.UINT64, 32).build(),
    "an_alignment_beyond_the_file": with_key("general.alignment", U32, 1 << 31).build(),
    "an_architecture_that_is_a_number": with_key("general.architecture", U32, 1).build(),
    "a_chat_template_that_is_an_array": with_key(
        "tokenizer.chat_template", ValueType.ARRAY, (U32, [1])
    ).build(),
    "tokens_that_are_numbers": with_key("tokenizer.ggml.tokens", ValueType.ARRAY, (U32, [1, 2, 3])).build(),
    "tokens_that_are_no_array": with_key("tokenizer.ggml.tokens", ValueType.STRING, "abc").build(),
    "scores_of_single_bytes": with_key(
        "tokenizer.ggml.scores", ValueType.ARRAY, (ValueType.INT8, [1, 1, 1])
    ).build(),
    "fewer_scores_than_tokens": with_key(
        "tokenizer.ggml.scores", ValueType.ARRAY, (ValueType.FLOAT32, [1.0])
    ).build(),
    "fewer_token_types_than_tokens": with_key(
        "tokenizer.ggml.token_type", ValueType.ARRAY, (ValueType.INT32, [1])
    ).build(),
    "a_tensor_name_too_long": with_tensor(FakeTensor("n" * 64)).build(),
    "a_tensor_without_a_name": with_tensor(FakeTensor("")).build(),
    "a_tensor_name_with_a_nul": with_tensor(FakeTensor("a\0b")).build(),
    "a_duplicate_tensor": with_tensor(FakeTensor("a"), FakeTensor("a")).build(),
    "a_tensor_without_dimensions": with_tensor(FakeTensor("a", ())).build(),
    "a_tensor_of_5_dimensions": with_tensor(FakeTensor("a", (32, 1, 1, 1, 1))).build(),
    "a_zero_dimension": with_tensor(FakeTensor("a", (32, 0))).build(),
    "a_negative_dimension": with_tensor(FakeTensor("a", (32, -1))).build(),
    "elements_that_overflow_64_bits": with_tensor(FakeTensor("a", (HUGE, HUGE), offset=0)).build(),
    "elements_that_overflow_to_a_small_number": with_tensor(
        FakeTensor("a", (2**32, 2**32, 16), offset=0)
    ).build(),
    "bytes_that_overflow_64_bits": with_tensor(FakeTensor("a", (2**62,), offset=0)).build(),
    "an_unknown_tensor_type": with_tensor(FakeTensor("a", (32,), type=99)).build(),
    "a_tensor_type_that_was_removed": with_tensor(FakeTensor("a", (32,), type=4)).build(),
    "a_row_that_is_no_multiple_of_the_block": with_tensor(FakeTensor("a", (33,), type=8)).build(),
    "a_tensor_beyond_the_file": with_tensor(FakeTensor("a", (32, 1_000_000), offset=0)).build()[:4096],
    "a_tensor_that_is_cut_off": replace(SOUND, cut_bytes=64).build(),
    "a_tensor_offset_beyond_the_file": with_tensor(FakeTensor("a", (32,), offset=1 << 40)).build(),
    "a_tensor_offset_of_2_to_the_64": with_tensor(FakeTensor("a", (32,), offset=2**64 - 32)).build(),
    "an_offset_that_is_not_aligned": with_tensor(FakeTensor("a"), FakeTensor("b", offset=129)).build(),
    "tensors_that_overlap": with_tensor(FakeTensor("a"), FakeTensor("b", offset=0)).build(),
    "a_gap_between_tensors": with_tensor(FakeTensor("a"), FakeTensor("b", offset=256)).build(),
    "a_header_that_is_cut_off": SOUND.build()[:200],
    "a_file_that_ends_behind_the_magic": b"GGUF",
}
#: Where each lie stands, for those whose place is plain to see.
OFFSETS = {
    "a_wrong_magic": 0,
    "a_web_page": 0,
    "a_big_endian_file": 4,
    "version_1": 4,
    "a_huge_tensor_count": 8,
    "a_huge_key_count": 16,
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused_at_its_offset(name):
    data = CRAFTED[name]
    with pytest.raises(GgufInvalid) as caught:
        parse_header_bytes(data, name="model.gguf")
    error = caught.value
    assert 0 <= error.offset <= len(data)
    assert error.offset == OFFSETS.get(name, error.offset)
    assert f"byte {error.offset}" in str(error)
    assert str(error).startswith("model.gguf: ")


def test_the_offset_points_at_the_lie():
    lie = pack_string("k") + struct.pack("<I", 13)
    data = with_raw_key(lie).build()
    with pytest.raises(GgufInvalid) as caught:
        parse_header_bytes(data)
    assert caught.value.offset == data.index(lie) + len(lie) - 4


def test_every_prefix_of_a_sound_file_is_refused_with_an_offset_inside_it():
    data = SOUND.build()
    for length in range(len(data)):
        with pytest.raises(GgufInvalid) as caught:
            parse_header_bytes(data[:length])
        assert caught.value.offset <= length


def test_a_sparse_file_of_empty_strings_ends_at_the_header_limit(tmp_path):
    path = tmp_path / "sparse.gguf"
    head = with_raw_key(pack_string("k") + struct.pack("<IIQ", 9, 8, 1 << 27)).build()
    end = head.index(struct.pack("<IIQ", 9, 8, 1 << 27)) + 16
    with path.open("wb") as file:
        file.write(head[:end])
        file.truncate(4 << 30)
    with pytest.raises(GgufInvalid, match="more than the file has room for"):
        read_header(path)


def test_a_pipe_is_refused_and_does_not_hang(tmp_path):
    path = tmp_path / "pipe.gguf"
    os.mkfifo(path)
    with pytest.raises(GgufInvalid, match="not a regular file"):
        read_header(path)


def test_a_file_that_shrinks_while_it_is_read_is_an_error_and_no_crash():
    data = pattern_model(8192)
    with pytest.raises(GgufInvalid):
        parse_header_bytes(data[:300], size_bytes=len(data))
