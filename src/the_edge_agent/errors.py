"""Every error the project raises, and the text a person reads.

The tree (grown by the packages that raise; each leaf is defined beside its siblings here so that one page shows all)::

    EdgeAgentError                     exit code 1
    ├── UsageError                     exit code 2: the command line or an API call is off
    │   └── RunIdTaken                 a run of that name exists
    ├── SettingInvalid                 an environment variable or a setting has a bad value
    ├── ServiceInstallFailed           the system's service manager said no
    ├── ConfigInvalid                  the daemon's configuration can't be used; carries every problem found
    ├── WorkflowInvalid                the file can't be loaded; carries every problem found in one go
    ├── InputInvalid                   the run's input breaks input_schema; carries one problem a field
    ├── TemplateError                  a template or an expression failed while rendering
    │   └── TemplateLimitExceeded      ... because it asked for too many turns or too much output
    ├── RunError                       a run can't go on
    │   ├── NodeFailed                 a node's action raised; the cause is chained
    │   ├── NodeTimeout                timeout_s passed
    │   ├── StepLimitExceeded          settings.max_steps passed
    │   ├── StateConflict              two branches wrote one key without a reducer
    │   ├── OutputInvalid              the final state breaks output_schema or a value isn't JSON
    │   ├── RunNotFound                no run of that ID in the store
    │   ├── RunBusy                    another process is driving that run now
    │   ├── RunLogCorrupt              the log of a run is damaged; says where
    │   └── ReplayDiverged             the log doesn't hold what the replay asked for
    ├── ActionError                    an action failed for its own reasons
    │   ├── ActionParamsInvalid        parameters of the wrong shape
    │   ├── PermissionDenied           the file or the caller didn't allow it
    │   ├── HttpFailed                 http.*: no answer, or an answer with a failing status
    │   ├── FileActionFailed           file.*: missing, too large, not text
    │   └── ToolFailed                 an MCP or workflow tool failed
    ├── BackendError                   a model couldn't answer
    │   ├── BackendUnavailable         nothing answers there
    │   ├── BackendNotInstalled        an extra is missing; names it
    │   ├── RateLimited                too many requests; carries retry_after_s
    │   ├── AuthFailed                 the API refused the key
    │   ├── BackendTimeout             deadline passed
    │   ├── PrivacyRefused             the prompt may not leave this machine
    │   ├── UnsupportedFeature         the backend or the model can't do this; never silently ignored
    │   ├── SchemaUnsupported          a JSON schema keyword the grammar converter doesn't know
    │   └── StructuredOutputInvalid    the answer isn't what response_format asked for
    ├── StoreError                     models on disk and on the way
    │   ├── ModelNotFound              names the rule that asked for it
    │   ├── GgufInvalid                the header is malformed; carries the byte offset
    │   ├── DownloadFailed             the server or the line failed
    │   ├── DigestMismatch             bytes differ from what was promised
    │   ├── DiskFull                   says how many bytes are missing
    │   └── PathRefused                a name or an archive entry points outside the store
    ├── BundleFailed                   a bundle can't be built or isn't whole
    └── LlamaError                     libllama said no (see llama/)
        ├── LibraryMissing             ├── AbiMismatch       ├── ModelLoadFailed   ├── OutOfMemory
        ├── ContextLengthExceeded      ├── DecodeFailed      ├── TokenizeFailed    ├── InvalidPath
        └── GrammarInvalid             ├── TemplateInvalid   └── UseAfterClose

This module knows nothing of exit paths, logging or JSON: edges translate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where, and what to do about it.

    ``str(problem)`` is ``place: what; fix`` with the absent parts left out.
    """

    what: str
    place: str = ""
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: {self.what}" if self.place else self.what
        return f"{text}; {self.fix}" if self.fix else text


class EdgeAgentError(Exception):
    """Root of the tree. ``what`` is the fact, ``place`` where it is, ``fix`` what the reader can do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, place: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.place = place
        self.fix = fix

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, one entry a problem; most errors have one."""
        return (Problem(self.what, self.place, self.fix),)

    @property
    def name(self) -> str:
        """The class's name: what ``retry.on`` and the wire formats call this error."""
        return type(self).__name__

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class _ManyProblems(EdgeAgentError):
    """An error that reports all it found in one go."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        super().__init__(first.what, place=first.place, fix=first.fix)
        self._problems = problems

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._problems


class UsageError(EdgeAgentError):
    """The command line or an API call is off."""

    exit_code = 2


class RunIdTaken(UsageError):
    """A run of that name exists already."""


class SettingInvalid(EdgeAgentError):
    """An environment variable or a setting has a bad value."""

    exit_code = 2


class ServiceInstallFailed(EdgeAgentError):
    """The daemon couldn't be made a service: a file or the service manager said no."""


class ConfigInvalid(_ManyProblems):
    """The daemon's configuration can't be used; ``problems`` lists everything found, in file order."""

    exit_code = 2


class WorkflowInvalid(_ManyProblems):
    """The file can't be loaded; ``problems`` lists everything found, in file order."""

    exit_code = 2


class InputInvalid(_ManyProblems):
    """The run's input breaks ``input_schema``; one problem a field."""

    exit_code = 2


class TemplateError(EdgeAgentError):
    """A template or an expression failed while rendering."""


