"""What a person may write for a model, parsed: a name, ``hf:org/repo:QUANT``, an address, a file. Pure; looks nowhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from the_edge_agent.errors import UsageError
from the_edge_agent.store.paths import checked_part, checked_relative

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True, slots=True)
class NameRef:
    """A name of the catalogue, or one that was given at import or pull."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class HubRef:
    """A repository of the Hugging Face hub, and which of its files: by ``file`` or by ``quantization``."""

    repo: str
    quantization: str = ""
    file: str = ""
    revision: str = "main"

    def __str__(self) -> str:
        at = "" if self.revision == "main" else f"@{self.revision}"
        rest = f"/{self.file}" if self.file else f":{self.quantization}" if self.quantization else ""
        return f"hf:{self.repo}{at}{rest}"


@dataclass(frozen=True, slots=True)
class UrlRef:
    """A file behind http(s)."""

    url: str

    @property
    def file(self) -> str:
        """The last part of the path, as a safe name. Raises PathRefused."""
        return checked_part(unquote(urlsplit(self.url).path).rsplit("/", 1)[-1], place=self.url)

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file on this machine, as written (``~`` and ``$VARS`` not yet expanded)."""

    path: str

    def __str__(self) -> str:
        return self.path


ModelRef: TypeAlias = NameRef | HubRef | UrlRef | FileRef


def parse_ref(text: str) -> ModelRef:
    """Read a reference to a model.

    Raises:
        UsageError: it is none of the known forms.
        PathRefused: a name in it can't be a file's name.
    """
    text = text.strip()
    if text.startswith("hf:"):
        return _hub_ref(text)
    if re.match(r"https?://", text, re.IGNORECASE):
        if not urlsplit(text).hostname:
            raise UsageError(f"{text!r} names no host", fix="write https://host/path/model.gguf")
        return UrlRef(text)
    if text.startswith("file:"):
        path = text.removeprefix("file:")
        return FileRef(unquote(path.removeprefix("//")) if path.startswith("//") else path)
    if "/" in text or "\\" in text or text.startswith(("~", "$", ".")) or text.lower().endswith(".gguf"):
        return FileRef(text)
    if "://" in text or not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} is no model reference",
            fix="write a name (`tea models list`), hf:org/repo:QUANT, https://…, file:… or a path",
        )
    return NameRef(text)


def _hub_ref(text: str) -> HubRef:
    body = text.removeprefix("hf:")
    body, _, quantization = body.partition(":")
    parts = body.split("/", 2)
    if len(parts) < 2 or (quantization and len(parts) > 2):
        raise UsageError(
            f"{text!r} is no hub reference", fix="write hf:org/repo:QUANT or hf:org/repo/file.gguf"
        )
    repo_name, _, revision = parts[1].partition("@")
    org, repo_name = checked_part(parts[0], place=text), checked_part(repo_name, place=text)
    file = str(checked_relative(parts[2], place=text)) if len(parts) > 2 else ""
    if quantization:
        checked_part(quantization, place=text)
    return HubRef(
        repo=f"{org}/{repo_name}",
        quantization=quantization,
        file=file,
        revision=checked_part(revision, place=text) if revision else "main",
    )
