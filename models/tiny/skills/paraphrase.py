"""Pairs of sentences that mean the same, for the embedding term of the loss and its evaluation.

Held out: the sentences of `HELD_OUT_PAIRS`, and one drawn pair in six by the hash of its content words.
"""

from __future__ import annotations

from random import Random

from skills import words
from skills.context import facts
from skills.example import draw, is_held_out, say
from skills.intents import INTENTS, SLOTS
from skills.product import TOPICS
from skills.refusal import SUBJECT_WORDINGS, SUBJECTS, THEMES, THINGS_WRITTEN, WRITE_WORDINGS
from skills.text import CAPITAL_WORDINGS, CAPITALS
from skills.tool_families import FAMILIES
from skills.tools import slot_value

# fmt: off
FORMS: tuple[tuple[str, ...], ...] = (
    ("The {a} {n} is in the {r}.", "In the {r} there is a {a} {n}.", "You find the {a} {n} in the {r}.", "There is a {n} in the {r}, and it is {a}."),
    ("{p} bought a {n} in {c}.", "In {c}, {p} purchased a {n}.", "A {n} was bought by {p} in {c}.", "{p} got a new {n} from a shop in {c}."),
    ("{p} lives in {c}.", "The home of {p} is in {c}.", "{p} has a house in {c}.", "{c} is where {p} lives."),
    ("{p} lost the {n}.", "The {n} of {p} is lost.", "{p} can't find the {n}.", "The {n} that {p} had is gone."),
    ("{p} likes the {a} {n}.", "The {a} {n} is what {p} likes.", "{p} is fond of the {a} {n}.", "The {a} {n} pleases {p}."),
    ("The {n} is broken.", "The {n} does not work.", "Something is wrong with the {n}.", "The {n} is out of order."),
    ("I need help with my {n}.", "Can you help me with the {n}?", "Please assist me with my {n}.", "I have trouble with my {n}, help me."),
    ("The meeting with {p} is on {d}.", "On {d} we meet {p}.", "We have an appointment with {p} on {d}.", "{p} will see us on {d}."),
    ("The {n} costs {k} euros.", "The price of the {n} is {k} euros.", "You pay {k} euros for the {n}.", "For {k} euros you get the {n}."),
    ("How much is the {n}?", "What does the {n} cost?", "What is the price of the {n}?", "How expensive is the {n}?"),
    ("The {v} goes to {c}.", "You can take the {v} to {c}.", "With the {v} you get to {c}.", "{c} is reached by {v}."),
    ("It is raining in {c}.", "There is rain in {c}.", "In {c} it rains.", "{c} has rainy weather."),
    ("{p} works as a {j}.", "The job of {p} is {j}.", "{p} is a {j}.", "As a {j}, {p} earns a living."),
    ("The {a} {n} is very old.", "That {a} {n} has a great age.", "The {n}, which is {a}, is really old."),
    ("{p} wrote a letter to {q}.", "{q} got a letter from {p}.", "A letter was sent to {q} by {p}.", "{p} sent {q} a letter."),
    ("Please send me the {n}.", "I would like to get the {n}.", "Could you send the {n} to me?", "Give me the {n}, please."),
    ("The {n} starts on {d}.", "On {d} the {n} begins.", "{d} is the first day of the {n}.", "The beginning of the {n} is on {d}."),
    ("There are {k} people in the {r}.", "The {r} has {k} people in it.", "{k} persons are in the {r}.", "In the {r} you find {k} people."),
)
ROOMS = ("kitchen", "garage", "garden", "office", "hall", "cellar", "library", "station", "market", "school")
JOBS = ("teacher", "doctor", "baker", "pilot", "farmer", "painter", "cook", "lawyer", "singer", "writer")
# Sentences of everyday life with words in other places; none of them is trained on.
HELD_OUT_PAIRS: tuple[tuple[str, str], ...] = (
    ("The cat is in the garden.", "There is a cat in the garden."), ("How do I run an agent file?", "Which command starts my agent?"), ("My order has not arrived yet.", "I am still waiting for the delivery of my order."),
    ("What is the weather in Lisbon today?", "Tell me today's weather for Lisbon."), ("The train to Rome leaves at nine.", "At nine there is a train to Rome."), ("I want my money back.", "Please give me a refund."),
    ("I can't log in to my account.", "My login does not work."), ("The phone is broken.", "My phone does not work."), ("Maria lives in Porto.", "The home of Maria is in Porto."), ("How much is the blue lamp?", "What is the price of the blue lamp?"),
    ("Write a poem about winter.", "Compose verses about winter."), ("The library closes at six.", "The library is open until six."), ("Remind me to call Peter.", "Set a reminder to phone Peter."), ("Play some music.", "Put on a song."),
    ("Does it work without internet?", "Can I use it offline?"), ("Turn on the light in the kitchen.", "Switch on the kitchen lamp."), ("Paul is a teacher.", "Paul works as a teacher in a school."), ("The dog sleeps on the chair.", "On the chair there is a sleeping dog."),
    ("Book a table for four people.", "Reserve a table for four."), ("The museum is closed on Monday.", "On Monday you can't visit the museum."),
)
# fmt: on


