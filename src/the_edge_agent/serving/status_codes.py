"""One table from our errors to HTTP status, OpenAI's error type and gRPC's code. The first class that fits decides."""

from __future__ import annotations

import math
from typing import NamedTuple

from the_edge_agent import errors
from the_edge_agent.errors import EdgeAgentError


class Status(NamedTuple):
    """``code`` is OpenAI's machine-readable one; ``grpc`` the name of a ``grpc.StatusCode``."""

    http: int
    type: str
    code: str
    grpc: str


TABLE: tuple[tuple[type[EdgeAgentError], Status], ...] = (
    (
        errors.ContextLengthExceeded,
        Status(400, "invalid_request_error", "context_length_exceeded", "INVALID_ARGUMENT"),
    ),
    (errors.RateLimited, Status(429, "rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED")),
    (errors.AuthFailed, Status(401, "authentication_error", "invalid_api_key", "UNAUTHENTICATED")),
    (errors.PermissionDenied, Status(403, "permission_error", "permission_denied", "PERMISSION_DENIED")),
    (errors.PathRefused, Status(403, "permission_error", "path_refused", "PERMISSION_DENIED")),
    (errors.PrivacyRefused, Status(403, "permission_error", "privacy_refused", "PERMISSION_DENIED")),
    (errors.ModelNotFound, Status(404, "invalid_request_error", "model_not_found", "NOT_FOUND")),
    (errors.RunNotFound, Status(404, "invalid_request_error", "run_not_found", "NOT_FOUND")),
    (errors.RunIdTaken, Status(409, "invalid_request_error", "run_id_taken", "ALREADY_EXISTS")),
    (errors.RunBusy, Status(409, "invalid_request_error", "run_busy", "ABORTED")),
    (errors.BackendTimeout, Status(504, "timeout_error", "deadline_exceeded", "DEADLINE_EXCEEDED")),
    (
        errors.ActionParamsInvalid,
        Status(400, "invalid_request_error", "invalid_parameter", "INVALID_ARGUMENT"),
    ),
    (errors.UnsupportedFeature, Status(400, "invalid_request_error", "unsupported", "UNIMPLEMENTED")),
    (
        errors.SchemaUnsupported,
        Status(400, "invalid_request_error", "unsupported_schema", "INVALID_ARGUMENT"),
    ),
    (errors.UsageError, Status(400, "invalid_request_error", "invalid_request", "INVALID_ARGUMENT")),
    (errors.InputInvalid, Status(400, "invalid_request_error", "invalid_input", "INVALID_ARGUMENT")),
    (errors.WorkflowInvalid, Status(400, "invalid_request_error", "invalid_workflow", "INVALID_ARGUMENT")),
    (errors.GrammarInvalid, Status(400, "invalid_request_error", "invalid_schema", "INVALID_ARGUMENT")),
    (errors.TokenizeFailed, Status(400, "invalid_request_error", "invalid_text", "INVALID_ARGUMENT")),
    (errors.TemplateInvalid, Status(400, "invalid_request_error", "template_failed", "FAILED_PRECONDITION")),
    (errors.OutOfMemory, Status(507, "server_error", "out_of_memory", "RESOURCE_EXHAUSTED")),
    (errors.BackendUnavailable, Status(503, "server_error", "unavailable", "UNAVAILABLE")),
    (errors.BackendError, Status(502, "server_error", "backend_failed", "ABORTED")),
    (EdgeAgentError, Status(500, "server_error", "internal_error", "INTERNAL")),
)


def status_of(error: EdgeAgentError) -> Status:
    """The row of the error's class, or of the nearest class above it."""
    return next(status for kind, status in TABLE if isinstance(error, kind))


def retry_after_s(error: EdgeAgentError) -> int | None:
    """Whole seconds for a Retry-After header, or None."""
    seconds = getattr(error, "retry_after_s", None)
    return None if seconds is None else max(1, math.ceil(seconds))
