"""Scores on held-out prompts, by skill, through llama.cpp on the exported GGUF at temperature 0.

Prints a table (Markdown) and a few of the failures. Knows nothing of training.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from conversations import HELD_OUT_SEED, held_out, prompt_text
from llamacpp import Llama
from skills import paraphrase
from skills.catalogue import SKILLS
from skills.example import Example

EMBEDDED = Path(__file__).resolve().parents[2] / "src" / "the_edge_agent" / "store" / "embedded" / "tiny.gguf"
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_NUMBER = re.compile(r"-?\d+")
PAIR_BAR = 0.9


@dataclass(slots=True)
class Score:
    """Right answers of one skill, and what went wrong."""

    skill: str
    bar: float | None
    right: int = 0
    asked: int = 0
    failures: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def fraction(self) -> float:
        return self.right / max(1, self.asked)

    @property
    def verdict(self) -> str:
        return "no bar" if self.bar is None else "ok" if self.fraction >= self.bar else "short"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def call(text: str) -> Any:
    """The tool call in `text` as a value, or None."""
    found = _CALL.search(text)
    return _json(found.group(1)) if found else None


def is_right(example: Example, answer: str) -> bool:
    """Whether `answer` does what the example asks; `example.check` names the rule."""
    wanted = example.answer["content"]
    match example.check:
        case "ok":
            return "OK" in answer and len(answer) < 20
        case "number":
            found, expected = _NUMBER.findall(answer), _NUMBER.findall(wanted)
            return bool(found) and found[-1] == expected[-1] and answer.strip().endswith(wanted[-1])
        case "json":
            return _json(wanted) is not None and _json(answer) == _json(wanted)
        case "tool":
            return call(wanted) is not None and call(answer) == call(wanted)
        case "refusal":
            return "tiny demonstration model" in answer
        case _:
            return answer.strip() == wanted.strip()


def score(model: Llama, skill: str, bar: float | None, examples: tuple[Example, ...]) -> Score:
    result = Score(skill, bar)
    for example in examples:
        answer, ended = model.answer(prompt_text(example))
        result.asked += 1
        if ended and is_right(example, answer):
            result.right += 1
        else:
            question = " | ".join(m["content"] for m in example.prompt)
            result.failures.append((question, answer if ended else answer + " …", example.answer["content"]))
    return result


def score_pairs(model: Llama, cases: int = 200) -> Score:
    """A paraphrase must rank above an unrelated sentence."""
    rng = Random(HELD_OUT_SEED)
    result = Score("embeddings", PAIR_BAR)
    chosen = [
        *paraphrase.HELD_OUT_PAIRS,
        *(paraphrase.pair(rng, True) for _ in range(cases - len(paraphrase.HELD_OUT_PAIRS))),
    ]
    for one, other in chosen:
        stranger = one
        while stranger in {one, other} or (one, other) in ((a, b) for a, b in chosen if stranger in {a, b}):
            stranger = rng.choice(rng.choice(chosen))
        query, near, far = (model.embed(text) for text in (one, other, stranger))
        result.asked += 1
        if sum(a * b for a, b in zip(query, near, strict=True)) > sum(
            a * b for a, b in zip(query, far, strict=True)
        ):
            result.right += 1
        else:
            result.failures.append((one, stranger, other))
    return result


def table(scores: list[Score]) -> str:
    rows = ["| Skill | Asked | Right | | Bar | |", "|---|---:|---:|---:|---:|---|"]
    for item in scores:
        bar = "-" if item.bar is None else f"{item.bar:.0%}"
        rows.append(
            f"| {item.skill} | {item.asked} | {item.right} | {item.fraction:.1%} | {bar} | {item.verdict} |"
        )
    return "\n".join(rows)


def evaluate(path: Path, cases: int | None = None, only: str | None = None) -> list[Score]:
    """Scores for every skill, or the first `cases` prompts of each."""
    with Llama(path) as model:
        scores = [
            score(model, skill.name, skill.bar, held_out()[skill.name][:cases])
            for skill in SKILLS
            if only is None or only in skill.name
        ]
    if only is None:
        with Llama(path, embedding=True) as model:
            scores.append(score_pairs(model))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, default=EMBEDDED)
    parser.add_argument("--cases", type=int)
    parser.add_argument("--only")
    parser.add_argument("--failures", type=int, default=3)
    options = parser.parse_args()
    scores = evaluate(options.gguf, options.cases, options.only)
    print(table(scores))
    for item in scores:
        for question, answer, wanted in item.failures[: options.failures]:
            print(f"\n{item.skill}: {question!r}\n  answered {answer!r}\n  wanted   {wanted!r}")


if __name__ == "__main__":
    main()
