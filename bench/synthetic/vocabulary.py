"""A SentencePiece vocabulary of any size, all ASCII. Knows nothing of weights.

Random text of real vocabularies is often invalid UTF-8, which distorts anyone's streaming figures.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator

import gguf

_SPACE = "\u2581"
_LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    """Specials, byte tokens, characters, then combinations of letters, the commonest first."""
    kind = gguf.TokenType
    tokens: list[str] = ["<unk>", "<s>", "</s>"]
    types = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    types += [kind.BYTE] * 256
    for piece in itertools.islice(dict.fromkeys(_pieces()), size - len(tokens)):
        tokens.append(piece)
        types.append(kind.NORMAL)
    while len(tokens) < size:
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(kind.UNUSED)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(place) for place in range(size - 259)])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)


def _pieces() -> Iterator[str]:
    yield from _SPACE + string.ascii_letters + string.digits + string.punctuation
    for length in (2, 3, 4):
        for letters in itertools.product(_LETTERS, repeat=length):
            word = "".join(letters)
            yield _SPACE + word[: length - 1]
            yield word
            if length < 4:
                yield _SPACE + word
