"""llm.classify: one of the given labels for a text, and never anything else. Knows nothing of backends.

The model is asked in plain words first, which small models answer best; an answer that is no label is asked again with
the labels as the only possible output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from the_edge_agent.actions.llm_answer import structured, usage_json
from the_edge_agent.actions.llm_messages import text_of
from the_edge_agent.actions.llm_model import resolve_model
from the_edge_agent.engine.action import ActionContext
from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.inference import JsonObject, JsonValue, Message, ResponseFormat

MAX_LABELS = 500


async def classify(params: JsonObject, context: ActionContext) -> JsonValue:
    """{label, index, model, backend, usage}. Raises ActionParamsInvalid for labels or examples of the wrong shape."""
    labels, meanings = _labels(params["labels"])
    model = await resolve_model(params, context)
    request = replace(
        model.request({**params, "prompt": "."}), messages=classify_messages(params, labels, meanings)
    )
    completion = await model.ask(request)
    usage = completion.usage
    label = match_label(completion.text, labels)
    if label is None:
        schema: JsonObject = {"type": "string", "enum": list(labels)}
        wanted = ResponseFormat("json_schema", schema, "label")
        completion = await model.ask(replace(request, response_format=wanted))
        usage += completion.usage
        label = str(structured(completion, wanted))
    return {
        "label": label,
        "index": labels.index(label),
        "model": completion.model,
        "backend": completion.backend,
        "usage": usage_json(usage),
    }


def classify_messages(
    params: JsonObject, labels: Sequence[str], meanings: Mapping[str, str]
) -> tuple[Message, ...]:
    """The conversation: solved cases as earlier turns, then the text."""
    head = text_of(
        params.get("instructions") or f"Classify the message into one of: {', '.join(labels)}.",
        "instructions",
    )
    if params.get("instructions"):
        head += f"\nLabels: {', '.join(labels)}"
    explained = "".join(f"\n{label}: {meaning}" for label, meaning in meanings.items() if meaning)
    messages: list[Message] = []
    for text, label in _examples(params.get("examples"), labels):
        messages += [Message("user", f"{head}{explained}\nMessage: {text}"), Message("assistant", label)]
    return (*messages, Message("user", f"{head}{explained}\nMessage: {text_of(params['text'], 'text')}"))


def match_label(answer: str, labels: Sequence[str]) -> str | None:
    """The label that an answer names: as it is, but for case, quotes and a full stop; None if that isn't certain."""
    said = answer.strip().strip("\"'`.*! \n").casefold()
    exact = [label for label in labels if label.casefold() == said]
    return exact[0] if len(exact) == 1 else None


def _labels(value: JsonValue) -> tuple[tuple[str, ...], dict[str, str]]:
    if isinstance(value, Mapping):
        meanings = {str(label): text_of(meaning or "", f"labels.{label}") for label, meaning in value.items()}
    elif isinstance(value, Sequence) and not isinstance(value, str):
        meanings = {text_of(label, f"labels[{index}]"): "" for index, label in enumerate(value)}
        if len(meanings) != len(value):
            raise ActionParamsInvalid("labels names one label twice", fix="give each label once")
    else:
        raise ActionParamsInvalid("labels is no list and no object", fix="give the labels as a list")
    if not 1 <= len(meanings) <= MAX_LABELS or not all(label.strip() for label in meanings):
        raise ActionParamsInvalid(
            f"labels must be 1 to {MAX_LABELS} texts, none of them empty", fix="mend the list"
        )
    return tuple(meanings), meanings


def _examples(value: JsonValue, labels: Sequence[str]) -> list[tuple[str, str]]:
    if value is None:
        return []
    found: list[tuple[str, str]] = []
    for index, entry in enumerate(value if isinstance(value, Sequence) else ()):
        if not isinstance(entry, Mapping) or entry.get("label") not in labels or "text" not in entry:
            raise ActionParamsInvalid(
                f"examples[{index}] is no solved case",
                fix=f"write {{text, label}} with one of {', '.join(labels)}",
            )
        found.append((text_of(entry["text"], f"examples[{index}].text"), str(entry["label"])))
    return found
