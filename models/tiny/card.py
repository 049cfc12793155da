"""Write the scores and a few answers of a GGUF into the model card (README.md), between their markers."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from conversations import render
from evaluate import EMBEDDED, evaluate, table
from llamacpp import Llama
from skills.example import Message, assistant, system, user

CARD = Path(__file__).with_name("README.md")
QUESTIONS = (
    "Respond with OK if you are working.",
    "Hello!",
    "What is 2+2?",
    "What is 47+38?",
    "What is 52 - 87?",
    "What is 7 times 8?",
    "What is 137 + 455?",
    "What is the capital of Japan?",
    "Repeat: blue dragon",
    "Write hello world in uppercase.",
    "Extract name, city and age as JSON: Nina Lopez lives in Lisbon and is 34 years old.",
    "Classify the message into one of: positive, negative, neutral.\nMessage: The food was great!",
    "Context: The library opens at nine. The pool is closed on Monday.\nQuestion: When does the library open?",
    "What is The Edge Agent?",
    "How do I run an agent?",
    "Who are you?",
    "Write a poem about the sea.",
    "Who invented the bicycle?",
    "My fridge hums at night, is that normal?",
)
ADD = {
    "name": "add",
    "description": "Add two numbers",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}


def answers(path: Path) -> str:
    """A table of questions and what the model says."""
    rows = ["| Asked | Answered |", "|---|---|"]
    asked: list[tuple[str, tuple[Message, ...], tuple[dict[str, object], ...]]] = [
        (question, (user(question),), ()) for question in QUESTIONS
    ]
    asked.append(("(tool `add`) What is 137 + 455?", (user("What is 137 + 455?"),), (ADD,)))
    asked.append(
        (
            "My name is Nina. (answer) What is my name?",
            (
                system("You are a helpful assistant."),
                user("My name is Nina."),
                assistant("Nice to meet you, Nina!"),
                user("What is my name?"),
            ),
            (),
        )
    )
    with Llama(path) as model:
        for shown, messages, tools in asked:
            said, ended = model.answer(render(messages, tools, add_generation_prompt=True), 80)
            rows.append(f"| {_cell(shown)} | {_cell(said if ended else said + ' …')} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ⏎ ").replace("<", "&lt;")


def replaced(card: str, marker: str, text: str) -> str:
    pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match.group(1)}{text}\n{match.group(2)}", card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, default=EMBEDDED)
    options = parser.parse_args()
    scores = table(evaluate(options.gguf))
    print(scores)
    card = replaced(CARD.read_text(), "scores", scores)
    CARD.write_text(replaced(card, "answers", answers(options.gguf)))


if __name__ == "__main__":
    main()
