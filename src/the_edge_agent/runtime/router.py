"""Which model answers: levels, names, rules that can be read, and climbing on proof. Pure; every choice has its reason.

A *target* is a local model or a provider of the gateway. ``model: auto`` without a level is classified by ``RULES``, the
first that fits; each is one sentence and one predicate over figures of the request. The router knows nothing of workers,
of memory, or of who is busy; it is told which models are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from the_edge_agent.errors import ModelNotFound, PrivacyRefused, UnsupportedFeature
from the_edge_agent.inference import ChatRequest, Completion, Level

LEVELS: tuple[Level, ...] = ("operational", "tactical", "strategic")
AUTO_NAMES = frozenset({"", "auto", "default"})
MAX_SCANNED_CHARACTERS = 20_000

#: Words that ask for more than a tiny model can do. Plain words in a set: no pattern, so no pattern that blows up.
HARD_WORDS = frozenset(
    """
    analyse analyze architect argue compare contract critique debug derive design diagnose essay
    evaluate explain implement legal medical optimise optimize plan poem proof prove reason
    refactor report review rewrite strategy story summarise summarize theorem translate why
    """.split()  # noqa: SIM905 - forty words read better as a paragraph
)


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who can answer. ``leaves_machine`` ones are asked only where the request allows it."""

    name: str
    level: Level
    n_ctx: int = 0
    """0 where it isn't known yet."""
    leaves_machine: bool = False
    features: frozenset[str] = frozenset({"chat", "embed", "tools", "json_schema", "logprobs"})


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers, at which level, and why in one sentence."""

    target: Target
    reason: str


class Figures(NamedTuple):
    """What the rules look at. ``tokens`` is estimated at 4 characters each, images at 500 tokens."""

    tokens: int
    max_tokens: int
    messages: int
    tools: int
    has_schema: bool
    has_images: bool
    hard_words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """``says`` is formatted with the figures' names."""

    level: Level
    says: str
    fits: Callable[[Figures], bool]


RULES: tuple[Rule, ...] = (
    Rule("tactical", "it shows images", lambda f: f.has_images),
    Rule("tactical", "about {tokens} tokens of prompt are more than 1,200", lambda f: f.tokens > 1200),
    Rule("tactical", "{max_tokens} tokens of answer are more than 512", lambda f: f.max_tokens > 512),
    Rule("tactical", "{tools} tools are more than 4", lambda f: f.tools > 4),
    Rule("tactical", "tools and a schema together", lambda f: f.tools > 0 and f.has_schema),
    Rule("tactical", "it says {hard_words}", lambda f: bool(f.hard_words)),
    Rule("operational", "about {tokens} tokens, {tools} tools, nothing that asks for more", lambda _: True),
)


def measure_request(request: ChatRequest) -> Figures:
    """The figures of a request. Costs time in proportion to its text, of which at most 20,000 characters are searched."""
    characters = sum(len(message.content) for message in request.messages)
    images = sum(len(message.images) for message in request.messages)
    asked = " ".join(m.content for m in request.messages if m.role == "user")[
        -MAX_SCANNED_CHARACTERS:
    ].lower()
    words = {word.strip(".,;:!?()\"'") for word in asked.split()}
    return Figures(
        tokens=characters // 4 + 500 * images,
        max_tokens=request.sampling.max_tokens or 0,
        messages=len(request.messages),
        tools=len(request.tools),
        has_schema=request.response_format.type == "json_schema",
        has_images=images > 0,
        hard_words=tuple(sorted(words & HARD_WORDS)),
    )


def classify(figures: Figures) -> tuple[Level, str]:
    """The level by the first rule that fits, and its sentence."""
    rule = next(rule for rule in RULES if rule.fits(figures))
    fields = {**figures._asdict(), "hard_words": ", ".join(repr(word) for word in figures.hard_words[:3])}
    return rule.level, rule.says.format(**fields)


def resolve_route(
    request: ChatRequest,
    targets: Sequence[Target],
    loaded: frozenset[str] = frozenset(),
    aliases: Mapping[str, str] | None = None,
) -> Route:
    """Who answers this request.

    A named model answers itself. A level's first loaded target answers, else its first. A level that is empty is climbed
    from, then descended from. Targets that leave the machine are only there for requests whose privacy allows it.

    Raises:
        ModelNotFound: a named model is unknown, or there is none at all.
        PrivacyRefused: only a target that leaves the machine could answer, and the request may not.
        UnsupportedFeature: the named model can't do what is asked.
    """
    named = (aliases or {}).get(request.model, request.model)
    if named not in AUTO_NAMES and named not in LEVELS:
        return _named_route(request, named, targets)
    if request.level is not None:
        level, why = request.level, f"the request asks for {request.level}"
    elif named in LEVELS:
        level, why = named, f"the request asks for {named}"
    else:
        level, sentence = classify(measure_request(request))
        why = f"auto: {sentence}"
    return _level_route(request, level, why, targets, loaded)


