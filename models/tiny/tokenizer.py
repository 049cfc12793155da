"""Byte-level BPE with single digits, as llama.cpp's `gpt2` tokenizer with pre-tokenizer `smollm` has it.

Knows nothing of skills; `train` takes any texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT, IM_START, IM_END, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
CONTROL = (END_OF_TEXT, IM_START, IM_END, PAD)
TOOL_TAGS = ("<tool_call>", "</tool_call>")


def train(texts: Iterable[str], vocabulary: int, path: Path) -> Tokenizer:
    """Learn `vocabulary` tokens from `texts` and save them at `path`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[*CONTROL, *(AddedToken(tag, special=False, normalized=False) for tag in TOOL_TAGS)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
    return tokenizer


def load(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))
