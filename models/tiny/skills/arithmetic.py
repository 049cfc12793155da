"""Sums, differences and small products, as digits, with or without spaces, or in words.

Held out: one pair in twelve of 0-99 by 0-99 for sums (a pair and its mirror together) and for differences, whatever
the wording; for products the wordings of `HELD_OUT_WORDINGS`, since there are too few pairs to keep any back.
"""

from __future__ import annotations

from random import Random

from skills.example import Example, assistant, is_held_out, say, system, user

# fmt: off
WORDINGS = (
    "What is {e}?", "What is {e}?", "What is {e}?", "What is {e}?", "{e}", "{e}", "{e} = ?", "{e}=", "Calculate {e}.",
    "Calculate {e}", "Compute {e}.", "How much is {e}?", "What's {e}?", "What does {e} equal?", "Tell me {e}.",
    "Solve {e}.", "Work out {e}.", "Please calculate {e}.", "Can you compute {e}?", "What is the result of {e}?",
    "what do you get for {e}?", "Do the math: {e}", "{e} is what?", "Give me the value of {e}.",
)
HELD_OUT_WORDINGS = (
    "Could you work out {e} for me?", "I need the result of {e}.", "Please solve {e}", "How much does {e} make?",
    "what would {e} be?", "Evaluate {e}.", "The value of {e} is?", "Quick: {e}?",
)
SPOKEN = {
    "+": ("the sum of {a} and {b}", "{a} plus {b}", "{a} plus {b}", "{a} added to {b}", "{a} and {b} together"),
    "-": ("{a} minus {b}", "{a} minus {b}", "the difference between {a} and {b}", "{a} take away {b}"),
    "*": ("{a} times {b}", "{a} times {b}", "{a} multiplied by {b}", "the product of {a} and {b}"),
}
IMPERATIVE = {
    "+": ("Add {a} and {b}.", "Add {a} to {b}.", "Sum {a} and {b}."),
    "-": ("Subtract {b} from {a}.", "Take {b} away from {a}."),
    "*": ("Multiply {a} by {b}.", "Multiply {a} and {b}."),
}
BARE = (" Answer with the number only.", " Reply with only the number.", " Just the number.", " Only the number, please.")
BARE_SYSTEM = ("Answer with the number only.", "You are a calculator. Answer with the number only.")
STORIES = {
    "+": (
        "{n} has {a} {i}s and gets {b} more. How many {i}s does {n} have?",
        "There are {a} {i}s on the table and {b} in the box. How many in total?",
        "I have {a} {i}s and buy {b} more. How many do I have now?",
    ),
    "-": (
        "{n} has {a} {i}s and gives away {b}. How many are left?",
        "I had {a} {i}s and lost {b}. How many do I have now?",
        "There were {a} {i}s and {b} were sold. How many are left?",
    ),
}
THINGS = ("apple", "book", "pen", "card", "coin", "ticket", "stone", "egg")
PEOPLE = ("Ana", "Tom", "Mary", "Ben", "Nina", "Sam", "Lia", "Omar")
# fmt: on


def value(a: int, b: int, operator: str) -> int:
    return a + b if operator == "+" else a - b if operator == "-" else a * b


def pair_is_held_out(a: int, b: int, operator: str) -> bool:
    """Sums and differences only; very small ones are everybody's first question and stay in training."""
    if operator == "*" or max(a, b) < 10:
        return False
    low, high = (min(a, b), max(a, b)) if operator == "+" else (a, b)
    return is_held_out(f"{low}{operator}{high}", 12)


def _pair(rng: Random, operator: str, held_out: bool) -> tuple[int, int]:
    while True:
        if operator == "*":
            a, b = rng.randint(0, 9), rng.randint(0, 9)
            if not held_out and rng.random() < 0.25:
                a, b = rng.randint(0, 12), rng.randint(0, 12)
        elif held_out or rng.random() < 0.9:
            a, b = rng.randint(0, 99), rng.randint(0, 99)
            if operator == "-" and not held_out and rng.random() < 0.35:
                # Neighbours are few among all pairs, and the answer's missing first digit is the hard part.
                b = min(99, max(0, a + rng.randint(-11, 11)))
            if operator == "-" and a < b and rng.random() < 0.4:
                a, b = b, a
        else:
            a, b = rng.randint(0, 12), rng.randint(0, 12)
        if operator == "*" or pair_is_held_out(a, b, operator) == held_out:
            return a, b


def question(rng: Random, operator: str, held_out: bool) -> tuple[str, str, str]:
    """A question with its full answer and its bare one."""
    a, b = _pair(rng, operator, held_out)
    result = value(a, b, operator)
    full = f"{a} {operator} {b} = {result}"
    kind = rng.random()
    if kind < 0.06 and operator in STORIES and (operator == "+" or a >= b):
        text = rng.choice(STORIES[operator]).format(a=a, b=b, n=rng.choice(PEOPLE), i=rng.choice(THINGS))
        return text, full, str(result)
    if kind < 0.12 and not (held_out and operator == "*"):
        return say(rng, rng.choice(IMPERATIVE[operator]), 0.3, a=a, b=b), full, str(result)
    space = rng.choice(("", " ", " "))
    symbol = rng.choice(("*", "*", "x", "×")) if operator == "*" else operator
    expression = f"{a}{space}{symbol}{space}{b}"
    if kind < 0.3:
        expression = rng.choice(SPOKEN[operator]).format(a=a, b=b)
    # A product's wording carries the split; sums and differences are held out by their pair.
    wordings = HELD_OUT_WORDINGS if held_out and operator == "*" else WORDINGS
    return say(rng, rng.choice(wordings), 0.3, e=expression), full, str(result)


def _example(rng: Random, operator: str, skill: str, held_out: bool) -> Example:
    text, full, bare = question(rng, operator, held_out)
    # The bare number has no repeated expression to lean on, so training sees more of it.
    kind = rng.random() * (1 if held_out else 0.5)
    if kind < 0.06:
        return Example(skill, (user(text + rng.choice(BARE)), assistant(bare)), "number")
    if kind < 0.09:
        return Example(skill, (system(rng.choice(BARE_SYSTEM)), user(text), assistant(bare)), "number")
    turns = [user(text), assistant(full)]
    if not held_out:
        # Several questions in one conversation cost fewer tokens a question.
        for _ in range(rng.choice((0, 2, 3, 4))):
            again = operator if operator == "*" else rng.choice("+--" if operator == "-" else "++-")
            text, full, _ = question(rng, again, held_out=False)
            turns += [user(text), assistant(full)]
    return Example(skill, tuple(turns), "number")


def addition(rng: Random, held_out: bool) -> Example:
    return _example(rng, "+", "addition", held_out)


def subtraction(rng: Random, held_out: bool) -> Example:
    return _example(rng, "-", "subtraction", held_out)


def multiplication(rng: Random, held_out: bool) -> Example:
    return _example(rng, "*", "multiplication", held_out)
