"""``tea models pull | verify | rm | import``: bringing models, checking them, taking them away."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.model_places import pull_options, store_places
from the_edge_agent.cli.text import format_bytes
from the_edge_agent.errors import UsageError
from the_edge_agent.settings import Environment, load_settings
from the_edge_agent.store.importing import import_model
from the_edge_agent.store.inventory import HeldFile, held_files, remove_model
from the_edge_agent.store.manifest import load_manifest
from the_edge_agent.store.paths import checked_sha256, is_sha256
from the_edge_agent.store.progress import Progress
from the_edge_agent.store.pull import PulledModel, pull_model
from the_edge_agent.store.refs import FileRef, parse_ref
from the_edge_agent.store.verify import (
    FileCheck,
    Judge,
    repair,
    verify_digest,
    verify_manifest,
    verify_record,
)


def pull(args: argparse.Namespace, console: Console) -> int:
    """``tea models pull``: the path goes to stdout, the bar and the licence to stderr."""
    environment = load_settings()
    options = replace(
        pull_options(environment, connections=args.connections),
        accept_new=args.accept_new,
        into_hf_cache=args.hf_cache,
        name=args.name,
        sha256=checked_sha256(args.sha256.lower(), place="--sha256") if args.sha256 else None,
        manifest=load_manifest(Path(args.manifest)) if args.manifest else None,
    )

    def show_license(name: str, url: str | None) -> None:
        console.err(f"Licence: {name}" + (f" ({url})" if url else ""))

    with ProgressBar(console, quiet=args.quiet) as bar:
        pulled = pull_model(
            args.model, store_places(environment), options, on_progress=bar, on_license=show_license
        )
    if args.json:
        console.json(pulled_facts(pulled))
        return 0
    fetched = any(file.fetched for file in pulled.files)
    console.err(f"{pulled.name} is {'here' if fetched else 'here already'}:")
    console.out(str(pulled.path))
    return 0


def verify(args: argparse.Namespace, console: Console) -> int:
    """``tea models verify``: exit code 1 where something is bad (and stays so)."""
    environment = load_settings()
    with console.status(f"checking {args.model}"):
        checks = _checks(args, environment)
    repaired = 0
    if args.repair:
        mended: list[tuple[FileCheck, HeldFile | None]] = []
        for check, held in checks:
            if check.sound:
                mended.append((check, held))
                continue
            repaired += _repair(check, held, args, environment)
            mended += [pair for pair in _checks(args, environment) if pair[0].path == check.path]
        checks = mended
    sound = all(check.sound for check, _ in checks)
    if args.json:
        console.json(
            {
                "sound": sound,
                "repaired_bytes": repaired,
                "files": [
                    {
                        "path": str(check.path),
                        "sha256": check.sha256,
                        "size_bytes": check.size_bytes,
                        "sound": check.sound,
                        "reason": check.reason,
                        "bad_chunks": [
                            {"offset": chunk.offset, "size_bytes": chunk.size_bytes} for chunk in check.bad
                        ],
                    }
                    for check, _ in checks
                ],
            }
        )
        return 0 if sound else 1
    if repaired:
        console.err(f"Fetched {format_bytes(repaired)} again.")
    for check, _ in checks:
        state = f"sound, sha256 {check.sha256}" if check.sound else f"bad: {check.reason}"
        console.out(f"{check.path}: {state}")
    if not sound and not args.repair:
        console.err("`tea models verify --repair` fetches the bad pieces again.")
    return 0 if sound else 1


def remove(args: argparse.Namespace, console: Console) -> int:
    """``tea models rm``."""
    freed = remove_model(args.model, store_places(load_settings()), shared_too=args.hf_cache)
    if args.json:
        console.json({"removed": args.model, "freed_bytes": freed})
    else:
        console.err(f"Removed {args.model}, {format_bytes(freed)} freed.")
    return 0


def import_file(args: argparse.Namespace, console: Console) -> int:
    """``tea models import``."""
    path = Path(args.file).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {path}", fix="give a .gguf file")
    imported = import_model(path, store_places(load_settings()), name=args.name)
    if args.json:
        console.json(pulled_facts(imported))
        return 0
    console.err(f"{imported.name} is here:")
    console.out(str(imported.path))
    return 0


def pulled_facts(pulled: PulledModel) -> dict[str, Any]:
    """What ``pull --json`` and ``import --json`` print."""
    return {
        "name": pulled.name,
        "path": str(pulled.path),
        "license": pulled.license,
        "license_url": pulled.license_url,
        "architecture": pulled.header.architecture,
        "quantization": pulled.header.quantization,
        "context_length": pulled.header.context_length,
        "files": [
            {
                "file": file.file,
                "path": str(file.path),
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
                "fetched": file.fetched,
            }
            for file in pulled.files
        ],
    }


def _checks(args: argparse.Namespace, environment: Environment) -> list[tuple[FileCheck, HeldFile | None]]:
    if args.manifest:
        manifest = load_manifest(Path(args.manifest))
        return [(verify_manifest(path, manifest), held) for path, held in _files(args.model, environment)]
    if args.sha256:
        sha256 = checked_sha256(args.sha256.lower(), place="--sha256")
        return [(verify_digest(path, sha256), held) for path, held in _files(args.model, environment)]
    return [(_check_held(path, held), held) for path, held in _files(args.model, environment)]


def _files(text: str, environment: Environment) -> list[tuple[Path, HeldFile | None]]:
    if isinstance(parse_ref(text), FileRef):
        path = Path(text.removeprefix("file://").removeprefix("file:")).expanduser()
        if not path.is_file():
            raise UsageError(f"there is no file {path}", fix="check the path")
        return [(path, None)]
    return [(held.path, held) for held in held_files(text, store_places(environment))]


def _check_held(path: Path, held: HeldFile | None) -> FileCheck:
    if held is None:
        raise UsageError(f"nothing is known of {path}", fix="give --sha256 or --manifest to check it against")
    if held.record is not None:
        return verify_record(path, held.record)
    # The Hugging Face cache names large files by their SHA-256.
    name = path.resolve().name
    if not is_sha256(name):
        raise UsageError(f"nothing is known of {path}", fix="give --sha256 or --manifest to check it against")
    return verify_digest(path, name)


def _repair(
    check: FileCheck, held: HeldFile | None, args: argparse.Namespace, environment: Environment
) -> int:
    record = held.record if held else None
    if record is None or not record.url.startswith(("http://", "https://")):
        raise UsageError(
            f"it isn't known where {check.path} came from",
            fix="import it again" if record else "remove it and pull it again",
        )
    options = pull_options(environment)
    if options.offline:
        raise UsageError(
            "repair needs the network, and TEA_OFFLINE or HF_HUB_OFFLINE forbids it", fix="unset it"
        )
    if not check.bad:
        raise UsageError(
            "which pieces are bad isn't known",
            fix=f"`tea models rm {args.model}`, then `tea models pull {args.model}`",
        )
    judge = (
        Judge.of_manifest(load_manifest(Path(args.manifest))) if args.manifest else Judge.of_record(record)
    )
    return repair(check, record.url, options.download, judge)


class ProgressBar:
    """Turns the store's Progress into the console's bar, one file after the other."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._stack = ExitStack()
        self._bar: Any = None
        self._shown = ("", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # pyright: ignore[reportArgumentType]

    def __call__(self, progress: Progress) -> None:
        """Show a moment."""
        if self._quiet:
            return
        if progress.file != self._shown[0]:
            self._stack.close()
            self._bar = self._stack.enter_context(
                self._console.progress(progress.file, progress.total_bytes or None)
            )
        if (progress.file, progress.phase) != self._shown:
            words = {"waiting": "another tea fetches", "checking": "checking"}.get(progress.phase, "")
            self._bar.relabel(f"{words} {progress.file}".strip())
        self._shown = (progress.file, progress.phase)
        self._bar.update(progress.done_bytes, progress.total_bytes or None)