def _form(rng: Random, held_out: bool) -> tuple[str, str]:
    while True:
        slots = {
            "a": rng.choice(words.ADJECTIVES),
            "n": rng.choice(words.NOUNS + words.ITEMS),
            "r": rng.choice(ROOMS),
            "j": rng.choice(JOBS),
            "v": rng.choice(("train", "bus", "plane", "ferry")),
            "p": rng.choice(words.FIRST_NAMES),
            "q": rng.choice(words.FIRST_NAMES),
            "c": rng.choice(words.CITIES),
            "d": rng.choice(words.DAYS + words.MONTHS),
            "k": words.number_text(rng),
        }
        form = rng.choice(FORMS)
        if is_held_out(slots["n"] + slots["p"] + slots["c"], 6) == held_out:
            one, other = rng.sample(form, 2)
            return one.format(**slots), other.format(**slots)


def pair(rng: Random, held_out: bool) -> tuple[str, str]:
    """Two sentences of one meaning."""
    pick = rng.random()
    if held_out and pick < 0.4:
        return rng.choice(HELD_OUT_PAIRS)
    if pick < 0.5 or held_out:
        return _form(rng, held_out)
    if pick < 0.6:
        family = rng.choice(FAMILIES)
        values = {
            f"p{i}": slot_value(rng, kind, held_out) for i, (_, kind, _) in enumerate(family.parameters)
        }
        one, other = (say(rng, draw(rng, family.wordings, held_out, 6), 0.3, **values) for _ in range(2))
        return one, other
    if pick < 0.7:
        intent = rng.choice(sorted(INTENTS))
        one, other = draw(rng, INTENTS[intent][1], held_out, 7), draw(rng, INTENTS[intent][1], held_out, 7)
        for slot, values in SLOTS.items():
            value = rng.choice(values)
            one, other = one.replace("{" + slot + "}", value), other.replace("{" + slot + "}", value)
        return one, other
    if pick < 0.78:
        topic = rng.choice(TOPICS)
        return say(rng, rng.choice(topic.asked)), rng.choice((rng.choice(topic.asked), topic.answer))
    if pick < 0.84:
        country = rng.choice(sorted(CAPITALS))
        one, other = (
            rng.choice(CAPITAL_WORDINGS).format(c=country),
            rng.choice(CAPITAL_WORDINGS).format(c=country),
        )
        return one, rng.choice((other, f"The capital of {country} is {CAPITALS[country]}."))
    if pick < 0.92:
        sentence, question, _ = facts(rng, 1, held_out)[0]
        return sentence, question
    if pick < 0.96:
        subject = draw(rng, SUBJECTS, held_out, 6)
        one, other = (say(rng, rng.choice(SUBJECT_WORDINGS), s=subject, o="tea") for _ in range(2))
        return one, other
    theme, kind = draw(rng, THEMES, held_out, 6), rng.choice(THINGS_WRITTEN)
    one, other = (say(rng, rng.choice(WRITE_WORDINGS), k=kind, t=theme) for _ in range(2))
    return one, other
