"""Byte-level BPE with single digits, as llama.cpp's `gpt2` tokenizer with pre-tokenizer `smollm` has it.

A word is cut the same with and without a space before it: merges are learnt on bare words, and only then do the most
frequent first pieces get a twin that begins with a space (`twins`). Copying ` Nina` to `"Nina` is then copying. Capitals in a row
stay single letters, so that upper case is spelling. Knows nothing of skills; `train` takes any texts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT, IM_START, IM_END, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
CONTROL = (END_OF_TEXT, IM_START, IM_END, PAD)
TOOL_TAGS = ("<tool_call>", "</tool_call>")
SPACE = "\u0120"
"""How byte-level BPE writes a space."""
TWIN_SHARE = 0.35
"""The part of the vocabulary that is kept for twins with a space."""


def train(texts: Iterable[str], vocabulary: int, path: Path) -> Tokenizer:
    """Learn `vocabulary` tokens from `texts` and save them at `path`."""
    kept = list(texts)
    tokenizer = Tokenizer(models.BPE())
    whole_words = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" (?=\p{L})|\p{Lu}(?=\p{Lu})"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    room = int(vocabulary * TWIN_SHARE)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - room,
        special_tokens=[*CONTROL, *(AddedToken(tag, special=False, normalized=False) for tag in TOOL_TAGS)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(kept, trainer)
    tokenizer.pre_tokenizer = whole_words
    first_pieces: Counter[str] = Counter()
    for encoding in tokenizer.encode_batch(kept):
        pieces = encoding.tokens
        first_pieces.update(
            after for space, after in pairwise(pieces) if space == SPACE and after[0].isalpha()
        )
    saved = json.loads(tokenizer.to_str())
    words, merges = saved["model"]["vocab"], saved["model"]["merges"]
    for piece, _ in first_pieces.most_common(vocabulary - len(words)):
        words[SPACE + piece] = len(words)
        merges.append([SPACE, piece])
    path.write_text(json.dumps(saved))
    return load(path)


def twins(tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """The ids of every piece that begins with a space, beside those of the same piece without it."""
    words = tokenizer.get_vocab()
    return [
        (index, words[token[1:]])
        for token, index in words.items()
        if token.startswith(SPACE) and token[1:] in words
    ]


def load(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))
