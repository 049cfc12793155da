"""Text to tokens and back, for one model. Detokenizing is incremental and never emits half a character.

Knows nothing of chat templates.
"""

from __future__ import annotations

import codecs
import ctypes
from collections.abc import Sequence
from typing import Any

from the_edge_agent.errors import TokenizeFailed
from the_edge_agent.llama.owned import Owned

MAX_TEXT_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 256


class Vocab:
    """A model's tokenizer. Safe from several threads; raises UseAfterClose once the model is closed."""

    __slots__ = (
        "_eog",
        "_lib",
        "_owned",
        "_pieces",
        "_vocab",
        "add_bos",
        "bos_token",
        "eos_token",
        "n_tokens",
    )

    def __init__(self, lib: Any, owned: Owned) -> None:
        self._lib = lib
        self._owned = owned
        self._vocab = lib.llama_model_get_vocab(owned.lease())
        owned.release()
        self.n_tokens: int = lib.llama_vocab_n_tokens(self._vocab)
        self.add_bos: bool = lib.llama_vocab_get_add_bos(self._vocab)
        self._pieces: dict[int, bytes] = {}
        self._eog: dict[int, bool] = {}
        self.bos_token = self._special_text(lib.llama_vocab_bos(self._vocab))
        self.eos_token = self._special_text(lib.llama_vocab_eos(self._vocab))

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = False) -> list[int]:
        """Token IDs of ``text``.

        ``add_special`` adds BOS/EOS as the model wants; ``parse_special`` reads ``<|im_end|>`` and its like as one
        token (only for text the template wrote). Raises TokenizeFailed.
        """
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise TokenizeFailed(
                f"the text holds a lone surrogate at character {error.start}",
                fix="send text that is valid Unicode",
            ) from error
        if len(data) > MAX_TEXT_BYTES:
            raise TokenizeFailed(f"the text is {len(data)} bytes", fix=f"send at most {MAX_TEXT_BYTES}")
        capacity = len(data) + 16
        vocab = self._lease()
        try:
            tokens = (ctypes.c_int32 * capacity)()
            count = self._lib.llama_tokenize(
                vocab, data, len(data), tokens, capacity, add_special, parse_special
            )
            if count < 0:
                if count == -(2**31):
                    raise TokenizeFailed("too many tokens to count", fix="send less text")
                tokens = (ctypes.c_int32 * -count)()
                count = self._lib.llama_tokenize(
                    vocab, data, len(data), tokens, -count, add_special, parse_special
                )
                if count < 0:
                    raise TokenizeFailed(
                        f"libllama needs {-count} tokens and won't fit them", fix="send less text"
                    )
        finally:
            self._owned.release()
        return tokens[:count]

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; empty for control tokens. May be part of a character. Cached."""
        found = self._pieces.get(token)
        if found is None:
            found = self._pieces[token] = self._read_piece(token, special=False)
        return found

    def piece_or_name(self, token: int) -> bytes:
        """As ``piece``, with control tokens spelled out."""
        return self.piece(token) or self._read_piece(token, special=True)

    def is_end(self, token: int) -> bool:
        """Whether the token ends generation (EOS, EOT, ...). Cached."""
        found = self._eog.get(token)
        if found is None:
            self._lease()
            try:
                found = self._eog[token] = bool(self._lib.llama_vocab_is_eog(self._vocab, token))
            finally:
                self._owned.release()
        return found

    def end_tokens(self) -> list[int]:
        """Every token that ends generation."""
        return [token for token in range(self.n_tokens) if self.is_end(token)]

    def token_text(self, token: int) -> str:
        """A token for people to read, control tokens by name, broken characters replaced."""
        return self._read_piece(token, special=True).decode("utf-8", "replace")

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of a whole sequence; bytes that aren't UTF-8 become U+FFFD."""
        return b"".join(map(self.piece, tokens)).decode("utf-8", "replace")

    def raw_text(self, token: int) -> str:
        """A token as its file spells it."""
        self._lease()
        try:
            text: bytes = self._lib.llama_vocab_get_text(self._vocab, token)
        finally:
            self._owned.release()
        return text.decode("utf-8", "replace")

    def first_difference(self, other: Vocab) -> int | None:
        """The first token that another vocabulary spells differently, over the length of the shorter one; or None."""
        read = self._lib.llama_vocab_get_text
        mine = self._lease()
        try:
            theirs = other._lease()
            try:
                for token in range(min(self.n_tokens, other.n_tokens)):
                    if read(mine, token) != read(theirs, token):
                        return token
            finally:
                other._owned.release()
        finally:
            self._owned.release()
        return None

    def address(self) -> Any:
        """The raw vocabulary, for samplers; only valid under a lease on the model."""
        return self._vocab

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        if not 0 <= token < self.n_tokens:
            raise TokenizeFailed(
                f"token {token} is not in the vocabulary of {self.n_tokens}", fix="check the IDs"
            )
        vocab = self._lease()
        try:
            buffer = ctypes.create_string_buffer(_PIECE_BYTES)
            size = self._lib.llama_token_to_piece(vocab, token, buffer, _PIECE_BYTES, 0, special)
            if size < 0:
                buffer = ctypes.create_string_buffer(-size)
                size = self._lib.llama_token_to_piece(vocab, token, buffer, -size, 0, special)
        finally:
            self._owned.release()
        return buffer.raw[:size]

    def _special_text(self, token: int) -> str:
        return self._read_piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    def _lease(self) -> Any:
        self._owned.lease()
        return self._vocab


class Detokenizer:
    """Turns tokens into text as they come: holds back bytes until their character is whole. An answer that ends in
    the middle of one ends in front of it, so that a resume can go on there.
    """

    __slots__ = ("_decoder", "_piece")

    def __init__(self, vocab: Vocab, *, show_special: bool = False) -> None:
        self._piece = vocab.piece_or_name if show_special else vocab.piece
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that is complete with this token; may be empty."""
        return self._decoder.decode(self._piece(token))
