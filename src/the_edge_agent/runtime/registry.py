"""From the configuration and the model store to models that the manager can run: which file, which worker, how much memory.

Names of requests are looked up in the store and the Hugging Face cache; nothing is fetched. A path is only taken from the
configuration, or from LoadModel when it lies in a folder that is allowed. Knows nothing of what is loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from the_edge_agent.errors import ModelNotFound, PathRefused
from the_edge_agent.inference import Level
from the_edge_agent.runtime.config import ModelConfig, RuntimeConfig, is_model_name
from the_edge_agent.runtime.model_status import ManagedModel
from the_edge_agent.runtime.schedule import Model
from the_edge_agent.runtime.worker_spec import WorkerSpec
from the_edge_agent.settings import Environment
from the_edge_agent.store.catalogue import EMBEDDED_NAME
from the_edge_agent.store.locate import LocatedModel, ModelQuery, locate_model, locate_named

MIB = 2**20
#: What a worker takes beside its weights: interpreter, library, KV cache and buffers of a small context.
WORKER_BYTES = 96 * MIB
LOCAL_COMMAND = (sys.executable, "-P", "-m", "the_edge_agent.runtime.worker")


@dataclass(frozen=True, slots=True)
class Registered:
    """A model that the daemon offers. ``n_ctx_limit`` is what its file says it was trained for."""

    managed: ManagedModel
    level: Level
    path: Path
    n_ctx_limit: int

    @property
    def name(self) -> str:
        """What requests call it."""
        return self.managed.model.name


def configured_models(config: RuntimeConfig, environment: Environment) -> dict[str, Registered]:
    """The models of the file in its order; without any, the model that ``tea run`` would use, operational.

    Raises:
        ModelNotFound: a file or a name isn't there; the place is the key.
        GgufInvalid: a file is there and isn't sound.
    """
    if config.models:
        return {
            name: _register(name, model, _locate(name, model, environment), config)
            for name, model in config.models.items()
        }
    query = _query(environment)
    located = locate_model(replace(query, env_model_path=environment.model_path))
    name = located.name if is_model_name(located.name) else EMBEDDED_NAME
    return {name: _register(name, ModelConfig(level="operational"), located, config)}


def find_model(name: str, config: RuntimeConfig, environment: Environment) -> Registered:
    """A model that isn't configured, by a name that the store knows. Raises ModelNotFound, GgufInvalid."""
    if not is_model_name(name):
        raise ModelNotFound(f"{name!r:.80} is no model's name", place="request.model", fix="see /v1/models")
    located = locate_named(name, _query(environment), rule="request.model")
    return _register(name, ModelConfig(), located, config)


def model_at_path(
    name: str, path: str, model: ModelConfig, config: RuntimeConfig, environment: Environment
) -> Registered:
    """A model by a path that a client gave.

    Raises:
        PathRefused: it isn't, after symlinks, under the store, the Hugging Face cache or one of ``model_dirs``.
        ModelNotFound, GgufInvalid: it isn't there, or isn't sound.
    """
    if not is_model_name(name):
        raise ModelNotFound(
            f"{name!r:.80} is no model's name", place="model_name", fix="use letters, digits and . _ : -"
        )
    real = Path(os.path.realpath(path))
    roots = [
        environment.models_dir,
        environment.hf_hub_cache,
        *(Path(folder).expanduser() for folder in config.model_dirs),
    ]
    if "\0" in path or not any(real.is_relative_to(os.path.realpath(root)) for root in roots):
        raise PathRefused(
            "the file lies in no folder that models may be loaded from",
            place="model_path",
            fix="add its folder to model_dirs in the daemon's configuration, or configure the model there",
        )
    located = locate_model(replace(_query(environment), gguf=str(real)))
    return _register(name, replace(model, path=str(real)), located, config)


