"""Rule 4 of the scheduler: which model gets memory, and which one gives it. Pure functions over a draft.

Where its memory fits a model is started; else idle unpinned models are stopped, the least recently used first, and only
if that makes enough room. Busy and pinned models are never stopped for it. A model that is merely expected takes free
memory, or that of models which nobody has used for ``patience_s``. Knows nothing of slots or deadlines.
"""

from __future__ import annotations

from dataclasses import dataclass

from the_edge_agent.runtime.draft import Draft, may_idle_out, used_bytes
from the_edge_agent.runtime.schedule import Model, Start, Waiting


@dataclass(frozen=True, slots=True)
class _Needed:
    """A model to start, and the oldest request that waits for it (None: it is wanted for itself)."""

    model: Model
    request: Waiting | None


def start_the_awaited(draft: Draft) -> dict[str, Waiting]:
    """Start what fits, evict where that helps. Returns the busy models that stand in an older request's way."""
    held_back: dict[str, Waiting] = {}
    promised_bytes = 0
    for needed in _needed(draft):
        model = needed.model
        room_bytes = _room_bytes(draft, model)
        if model.size_bytes > room_bytes:
            _refuse_too_large(draft, model, room_bytes)
            continue
        missing_bytes = model.size_bytes - _free_bytes(draft, model) + promised_bytes
        if missing_bytes <= 0:
            _start(draft, model)
            continue
        missing_bytes -= _leaving_bytes(draft)
        if missing_bytes > 0 and not _evict(draft, missing_bytes, needed.request):
            if needed.request is not None and _is_impatient(draft, needed.request):
                for name in _in_the_way(draft, missing_bytes):
                    held_back.setdefault(name, needed.request)
            if needed.request is None:
                continue  # what nobody waits for takes no room away from what somebody does
        promised_bytes += model.size_bytes
    return held_back


def start_the_expected(draft: Draft) -> None:
    """Load the expected model if that takes nothing from anybody; else it is forgotten, and its request will come."""
    model = draft.models.get(draft.expected)
    draft.expected = ""
    if model is None or draft.shutting_down or model.phase != "unloaded" or _needed(draft):
        return
    if model.size_bytes > _room_bytes(draft, model):
        return
    missing_bytes = model.size_bytes - _free_bytes(draft, model)
    if missing_bytes <= 0:
        _start(draft, model)
    elif missing_bytes <= _leaving_bytes(draft) or _evict(
        draft, missing_bytes - _leaving_bytes(draft), None, unused_for_s=draft.limits.patience_s
    ):
        draft.change(model.name, wanted=True)  # until there is room


def _needed(draft: Draft) -> list[_Needed]:
    """The models to start, in the order of who waits for them; wanted ones last."""
    oldest: dict[str, Waiting] = {}
    for entry in draft.waiting:
        oldest.setdefault(entry.model, entry)
    names = list(oldest)
    if not draft.shutting_down:
        names += [m.name for m in draft.models.values() if m.wanted and m.name not in oldest]
    return [
        _Needed(draft.models[name], oldest.get(name))
        for name in names
        if draft.models[name].phase == "unloaded"
        or (draft.models[name].phase == "backoff" and draft.models[name].retry_at_s <= draft.now_s)
    ]


def _room_bytes(draft: Draft, model: Model) -> int:
    """What the model could have at most: all that pinned ones don't hold."""
    pinned = [other for other in draft.models.values() if other.pinned and other.name != model.name]
    return draft.limits.memory_bytes - used_bytes(pinned)


def _free_bytes(draft: Draft, model: Model) -> int:
    others = [other for other in draft.models.values() if other.name != model.name]
    return draft.limits.memory_bytes - used_bytes(others)


def _leaving_bytes(draft: Draft) -> int:
    return sum(model.size_bytes for model in draft.models.values() if model.phase == "stopping")


def _start(draft: Draft, model: Model) -> None:
    draft.change(model.name, phase="loading", drain_at_s=None)
    draft.decisions.append(Start(model.name))


def _refuse_too_large(draft: Draft, model: Model, room_bytes: int) -> None:
    what = f"{model.name} needs {model.size_bytes} bytes and {room_bytes} are not taken by pinned models"
    for entry in [entry for entry in draft.waiting if entry.model == model.name]:
        draft.refuse(entry, "too_large", what)
    draft.change(model.name, wanted=False, phase="unloaded", failure=what)


def _evict(draft: Draft, missing_bytes: int, request: Waiting | None, *, unused_for_s: float = 0.0) -> bool:
    """Stop the least recently used idle models if they make enough room together; else stop none."""
    awaited = {entry.model for entry in draft.waiting if request is None or entry.order < request.order}
    idle = sorted(
        (
            m
            for m in draft.models.values()
            if may_idle_out(m)
            and m.drain_at_s is None
            and m.name not in awaited
            and m.last_used_at_s + unused_for_s <= draft.now_s
        ),
        key=lambda m: (m.last_used_at_s, m.name),
    )
    if sum(m.size_bytes for m in idle) < missing_bytes:
        return False
    for victim in idle:
        if missing_bytes <= 0:
            break
        draft.stop(victim, "its memory is needed")
        missing_bytes -= victim.size_bytes
    return True


def _is_impatient(draft: Draft, request: Waiting) -> bool:
    return request.started or request.arrived_at_s + draft.limits.patience_s <= draft.now_s


def _in_the_way(draft: Draft, missing_bytes: int) -> list[str]:
    """Unpinned models, least recently used first, whose memory would be enough once they are idle."""
    names: list[str] = []
    for model in sorted(draft.models.values(), key=lambda m: (bool(m.active), m.last_used_at_s, m.name)):
        if missing_bytes > 0 and not model.pinned and model.phase in ("ready", "loading"):
            names.append(model.name)
            missing_bytes -= model.size_bytes
    return names
