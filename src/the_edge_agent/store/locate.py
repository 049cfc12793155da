"""Which file answers: one order of rules, the first that speaks decides, and every error names the rule that spoke.

1. ``--gguf``
2. ``model_path`` of the action
3. ``model`` of the action: a name, looked up in the store, the Hugging Face cache and the AppImage
4. ``TEA_MODEL_PATH``
5. ``settings.llm.model_path``, then ``settings.llm.model``
6. the only model in ``$APPDIR/usr/share/models``
7. the embedded model

A rule that names a file or a model which isn't there is an error, never a step to the next rule: nobody gets a tiny
model in place of the one they named. Fetches nothing; knows nothing of settings files or flags beyond their values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from the_edge_agent.errors import GgufInvalid, ModelNotFound
from the_edge_agent.gguf import GgufHeader, read_header
from the_edge_agent.store.catalogue import EMBEDDED_NAME, find_entry, unknown_name
from the_edge_agent.store.expand import expand_path
from the_edge_agent.store.hub_cache import LOCAL_ORGANISATION, HubCache
from the_edge_agent.store.refs import FileRef, HubRef, NameRef, UrlRef, parse_ref
from the_edge_agent.store.shards import choose_files, shard_names

EMBEDDED_DIR = Path(__file__).with_name("embedded")
APPDIR_MODELS = Path("usr/share/models")

RULE_GGUF = "--gguf"
RULE_ACTION_PATH = "the action's model_path"
RULE_ACTION_NAME = "the action's model"
RULE_ENVIRONMENT = "TEA_MODEL_PATH"
RULE_SETTINGS_PATH = "settings.llm.model_path"
RULE_SETTINGS_NAME = "settings.llm.model"
RULE_APPDIR = "$APPDIR/usr/share/models"
RULE_EMBEDDED = "the embedded model"


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """All that decides which file answers, as text. Relative paths of an agent file start at ``base_dir``."""

    store_dir: Path
    hf_hub_dir: Path
    base_dir: Path = field(default_factory=Path)
    gguf: str | None = None
    action_model_path: str | None = None
    model_name: str | None = None
    env_model_path: str | None = None
    settings_model_path: str | None = None
    settings_model_name: str | None = None
    appdir: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    """For ``~`` and ``$VARS`` in paths."""


@dataclass(frozen=True, slots=True)
class LocatedModel:
    """A file whose header was read and found sound. ``path`` is the first shard of a split model."""

    path: Path
    name: str
    rule: str
    header: GgufHeader
    shards: tuple[Path, ...] = ()


def embedded_model_path() -> Path:
    """The model inside the package. Raises ModelNotFound where an installation was stripped of it."""
    path = EMBEDDED_DIR / "tiny.gguf"
    if not path.is_file():
        raise ModelNotFound(
            "this installation has no embedded model",
            place=RULE_EMBEDDED,
            fix="install the-edge-agent again, or name a model with --gguf FILE",
        )
    return path


def locate_model(query: ModelQuery) -> LocatedModel:
    """Choose the model file and check its header.

    Raises:
        ModelNotFound: a rule names what isn't there; the place is the rule.
        GgufInvalid: the file is there and is not sound.
    """
    for rule, text, base in (
        (RULE_GGUF, query.gguf, Path()),
        (RULE_ACTION_PATH, query.action_model_path, query.base_dir),
    ):
        if text:
            return _checked(_named_file(text, base, query, rule), rule)
    if query.model_name:
        return locate_named(query.model_name, query, rule=RULE_ACTION_NAME)
    for rule, text, base in (
        (RULE_ENVIRONMENT, query.env_model_path, Path()),
        (RULE_SETTINGS_PATH, query.settings_model_path, query.base_dir),
    ):
        if text:
            return _checked(_named_file(text, base, query, rule), rule)
    if query.settings_model_name:
        return locate_named(query.settings_model_name, query, rule=RULE_SETTINGS_NAME)
    bundled = _only_bundled(query.appdir)
    if bundled is not None:
        return _checked(bundled, RULE_APPDIR)
    return _checked(embedded_model_path(), RULE_EMBEDDED, name=EMBEDDED_NAME)


def locate_named(text: str, query: ModelQuery, *, rule: str) -> LocatedModel:
    """Find a model by name or reference in the store, the Hugging Face cache and the AppImage; fetches nothing.

    Raises ModelNotFound (with the command that would fetch it) or GgufInvalid.
    """
    ref = parse_ref(text)
    if isinstance(ref, FileRef):
        return _checked(_named_file(ref.path, query.base_dir, query, rule), rule)
    if isinstance(ref, NameRef):
        entry = find_entry(ref.name)
        if entry is not None and entry.embedded:
            return _checked(embedded_model_path(), rule, name=EMBEDDED_NAME)
        for path in _by_name(ref.name, query):
            return _checked(path, rule, name=entry.name if entry else ref.name)
        if entry is None:
            raise unknown_name(ref.name, place=rule)
    elif isinstance(ref, HubRef):
        for cache in (HubCache(query.store_dir), HubCache(query.hf_hub_dir)):
            path = _from_hub(ref, cache)
            if path is not None:
                return _checked(path, rule, name=str(ref))
    else:
        path = HubCache(query.store_dir).find(f"{LOCAL_ORGANISATION}/{_stem(ref)}", ref.file)
        if path is not None:
            return _checked(path, rule, name=_stem(ref))
    raise ModelNotFound(
        f"{text!r} is not on this machine", place=rule, fix=f"`tea models pull {text}` fetches it"
    )


def local_files(name: str, cache: HubCache) -> tuple[str, ...]:
    """Files kept under a name of the user's own giving (import, or pull of an address)."""
    return cache.files(f"{LOCAL_ORGANISATION}/{name}")