class TemplateLimitExceeded(TemplateError):
    """A template asked for too many loop turns or too much output."""


class RunError(EdgeAgentError):
    """A run can't go on."""


class NodeFailed(RunError):
    """A node's action raised something that is no EdgeAgentError; the cause is chained."""


class NodeTimeout(RunError):
    """The node's ``timeout_s`` passed."""


class StepLimitExceeded(RunError):
    """``settings.max_steps`` passed; the message gives the path taken."""


class StateConflict(RunError):
    """Two parallel branches wrote one key without a reducer; names both."""


class OutputInvalid(RunError):
    """A value isn't JSON, or the final state breaks ``output_schema``."""


class RunNotFound(RunError):
    """No run of that ID in the store."""


class RunBusy(RunError):
    """Another process is driving that run now."""


class RunLogCorrupt(RunError):
    """The log of a run is damaged; says where."""


class ReplayDiverged(RunError):
    """The log doesn't hold what the replay asked for."""


class ActionError(EdgeAgentError):
    """An action failed for its own reasons."""


class ActionParamsInvalid(ActionError):
    """An action's parameters have the wrong shape."""


class PermissionDenied(ActionError):
    """The file or the caller didn't allow what an action needs."""


class HttpFailed(ActionError):
    """An http.* action got no answer, or one with a failing status (``status``, 0 when none came)."""

    def __init__(
        self,
        what: str,
        *,
        place: str = "",
        fix: str = "",
        status: int = 0,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, place=place, fix=fix)
        self.status = status
        self.retry_after_s = retry_after_s


class FileActionFailed(ActionError):
    """A file.* action met a missing, too large or non-text file."""


class ToolFailed(ActionError):
    """A tool that a model called failed."""


class BackendError(EdgeAgentError):
    """A model couldn't answer."""


class BackendUnavailable(BackendError):
    """Nothing answers there."""


class BackendNotInstalled(BackendError):
    """An extra is missing; the fix names it."""


class RateLimited(BackendError):
    """Too many requests; ``retry_after_s`` is what the server asked for, or None."""

    def __init__(
        self, what: str, *, place: str = "", fix: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(what, place=place, fix=fix)
        self.retry_after_s = retry_after_s


class AuthFailed(BackendError):
    """The API refused the key."""


class BackendTimeout(BackendError):
    """The deadline of a request passed."""


class PrivacyRefused(BackendError):
    """The prompt may not leave this machine."""


class UnsupportedFeature(BackendError):
    """The backend or the model can't do what was asked; it is said, never ignored."""


class SchemaUnsupported(BackendError):
    """A JSON schema uses what the grammar converter doesn't know; the place is the JSON pointer."""


class StructuredOutputInvalid(BackendError):
    """The answer isn't what ``response_format`` asked for."""


class StoreError(EdgeAgentError):
    """Models on disk and on the way."""


class ModelNotFound(StoreError):
    """No such model; the message names the rule that asked for it."""


class GgufInvalid(StoreError):
    """The header is malformed; ``offset`` is the byte where that shows."""

    def __init__(self, what: str, *, place: str = "", fix: str = "", offset: int = 0) -> None:
        super().__init__(what, place=place, fix=fix)
        self.offset = offset


class DownloadFailed(StoreError):
    """The server or the line failed for good."""


class DigestMismatch(StoreError):
    """Bytes differ from what was promised."""


class DiskFull(StoreError):
    """Not enough room; ``missing_bytes`` more are needed."""

    def __init__(self, what: str, *, place: str = "", fix: str = "", missing_bytes: int = 0) -> None:
        super().__init__(what, place=place, fix=fix)
        self.missing_bytes = missing_bytes


class PathRefused(StoreError):
    """A name or an archive entry points outside the store."""


class BundleFailed(EdgeAgentError):
    """A bundle can't be built, or what was built isn't whole."""


class LlamaError(EdgeAgentError):
    """libllama said no."""


class LibraryMissing(LlamaError):
    """libllama or its bindings aren't there."""


class AbiMismatch(LlamaError):
    """Library and bindings disagree about the layout of a struct."""


class ModelLoadFailed(LlamaError):
    """The GGUF couldn't be loaded as a model."""


class OutOfMemory(LlamaError):
    """Weights, KV cache or buffers don't fit."""


class ContextLengthExceeded(LlamaError):
    """The prompt doesn't fit: ``needed`` tokens against ``n_ctx``. Any backend may raise it."""

    def __init__(self, what: str, *, place: str = "", fix: str = "", needed: int = 0, n_ctx: int = 0) -> None:
        super().__init__(what, place=place, fix=fix)
        self.needed = needed
        self.n_ctx = n_ctx


class DecodeFailed(LlamaError):
    """``llama_decode`` returned an error."""


class TokenizeFailed(LlamaError):
    """Text couldn't be turned into tokens."""


class InvalidPath(LlamaError):
    """A path holds NUL or isn't UTF-8."""


class GrammarInvalid(LlamaError):
    """libllama refused a GBNF grammar."""


class TemplateInvalid(LlamaError):
    """The GGUF's chat template failed or passed its limits."""


class UseAfterClose(LlamaError):
    """A closed model, context, batch, sampler or generator was used."""