def _named_route(request: ChatRequest, named: str, targets: Sequence[Target]) -> Route:
    for target in targets:
        if target.name == named:
            if target.leaves_machine and request.privacy != "may-leave":
                raise PrivacyRefused(
                    f"{named} is asked over the network and this request may not leave the machine",
                    place=named,
                    fix="set privacy to may-leave, or name a local model",
                )
            missing = _needed_features(request) - target.features
            if missing:
                raise UnsupportedFeature(
                    f"{named} can't do {', '.join(sorted(missing))}",
                    place=named,
                    fix="give it a projector (mmproj), or name a model that has one"
                    if "images" in missing
                    else "name a model that can",
                )
            return Route(target, f"the request names {named}")
    known = ", ".join(target.name for target in targets) or "none"
    raise ModelNotFound(
        f"no model is called {named!r}", place="request.model", fix=f"known are {known}, or say auto"
    )


def _level_route(
    request: ChatRequest, level: Level, why: str, targets: Sequence[Target], loaded: frozenset[str]
) -> Route:
    needed = _needed_features(request)
    able = [target for target in targets if needed <= target.features]
    allowed = [target for target in able if request.privacy == "may-leave" or not target.leaves_machine]
    for candidate_level in _nearest_levels(level):
        candidates = [target for target in allowed if target.level == candidate_level]
        if not candidates:
            continue
        chosen = next((target for target in candidates if target.name in loaded), candidates[0])
        note = "" if candidate_level == level else f"; no {level} model is at hand, so {candidate_level}"
        rank = "" if chosen is candidates[0] else f"; {chosen.name} is loaded and {candidates[0].name} is not"
        return Route(chosen, f"{why}{note}{rank}")
    if any(target.level == level or target.leaves_machine for target in able):
        raise PrivacyRefused(
            "only a model outside this machine could answer, and this request may not leave it",
            place=level,
            fix="set privacy to may-leave, or configure a local model",
        )
    raise ModelNotFound(
        "no model is configured that could answer", place="runtime", fix="add one under models:, or load one"
    )


def _nearest_levels(level: Level) -> list[Level]:
    """The level, those above it upwards, then those below it downwards."""
    place = LEVELS.index(level)
    return [*LEVELS[place:], *reversed(LEVELS[:place])]


def _needed_features(request: ChatRequest) -> frozenset[str]:
    needed = {"chat"}
    if request.tools and request.tool_choice != "none":
        needed.add("tools")
    if any(message.images for message in request.messages):
        needed.add("images")
    return frozenset(needed)


# Climbing on proof.

REFUSALS = (
    "i can't",
    "i cannot",
    "i can not",
    "i'm not able",
    "i am not able",
    "i don't know",
    "i'm unable",
    "i am unable",
)


def proof_of_failure(
    completion: Completion, problem_with: Callable[[str], str | None], must_contain: Sequence[str]
) -> str:
    """Why this answer isn't good enough, or an empty string.

    ``problem_with`` checks the text against the request's schema (None: fine). ``must_contain`` are the caller's own
    assertions. An answer that was cut off, empty, or that says it can't, is no answer either.
    """
    if completion.tool_calls:
        return ""
    text = completion.text.strip()
    if not text:
        return "it was empty"
    if completion.finish_reason == "length":
        return "it was cut off"
    problem = problem_with(text)
    if problem:
        return f"it breaks the schema: {problem}"
    absent = [wanted for wanted in must_contain if wanted.lower() not in text.lower()]
    if absent:
        return f"it lacks {absent[0]!r}"
    opening = text[:200].lower().replace("\u2019", "'")
    said = next((refusal for refusal in REFUSALS if refusal in opening), None)
    return f"it says {said!r}" if said else ""


def next_route(request: ChatRequest, failed: Route, why: str, targets: Sequence[Target]) -> Route | None:
    """The first target of a level above the one that failed, or None at the top (or where privacy forbids it)."""
    above = LEVELS[LEVELS.index(failed.target.level) + 1 :]
    needed = _needed_features(request)
    for level in above:
        for target in targets:
            if target.level != level or not needed <= target.features:
                continue
            if target.leaves_machine and request.privacy != "may-leave":
                continue
            return Route(target, f"{failed.target.name} answered, but {why}; {level} is asked")
    return None
