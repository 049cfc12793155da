"""The only reader of the environment: one table of names, defaults and help.

``load_settings(environ)`` checks every value once and hands out a frozen ``Environment``; the composition root passes
it on. This module knows nothing of agent files, of flags, or of what the values are used for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from the_edge_agent.errors import SettingInvalid

SECRET_PREFIX = "TEA_SECRET_"  # noqa: S105 - a prefix of names, no secret


@dataclass(frozen=True, slots=True)
class Variable:
    """A row of the table: the variable, what it means, and how its text becomes a value."""

    name: str
    help: str
    parse: Callable[[str], Any]
    default: Any = None


def _parse_text(text: str) -> str:
    return text


def _parse_path(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser()


def _parse_flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("give 1 or 0")


def _parse_count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("give a whole number above 0")
    return value


VARIABLES: Mapping[str, Variable] = {
    "model_path": Variable(
        "TEA_MODEL_PATH", "GGUF that answers when no flag and no action names one", _parse_text
    ),
    "data_dir": Variable(
        "TEA_DATA_DIR", "Folder of runs, memories and models (XDG data folder)", _parse_path
    ),
    "models_dir": Variable(
        "TEA_MODELS_DIR", "Folder of the model store (models/ in the data folder)", _parse_path
    ),
    "offline": Variable(
        "TEA_OFFLINE", "1: never open a connection that leaves the machine", _parse_flag, default=False
    ),
    "n_threads": Variable("TEA_N_THREADS", "Threads of the local model (measured default)", _parse_count),
    "debug": Variable(
        "TEA_DEBUG", "1: show tracebacks and the library's own log", _parse_flag, default=False
    ),
    "llama_lib": Variable(
        "TEA_LLAMA_LIB", "Folder of libllama, instead of the one that was installed", _parse_path
    ),
    "runtime_socket": Variable("TEA_RUNTIME_SOCKET", "Unix socket of the daemon", _parse_path),
    "api_base_url": Variable("TEA_API_BASE_URL", "OpenAI-compatible API for `--backend api`", _parse_text),
    "api_model": Variable("TEA_API_MODEL", "Model that is asked of that API", _parse_text),
    "api_key_env": Variable(
        "TEA_API_KEY_ENV",
        "Name of the variable that holds the API's key",
        _parse_text,
        default="OPENAI_API_KEY",
    ),
    "mcp_config": Variable(
        "TEA_MCP_CONFIG", "JSON file of the MCP servers that agents may name", _parse_path
    ),
    "appdir": Variable("APPDIR", "Set inside an AppImage: where its files are mounted", _parse_path),
    "hf_home": Variable("HF_HOME", "Hugging Face's folder (~/.cache/huggingface)", _parse_path),
    "hf_hub_cache": Variable("HF_HUB_CACHE", "Hugging Face's model cache ($HF_HOME/hub)", _parse_path),
    "hf_hub_offline": Variable("HF_HUB_OFFLINE", "1: never ask the hub", _parse_flag, default=False),
    "hf_token": Variable("HF_TOKEN", "Token for gated models; sent to the hub's host alone", _parse_text),
    "hf_endpoint": Variable(
        "HF_ENDPOINT", "Address of the hub", _parse_text, default="https://huggingface.co"
    ),
    "xdg_data_home": Variable("XDG_DATA_HOME", "Base of the data folder (~/.local/share)", _parse_path),
    "xdg_runtime_dir": Variable("XDG_RUNTIME_DIR", "Base of the daemon's socket", _parse_path),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment's values, checked. Absent ones are None or the table's default."""

    model_path: str | None
    data_dir: Path
    models_dir: Path
    offline: bool
    n_threads: int | None
    debug: bool
    llama_lib: Path | None
    runtime_socket: Path
    api_base_url: str | None
    api_model: str | None
    api_key_env: str
    mcp_config: Path | None
    appdir: Path | None
    hf_home: Path
    hf_hub_cache: Path
    hf_hub_offline: bool
    hf_token: str | None
    hf_endpoint: str
    xdg_data_home: Path
    xdg_runtime_dir: Path | None
    environ: Mapping[str, str]
    """Everything, for keys that a file names (``settings.llm.api.key_env``)."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """What templates see as ``secrets``: ``TEA_SECRET_TOKEN`` is ``secrets.TOKEN``, and nothing else is there.

        A file must not be able to read the whole environment, so a secret is one that somebody named as such.
        """
        return {
            name.removeprefix(SECRET_PREFIX): value
            for name, value in self.environ.items()
            if name.startswith(SECRET_PREFIX) and value
        }


def load_settings(environ: Mapping[str, str] | None = None) -> Environment:
    """Read and check the environment (``os.environ`` unless given).

    Raises:
        SettingInvalid: naming the variable and what it takes.
    """
    source = dict(os.environ if environ is None else environ)
    values: dict[str, Any] = {key: _read(variable, source) for key, variable in VARIABLES.items()}
    home = _home(source)
    values["xdg_data_home"] = values["xdg_data_home"] or home / ".local" / "share"
    values["data_dir"] = values["data_dir"] or values["xdg_data_home"] / "the-edge-agent"
    values["models_dir"] = values["models_dir"] or values["data_dir"] / "models"
    values["hf_home"] = values["hf_home"] or home / ".cache" / "huggingface"
    values["hf_hub_cache"] = values["hf_hub_cache"] or values["hf_home"] / "hub"
    runtime_base = values["xdg_runtime_dir"] or values["data_dir"]
    values["runtime_socket"] = values["runtime_socket"] or runtime_base / "tea" / "runtime.sock"
    return Environment(
        environ=source, **{entry.name: values[entry.name] for entry in fields(Environment)[:-1]}
    )


def _read(variable: Variable, environ: Mapping[str, str]) -> object:
    text = environ.get(variable.name)
    if not text:  # an empty variable is an absent one, as shells and systemd set them
        return variable.default
    try:
        return variable.parse(text)
    except ValueError as error:
        raise SettingInvalid(
            f"{variable.name} is {text!r}: {error}", place="environment", fix=f"it means: {variable.help}"
        ) from None


def _home(environ: Mapping[str, str]) -> Path:
    """HOME as given, else the password database's, else the working folder (a container without either)."""
    home = environ.get("HOME")
    if home:
        return Path(home)
    try:
        return Path.home()
    except RuntimeError:
        return Path.cwd()
