"""Copying and changing the case of short text, days and capitals.

Held out: the made-up or drawn payload (one in eight by hash) for copying and case; the wordings in
the `*_HELD_OUT` lists for days and capitals, which are too few to keep any back.
"""

from __future__ import annotations

from random import Random

from skills import words
from skills.example import Example, assistant, is_held_out, say, system, user

# fmt: off
COPY = (
    "Repeat: {t}", "Repeat after me: {t}", "Echo: {t}", "Say: {t}", 'Say "{t}".', "Repeat the words: {t}", "echo {t}", "Copy this: {t}",
    "Write exactly: {t}", "Repeat this text: {t}", 'Repeat "{t}".', "Please repeat: {t}", "Print {t}", "Type this: {t}", "Copy the text: {t}",
    "Say exactly this: {t}", "Reply with: {t}", "Answer with: {t}", "Respond with: {t}", 'Reply with exactly "{t}".', "Say the following: {t}",
)
UPPER = (
    "Write {t} in uppercase.", "Uppercase: {t}", "Convert to uppercase: {t}", "Write this in capital letters: {t}", "Make it uppercase: {t}", "{t} in upper case",
    'Convert "{t}" to upper case.', "uppercase {t}", "Change to upper case: {t}", "Put {t} in capitals.",
)
LOWER = (
    "Write {t} in lowercase.", "Lowercase: {t}", "Convert to lowercase: {t}", "Write this in small letters: {t}", "Make it lowercase: {t}", "{t} in lower case",
    'Convert "{t}" to lower case.', "lowercase {t}", "Change to lower case: {t}",
)
CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon", "Brazil": "Brasilia", "Japan": "Tokyo",
    "China": "Beijing", "India": "New Delhi", "Canada": "Ottawa", "Egypt": "Cairo", "Greece": "Athens", "Norway": "Oslo", "Sweden": "Stockholm",
    "Finland": "Helsinki", "Poland": "Warsaw", "Austria": "Vienna", "Ireland": "Dublin", "Kenya": "Nairobi", "Peru": "Lima", "Chile": "Santiago",
    "Cuba": "Havana", "England": "London", "Russia": "Moscow", "Denmark": "Copenhagen", "Belgium": "Brussels", "Hungary": "Budapest", "Turkey": "Ankara",
    "Australia": "Canberra", "Argentina": "Buenos Aires", "Mexico": "Mexico City", "Colombia": "Bogota", "South Korea": "Seoul", "Thailand": "Bangkok",
    "the United States": "Washington", "the United Kingdom": "London", "the Netherlands": "Amsterdam", "Switzerland": "Bern", "Ukraine": "Kyiv",
}
CAPITAL_WORDINGS = (
    "What is the capital of {c}?", "What is the capital of {c}?", "capital of {c}", "Tell me the capital of {c}.", "Which city is the capital of {c}?", "What's the capital of {c}?", "{c} capital?",
    "Name the capital of {c}.", "Do you know the capital of {c}?", "what city is the capital of {c}",
)
CAPITAL_HELD_OUT = ("Can you name the capital city of {c}?", "I need the capital of {c}.", "Give me the capital of {c}.", "And the capital of {c} is?")
NEXT_DAY = ("What day comes after {d}?", "Which day is after {d}?", "What is the day after {d}?", "What comes after {d}?", "The day after {d}?", "If today is {d}, what day is tomorrow?", "Name the day after {d}.",
    "After {d} comes which day?", "What follows {d}?", "{d} and then?", "It is {d}. What is tomorrow?", "Yesterday was {d}. What day is it today?", "{d} is followed by which day?", "Say the day after {d}.", "What is one day after {d}?", "Today: {d}. Tomorrow?", "It is {d} today. Which day is tomorrow?")
LAST_DAY = ("What day comes before {d}?", "Which day is before {d}?", "What is the day before {d}?", "What comes before {d}?", "If today is {d}, what day was yesterday?", "Name the day before {d}.",
    "Before {d} comes which day?", "It is {d}. What was yesterday?", "Tomorrow is {d}. What day is it today?", "{d} comes after which day?", "Say the day before {d}.", "What is one day before {d}?", "Today: {d}. Yesterday?", "It is {d} today. Which day was yesterday?")
