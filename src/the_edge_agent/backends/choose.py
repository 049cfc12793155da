"""Which backend answers a node, and why: one pure decision over what was asked and what is there.

What was asked, first that speaks: the caller's ``--gguf`` (local) or ``--backend``, the node's ``backend``,
``settings.llm.backend``, else ``auto``. Then:

===========  ======================================================================================================
``local``    the model file in this process
``runtime``  the daemon; an error where its socket doesn't answer
``api``      the API; an error where none is configured or the node says ``privacy: local-only``
``auto``     the daemon if its socket answers and no file was named, else local
===========  ======================================================================================================

Where that one can't answer, the API stands in if somebody gave leave (``fallback: api``, ``backend: api`` or the
caller's ``--backend api``), it is configured, and the node doesn't say ``local-only``. That is always noticed. Nothing
else makes a prompt leave the machine: ``privacy: may-leave`` on a node alone gives no leave, and the caller's ``--gguf``,
``--backend local`` or ``--backend runtime`` takes back what the file gave. A model file that was named and is missing or
broken is an error and never a reason to ask an API; a model that was named and isn't on this machine is one.

This module opens nothing and knows nothing of files, sockets or keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from the_edge_agent.engine.ports import BackendChoice
from the_edge_agent.errors import (
    BackendUnavailable,
    EdgeAgentError,
    GgufInvalid,
    ModelNotFound,
    PrivacyRefused,
)
from the_edge_agent.store.locate import RULE_ACTION_PATH, RULE_ENVIRONMENT, RULE_GGUF, RULE_SETTINGS_PATH

Kind: TypeAlias = Literal["local", "runtime", "api"]
_FILE_RULES = frozenset({RULE_GGUF, RULE_ACTION_PATH, RULE_ENVIRONMENT, RULE_SETTINGS_PATH})


@dataclass(frozen=True, slots=True)
class Caller:
    """What the person who started the run said: flags, and the API that the environment names."""

    gguf: str | None = None
    backend: str | None = None
    model: str | None = None
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is there. ``local_error`` is why no local model can answer, or None where one can."""

    runtime_answers: bool = False
    local_error: EdgeAgentError | None = None
    api_configured: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answers, and what to tell the reader about it."""

    kind: Kind
    notices: tuple[str, ...] = ()


def wanted_backend(choice: BackendChoice, caller: Caller) -> str:
    """What was asked for: local, runtime, api or auto."""
    if caller.gguf:
        return "local"
    return caller.backend or choice.backend or choice.settings.backend or "auto"


def has_leave(choice: BackendChoice, caller: Caller) -> bool:
    """Whether the file or the caller allowed an API; a node's own ``local-only`` wins over all of them."""
    if choice.privacy == "local-only" or caller.gguf or caller.backend in ("local", "runtime"):
        return False
    asked = (caller.backend, choice.backend, choice.settings.backend)
    return choice.settings.fallback == "api" or "api" in asked


def decide(choice: BackendChoice, caller: Caller, facts: Facts) -> Decision:
    """Choose who answers.

    Raises:
        PrivacyRefused: the API was asked for and the node says ``local-only``.
        BackendUnavailable: the API isn't configured or the machine is set offline; the daemon doesn't answer.
        EdgeAgentError: ``facts.local_error``, where nothing may stand in for the local model.
    """
    wanted = wanted_backend(choice, caller)
    if wanted == "api":
        _check_api(choice, caller, facts)
        return Decision("api")
    if wanted == "runtime" or (
        wanted == "auto" and facts.runtime_answers and not _names_file(choice, caller)
    ):
        if facts.runtime_answers:
            return Decision("runtime")
        error: EdgeAgentError = BackendUnavailable(
            "the daemon doesn't answer", place="backend runtime", fix="start it with `tea runtime serve`"
        )
    elif facts.local_error is None:
        return Decision("local")
    else:
        error = facts.local_error
    stands_in = facts.api_configured and not caller.offline and not _is_bad_file(error)
    if stands_in and has_leave(choice, caller):
        return Decision("api", (f"the API answers: {error.what}",))
    raise error


def _names_file(choice: BackendChoice, caller: Caller) -> bool:
    return bool(caller.gguf or choice.model_path or choice.settings.model_path)


def _is_bad_file(error: EdgeAgentError) -> bool:
    """Whether somebody named a file that is missing or broken: a mistake to mend, not a lack to make up for."""
    return isinstance(error, GgufInvalid) or (isinstance(error, ModelNotFound) and error.place in _FILE_RULES)


def _check_api(choice: BackendChoice, caller: Caller, facts: Facts) -> None:
    if choice.privacy == "local-only":
        raise PrivacyRefused(
            "the node says privacy: local-only",
            place="backend api",
            fix="say may-leave on the node, or use a local model",
        )
    if caller.offline:
        raise BackendUnavailable(
            "TEA_OFFLINE is set", place="backend api", fix="unset it, or use a local model"
        )
    if not facts.api_configured:
        raise BackendUnavailable(
            "no API is configured",
            place="backend api",
            fix="set settings.llm.api.base_url in the file, or TEA_API_BASE_URL",
        )
