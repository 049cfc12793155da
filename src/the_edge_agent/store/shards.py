"""GGUF models split over files, and which files of a repository make up one model. Pure over names.

Only the hub's naming is read from names here; what a model is, its own metadata says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from the_edge_agent.errors import ModelNotFound

_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_QUANTIZATION = re.compile(
    r"(?:^|[-._/])(?P<label>(?:UD-)?(?:I?Q\d[A-Z0-9_]*|BF16|F16|F32|MXFP4(?:_MOE)?|TQ\d_\d|fp16))(?=[-./]|$)",
    re.IGNORECASE,
)
#: What is taken where a repository offers several and none was named: the usual trade of size and quality first.
PREFERRED = ("Q4_K_M", "Q4_0", "Q8_0")


def shard_names(name: str) -> tuple[str, ...]:
    """All files of the model that ``name`` is a file of: itself, or its whole set of shards in order."""
    found = _SHARD.fullmatch(name)
    if found is None:
        return (name,)
    count = int(found["count"])
    return tuple(f"{found['stem']}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1))


def label_of(name: str) -> str:
    """The quantization that a file's name claims, upper case, or empty: for choosing on the hub, never for facts."""
    labels = [found["label"] for found in _QUANTIZATION.finditer(name.removesuffix(".gguf"))]
    return labels[-1].upper() if labels else ""


def choose_files(names: Iterable[str], quantization: str, *, place: str) -> tuple[str, ...]:
    """The files of one model among a repository's: those of ``quantization``, or the only or preferred ones.

    Raises ModelNotFound naming what is offered.
    """
    first: dict[str, str] = {}
    for name in sorted(names):
        base = name.rsplit("/", 1)[-1].lower()
        if base.endswith(".gguf") and "mmproj" not in base and shard_names(name)[0] == name:
            first[name] = label_of(name)
    wanted = quantization.upper()
    if wanted:
        hits = [name for name, label in first.items() if label in (wanted, f"UD-{wanted}")]
        hits = [name for name in hits if first[name] == wanted] or hits
    else:
        hits = list(first)
        for preferred in PREFERRED:
            if len(hits) > 1:
                hits = [name for name, label in first.items() if label == preferred] or hits
    if len(hits) == 1:
        return shard_names(hits[0])
    offered = ", ".join(sorted({label or name for name, label in first.items()})) or "no GGUF file"
    if hits:
        raise ModelNotFound(
            f"several files fit: {', '.join(hits)}", place=place, fix="name one: hf:org/repo/file.gguf"
        )
    raise ModelNotFound(
        f"the repository offers {offered}", place=place, fix="name one of them: hf:org/repo:QUANT"
    )
