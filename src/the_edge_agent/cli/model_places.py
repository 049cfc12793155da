"""From the environment to what the store's functions take. Knows no verbs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from the_edge_agent.settings import Environment
from the_edge_agent.store.locate import ModelQuery
from the_edge_agent.store.places import StorePlaces

if TYPE_CHECKING:
    from the_edge_agent.store.http_options import HttpOptions
    from the_edge_agent.store.pull_options import PullOptions


def store_places(environment: Environment) -> StorePlaces:
    """Where models are kept."""
    return StorePlaces(environment.models_dir, environment.hf_hub_cache)


def model_query(environment: Environment) -> ModelQuery:
    """A query with nothing asked yet: what a run without flags would use."""
    return ModelQuery(
        store_dir=environment.models_dir,
        hf_hub_dir=environment.hf_hub_cache,
        base_dir=Path(),
        env_model_path=environment.model_path,
        appdir=str(environment.appdir) if environment.appdir else None,
        environ=environment.environ,
    )


def http_options(environment: Environment) -> HttpOptions:
    """Token, proxy and certificates as the environment has them."""
    from the_edge_agent.store.http_options import HttpOptions

    environ = environment.environ
    direct = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    proxy = environ.get("HTTPS_PROXY") or environ.get("https_proxy") or None
    return HttpOptions(
        token=environment.hf_token or _token_of_the_hubs_own_login(environment),
        token_origin=environment.hf_endpoint,
        proxy=proxy,
        direct_hosts=tuple(name.strip().lstrip(".").lower() for name in direct.split(",") if name.strip()),
        ca_file=environ.get("SSL_CERT_FILE") or None,
    )


def pull_options(environment: Environment, *, connections: int = 4) -> PullOptions:
    """How to pull, as the environment has it."""
    from the_edge_agent.store.download import DownloadOptions
    from the_edge_agent.store.pull_options import PullOptions
    from the_edge_agent.store.transfer import TransferOptions

    return PullOptions(
        download=DownloadOptions(
            http=http_options(environment), transfer=TransferOptions(connections=min(connections, 16))
        ),
        endpoint=environment.hf_endpoint,
        offline=environment.offline or environment.hf_hub_offline,
    )


def _token_of_the_hubs_own_login(environment: Environment) -> str | None:
    try:
        return (environment.hf_home / "token").read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