def _by_name(name: str, query: ModelQuery) -> Iterator[Path]:
    entry = find_entry(name)
    caches = (HubCache(query.store_dir), HubCache(query.hf_hub_dir))
    if entry is None:
        files = local_files(name, caches[0])
        found = caches[0].find(f"{LOCAL_ORGANISATION}/{name}", files[0]) if files else None
        if found is not None:
            yield found
    else:
        for cache in caches:
            found = cache.find(entry.repo, entry.files[0].name)
            if found is not None:
                yield found
    if query.appdir:
        folder = Path(query.appdir) / APPDIR_MODELS
        for file in (entry.files[0].name if entry else f"{name}.gguf", f"{name.lower()}.gguf"):
            if (folder / file).is_file():
                yield folder / file


def _from_hub(ref: HubRef, cache: HubCache) -> Path | None:
    if ref.file:
        return cache.find(ref.repo, ref.file, ref.revision)
    names = cache.files(ref.repo, ref.revision)
    if not names:
        return None
    try:
        return cache.find(ref.repo, choose_files(names, ref.quantization, place=str(ref))[0], ref.revision)
    except ModelNotFound:
        return None


def _stem(ref: UrlRef) -> str:
    return ref.file.removesuffix(".gguf")


def _named_file(text: str, base: Path, query: ModelQuery, rule: str) -> Path:
    path = base / expand_path(text, query.environ, place=rule)
    if path.is_dir():
        raise ModelNotFound(f"{path} is a folder", place=rule, fix="name the .gguf file in it")
    if not path.exists():
        near = sorted(other.name for other in path.parent.glob("*.gguf"))[:5] if path.parent.is_dir() else []
        fix = f"that folder holds {', '.join(near)}" if near else "check the path"
        raise ModelNotFound(f"there is no file {path}", place=rule, fix=fix)
    return path


def _only_bundled(appdir: str | None) -> Path | None:
    """The one model of the AppImage's folder; None where there is none."""
    if not appdir:
        return None
    folder = Path(appdir) / APPDIR_MODELS
    names = sorted(path.name for path in folder.glob("*.gguf")) if folder.is_dir() else []
    first = [name for name in names if shard_names(name)[0] == name]
    if len(first) > 1:
        raise ModelNotFound(
            f"{folder} holds several models: {', '.join(first)}",
            place=RULE_APPDIR,
            fix="name one with --gguf or model:",
        )
    return folder / first[0] if first else None


def _checked(path: Path, rule: str, *, name: str = "") -> LocatedModel:
    try:
        header = read_header(path)
    except OSError as error:
        raise ModelNotFound(
            f"{path} can't be read: {error.strerror}", place=rule, fix="check the file's permissions"
        ) from error
    shards = tuple(path.with_name(shard) for shard in shard_names(path.name))
    if header.split_count > 1:
        _check_shards(path, header, shards, rule)
    return LocatedModel(
        path=path, name=name or path.name.removesuffix(".gguf"), rule=rule, header=header, shards=shards
    )


def _check_shards(path: Path, header: GgufHeader, shards: tuple[Path, ...], rule: str) -> None:
    if len(shards) != header.split_count:
        raise GgufInvalid(
            f"the file is one of {header.split_count} parts, and its name doesn't say which",
            place=str(path),
            fix="keep the names …-00001-of-0000N.gguf",
        )
    if header.split_number != 0:
        raise ModelNotFound(
            f"{path.name} is part {header.split_number + 1} of {header.split_count}",
            place=rule,
            fix=f"name {shards[0]}",
        )
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise ModelNotFound(
            f"the model's parts {', '.join(missing)} are missing", place=rule, fix="fetch it again"
        )
    for number, shard in enumerate(shards[1:], start=1):
        part = read_header(shard)
        if (part.split_count, part.split_number) != (header.split_count, number):
            raise GgufInvalid(f"it is not part {number + 1} of {header.split_count}", place=str(shard))