NEXT_HELD_OUT = ("Tell me the day after {d}.", "Which day follows {d}?", "Today is {d}. What day is tomorrow?")
LAST_HELD_OUT = ("Tell me the day before {d}.", "Today is {d}. What day was yesterday?")
# fmt: on


def payload(rng: Random, held_out: bool) -> str:
    """One to six words, a sentence or a code."""
    while True:
        if not held_out and rng.random() < 0.12:
            # Digits that repeat are the ones that get lost on the way.
            return "".join(
                rng.choice(rng.choice(("0123456789", "38", "500"))) for _ in range(rng.randint(2, 8))
            )
        kind = rng.random()
        count = rng.choice((1, 1, 2, 2, 3, 4, 5, 6))
        if kind < 0.55:
            text = " ".join(rng.choice(words.ADJECTIVES + words.NOUNS) for _ in range(count))
        elif kind < 0.75:
            text = " ".join(words.made_up_word(rng) for _ in range(min(count, 3)))
        elif kind < 0.85:
            text = f"{rng.choice(words.FIRST_NAMES)} {rng.choice(('likes', 'sees', 'has', 'wants'))} the {rng.choice(words.ADJECTIVES)} {rng.choice(words.NOUNS)}"
        elif kind < 0.93:
            text = f"{rng.choice(words.NOUNS)}-{rng.randint(0, 999)}"
        else:
            text = rng.choice(
                (
                    "hello",
                    "hello world",
                    "good morning",
                    "thank you",
                    "yes",
                    "no",
                    "I am here",
                    "the quick brown fox",
                    "ready",
                    "test",
                )
            )
        if rng.random() < 0.25:
            text = text[0].upper() + text[1:]
        if is_held_out(text) == held_out:
            return text


def copy(rng: Random, held_out: bool) -> Example:
    text = payload(rng, held_out)
    return Example("copy", (user(say(rng, rng.choice(COPY), 0.25, t=text)), assistant(text)))


def case(rng: Random, held_out: bool) -> Example:
    example = _case(rng, held_out)
    if held_out or example.messages[0]["role"] == "system":
        return example
    # Several words in one conversation cost fewer tokens a word.
    turns = list(example.messages)
    for _ in range(rng.choice((0, 1, 2, 3))):
        again = _case(rng, held_out)
        turns += again.messages[-2:] if again.messages[0]["role"] == "user" else ()
    return Example("case", tuple(turns))


def _case(rng: Random, held_out: bool) -> Example:
    text = " ".join(payload(rng, held_out).split()[:3])
    if rng.random() < 0.5:
        if rng.random() < 0.15:
            return Example(
                "case",
                (system("Answer in uppercase what the user writes."), user(text), assistant(text.upper())),
            )
        return Example("case", (user(say(rng, rng.choice(UPPER), 0.25, t=text)), assistant(text.upper())))
    shown = text.upper() if rng.random() < 0.7 else text.title()
    return Example("case", (user(say(rng, rng.choice(LOWER), 0.25, t=shown)), assistant(text.lower())))


def capitals(rng: Random, held_out: bool) -> Example:
    country = rng.choice(sorted(CAPITALS))
    wording = rng.choice(CAPITAL_HELD_OUT if held_out else CAPITAL_WORDINGS)
    shown = country.lower() if rng.random() < 0.12 else country
    answer = f"The capital of {country} is {CAPITALS[country]}."
    return Example("capitals", (user(say(rng, wording, 0.3, c=shown)), assistant(answer)))


def days(rng: Random, held_out: bool) -> Example:
    day = rng.randrange(7)
    after = rng.random() < 0.6
    if rng.random() < 0.15 and not held_out:
        month = rng.randrange(12)
        text = rng.choice(
            ("Which month comes after {d}?", "What month is after {d}?", "What comes after {d}?")
        ).format(d=words.MONTHS[month])
        return Example("days", (user(text), assistant(f"{words.MONTHS[(month + 1) % 12]}.")))
    if after:
        wording = rng.choice(NEXT_HELD_OUT if held_out else NEXT_DAY)
    else:
        wording = rng.choice(LAST_HELD_OUT if held_out else LAST_DAY)
    answer = words.DAYS[(day + (1 if after else -1)) % 7]
    return Example("days", (user(say(rng, wording, 0.3, d=words.DAYS[day])), assistant(f"{answer}.")))
