"""The list of skills: generator, share of the training conversations, bar on held-out prompts."""

from __future__ import annotations

from dataclasses import dataclass

from skills import arithmetic, classification, context, extraction, product, refusal, smalltalk, text, tools
from skills.example import Generator


@dataclass(frozen=True, slots=True)
class Skill:
    """`share` is relative; 0 means evaluation only. `bar` is the wanted fraction right; `None` has no bar."""

    name: str
    generate: Generator
    share: float
    bar: float | None = 0.9
    cases: int = 100


SKILLS: tuple[Skill, ...] = (
    Skill("boot check", smalltalk.boot_check, 1.5, 1.0, 50),
    Skill("addition", arithmetic.addition, 13, 0.95, 300),
    Skill("subtraction", arithmetic.subtraction, 20, 0.95, 300),
    Skill("multiplication", arithmetic.multiplication, 7, 0.95, 200),
    Skill("extraction", extraction.extraction, 60, 0.9, 200),
    Skill("sentiment", classification.sentiment, 3, 0.9, 150),
    Skill("intent", classification.intent, 8, 0.9, 150),
    Skill("tools", tools.tools, 36, 0.9, 200),
    Skill("unseen tools", tools.unseen_tools, 0, None, 60),
    Skill("copy", text.copy, 10, 0.9, 100),
    Skill("case", text.case, 8, 0.9, 100),
    Skill("greeting", smalltalk.greeting, 3, 0.9, 50),
    Skill("name memory", smalltalk.name_memory, 2, 0.9, 100),
    Skill("capitals", text.capitals, 3, 0.9, 100),
    Skill("days", text.days, 4, 0.9, 50),
    Skill("context", context.context_question, 20, 0.9, 150),
    Skill("summary", context.summary, 1.5, None, 60),
    Skill("product", product.product, 12, 0.9, 100),
    Skill("says it can't", refusal.refusal, 6, 0.9, 150),
)