def _register(name: str, model: ModelConfig, located: LocatedModel, config: RuntimeConfig) -> Registered:
    operational = model.level == "operational"
    file_bytes = sum(path.stat().st_size for path in located.shards or (located.path,))
    options, beside = _options(name, model)
    file_bytes += sum(path.stat().st_size for path in beside)
    command = LOCAL_COMMAND
    if model.worker == "llama-server":
        command = (sys.executable, "-P", "-m", "the_edge_agent.runtime.llama_server_worker")
        options["binary"] = os.path.expanduser(config.workers.llama_server)  # noqa: PTH111 - a bare name stays one
    return Registered(
        ManagedModel(
            Model(
                name=name,
                size_bytes=model.size_bytes or file_bytes + file_bytes // 5 + WORKER_BYTES,
                slots=model.parallel,
                pinned=model.pinned or operational,
                keep_alive_s=None if operational else model.keep_alive_s,
                wanted=model.preload or operational,
            ),
            WorkerSpec(
                name,
                str(located.path.absolute()),
                options,
                command,
                config.offline,
                standby=config.workers.standby and model.worker == "local",
            ),
        ),
        model.level,
        located.path,
        located.header.context_length or 0,
    )


def _options(name: str, model: ModelConfig) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """What the worker is told, without what is left to its own rules, and the files that it opens beside the model's."""
    projector = _file(model.projector, f"models.{name}.projector")
    draft_model = _file(model.draft_model, f"models.{name}.draft_model")
    lora = [(_file(file, f"models.{name}.lora"), scale) for file, scale in model.lora.items()]
    options = {
        "n_ctx": model.n_ctx,
        "n_threads": model.n_threads,
        "n_gpu_layers": model.n_gpu_layers,
        "n_seq_max": model.parallel,
        "chat_format": model.chat_format or None,
        "kv_type": model.kv_type,
        "flash_attention": model.flash_attention,
        "draft_tokens": model.draft_tokens or None,
        "projector": projector and str(projector),
        "draft_model": draft_model and str(draft_model),
        "lora": [(str(file), scale) for file, scale in lora] or None,
    }
    beside = (projector, draft_model, *(file for file, _ in lora))
    given = {key: value for key, value in options.items() if value is not None}
    return given, tuple(file for file in beside if file is not None)


def _file(text: str, place: str) -> Path | None:
    """A file that the configuration names; None for none. Raises ModelNotFound."""
    if not text:
        return None
    try:
        path = Path(text).expanduser().absolute()
        is_there = path.is_file()
    except (
        OSError,
        RuntimeError,
    ) as error:  # a folder that is closed to us, a name too long, a home that isn't known
        why = getattr(error, "strerror", None) or str(error)
        raise ModelNotFound(f"{text:.200} can't be read: {why}", place=place, fix="check the path") from None
    if not is_there:
        raise ModelNotFound(f"{text:.200} isn't there", place=place, fix="check the path")
    return path


def _locate(name: str, model: ModelConfig, environment: Environment) -> LocatedModel:
    query = _query(environment)
    place = f"models.{name}"
    if not model.path:
        return locate_named(name, query, rule=place)
    looks_like_path = model.path.endswith(".gguf") or "/" in model.path.removeprefix("hf:").partition(":")[0]
    if looks_like_path and not model.path.startswith("hf:"):
        try:
            return locate_model(replace(query, gguf=model.path))
        except ModelNotFound as error:
            raise ModelNotFound(error.what, place=f"{place}.path", fix=error.fix) from None
    return locate_named(model.path, query, rule=f"{place}.path")


def _query(environment: Environment) -> ModelQuery:
    environ: Mapping[str, str] = environment.environ
    return ModelQuery(
        store_dir=environment.models_dir,
        hf_hub_dir=environment.hf_hub_cache,
        appdir=str(environment.appdir) if environment.appdir else None,
        environ=environ,
    )


def machine_memory_bytes() -> int:
    """80 % of this machine's memory, or of what its control group may use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return total * 4 // 5
