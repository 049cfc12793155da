"""LoRA adapters: small files that bend a model's weights while it runs. Knows nothing of contexts.

An adapter keeps its model in memory, a context its adapters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from the_edge_agent.errors import ModelLoadFailed
from the_edge_agent.llama.library import explain
from the_edge_agent.llama.model import LlamaModel, encode_path
from the_edge_agent.llama.owned import Handle, Owned


class LlamaAdapter(Handle):
    """A LoRA adapter for one model. Open with ``load``; close it, or use it in a ``with`` block."""

    __slots__ = ("__dict__",)

    def __init__(self, owned: Owned, model: LlamaModel, path: Path) -> None:
        super().__init__(owned)
        self.model = model
        self.path = path

    @classmethod
    def load(cls, model: LlamaModel, path: Path) -> LlamaAdapter:
        """Load a GGUF of type ``adapter``. Raises InvalidPath, ModelLoadFailed (not an adapter, or of another model)."""
        name = encode_path(path)
        if not path.is_file():
            raise ModelLoadFailed("no such file", place=str(path), fix="check the adapter's path")
        lib = model.library.bindings
        model_owned = model.owned
        model_pointer = model_owned.lease()
        with model.library.said() as lines:
            pointer = lib.llama_adapter_lora_init(model_pointer, name)
        if not pointer:
            model_owned.release()
            raise ModelLoadFailed(
                explain(lines) or "libllama can't load this adapter",
                place=str(path),
                fix="give a LoRA GGUF that was made for this model",
            )

        def free(address: Any) -> None:
            lib.llama_adapter_lora_free(address)
            model_owned.release()

        return cls(Owned("adapter", pointer, free), model, path)
