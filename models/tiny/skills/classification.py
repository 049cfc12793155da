"""Sentiment and intent, answered with exactly one of the labels that the prompt gives.

Held out: sentiment sentences (one in eight by hash), whole intent utterances (one in seven by hash), and the wordings
in `HELD_OUT_WORDINGS`.
"""

from __future__ import annotations

from random import Random

from skills.example import Example, assistant, draw, is_held_out, say, system, user
from skills.intents import INTENTS, SLOTS
from skills.phrases import phrase

# fmt: off
SUBJECTS = (
    "the food", "the service", "this phone", "the movie", "the hotel", "the staff", "the book", "the app", "the delivery",
    "this laptop", "the room", "the coffee", "the concert", "the new update", "the support team", "the battery", "the game",
    "the course", "the trip", "my order", "the waiter", "the camera", "this product", "the website", "the pizza",
    "the meeting", "the headset", "the price", "the screen", "the show",
)
POSITIVE = (
    "great", "excellent", "wonderful", "amazing", "fantastic", "very good", "perfect", "lovely", "superb", "delightful",
    "brilliant", "awesome", "really nice", "outstanding", "better than expected", "a pleasure", "so good", "beautiful",
    "impressive", "delicious", "worth every penny", "not bad at all",
)
NEGATIVE = (
    "terrible", "awful", "bad", "horrible", "very bad", "disappointing", "poor", "broken", "a waste of money", "useless",
    "too slow", "dreadful", "worse than expected", "annoying", "boring", "disgusting", "rude", "a disaster", "really bad",
    "not good", "unacceptable", "ugly", "frustrating",
)
NEUTRAL = (
    "okay", "average", "fine, nothing special", "as described", "the same as last year", "neither good nor bad", "standard",
    "acceptable", "so-so", "what I expected", "ordinary", "on the second floor", "open until nine", "delivered on Monday",
)
LOVE = ("I love {s}", "I really enjoyed {s}", "I am very happy with {s}", "I would recommend {s} to everyone", "{s} made my day",
        "I am so pleased with {s}", "I adore {s}", "thank you for {s}, it is great", "best purchase ever, I like {s}")
HATE = ("I hate {s}", "I regret buying {s}", "I am very unhappy with {s}", "I would never recommend {s}", "{s} ruined my day",
        "I want my money back for {s}", "I can't stand {s}", "never again, {s} was a mistake", "I am angry about {s}")
MEH = ("I bought {s} yesterday", "I am writing about {s}", "{s} arrived on Tuesday", "I have no opinion about {s}",
       "{s} is in the other room", "I saw {s} last week", "we talked about {s}", "{s} comes in two sizes")
INTENSIFIERS = ("", "", "", "really ", "just ", "absolutely ", "honestly ")
SENTIMENTS = ("positive", "negative", "neutral")
SENTIMENT_WORDINGS = (
    "Classify the sentiment as {labels}: {text}", "Classify the sentiment of this review as {labels}.\n\n{text}",
    "What is the sentiment of this text: {labels}?\n{text}", "Is this review {labels}?\n{text}", "Sentiment ({labels}): {text}",
    "Is the following {labels}? {text}", "Label the text as {labels}.\nText: {text}", "{text}\n\nIs this {labels}?",
    "Answer with one word, {labels}. Review: {text}", "Classify the sentiment ({labels}).\nText: {text}",
    'What is the sentiment of "{text}"? Answer {labels}.', "Decide if the message is {labels}.\nMessage: {text}",
)
INTENT_WORDINGS = (
    "Classify the message into one of: {labels}.\nMessage: {text}", "Classify this message as {labels}: {text}",
    "Classify the intent. Labels: {labels}.\n{text}", "Which label fits: {labels}?\n{text}",
    "Choose one of {labels} for this text: {text}", "Intents: {labels}\nMessage: {text}\nIntent:",
    "Pick the right category ({labels}) for: {text}", "{text}\n\nCategory ({labels})?",
    "Categories: {labels}. Text: {text}. Answer with one category.", "Label this with one of {labels}.\n\n{text}",
    "Which of these is it: {labels}? {text}", "Route this message to {labels}: {text}",
)
HELD_OUT_WORDINGS = (
    "Tag this text as {labels}: {text}", "Choose the label that fits best ({labels}).\nText: {text}",
    "Tell me whether this is {labels}: {text}", "Classify into {labels}.\n\n{text}",
)
SYSTEMS = (
    "Classify the user's message as {labels}. Answer with the label only.", "You are a classifier. Labels: {labels}.",
    "Classify each message into one of: {labels}.", "Answer with exactly one of {labels}.", "Choose one label: {labels}.",
    "You classify messages as {labels}. Reply with one word.",
)
# fmt: on


def labels_text(rng: Random, labels: list[str]) -> str:
    kind = rng.random()
    if kind < 0.45:
        return ", ".join(labels[:-1]) + f" or {labels[-1]}"
    return ", ".join(labels) if kind < 0.85 else " / ".join(labels)


def opinion(rng: Random, held_out: bool) -> tuple[str, str]:
    """A sentence and its sentiment."""
    while True:
        label = rng.choice(SENTIMENTS)
        subject = rng.choice(SUBJECTS)
        if rng.random() < 0.35:
            frames = {"positive": LOVE, "negative": HATE, "neutral": MEH}[label]
            text = rng.choice(frames).format(s=subject)
        else:
            quality = rng.choice({"positive": POSITIVE, "negative": NEGATIVE, "neutral": NEUTRAL}[label])
            strength = rng.choice(INTENSIFIERS) if label != "neutral" else ""
            text = f"{subject} {rng.choice(('was', 'is'))} {strength}{quality}"
        if is_held_out(text) == held_out:
            break
    text = text[0].upper() + text[1:] + rng.choice((".", ".", "!" if label != "neutral" else ".", ""))
    return text, label


def _ask(
    rng: Random, skill: str, cases: list[tuple[str, str]], labels: list[str], wordings: tuple[str, ...]
) -> Example:
    """The first of `cases` (text, label) in one prompt, or all of them in turn under a system message."""
    change = str.capitalize if rng.random() < 0.12 else str
    shown = labels_text(rng, [change(name) for name in labels])
    if rng.random() < 0.3:
        instruction = say(rng, rng.choice(SYSTEMS), 0.2, labels=shown)
        turns = [turn for text, label in cases for turn in (user(text), assistant(change(label)))]
        return Example(skill, (system(instruction), *turns))
    text, label = cases[0]
    return Example(
        skill, (user(say(rng, rng.choice(wordings), labels=shown, text=text)), assistant(change(label)))
    )


def _wordings(rng: Random, trained: tuple[str, ...], held_out: bool) -> tuple[str, ...]:
    return HELD_OUT_WORDINGS if held_out and rng.random() < 0.5 else trained


def sentiment(rng: Random, held_out: bool) -> Example:
    labels = rng.sample(SENTIMENTS, 3)
    if rng.random() < 0.25:
        labels.remove("neutral")
    cases: list[tuple[str, str]] = []
    while len(cases) < (1 if held_out else 3):
        text, label = opinion(rng, held_out)
        if label in labels:
            cases.append((text, label))
    return _ask(
        rng, "sentiment", cases, labels, _wordings(rng, SENTIMENT_WORDINGS + INTENT_WORDINGS, held_out)
    )


def utterance(rng: Random, intent: str, held_out: bool) -> str:
    composed = not held_out and rng.random() < 0.65
    text = phrase(rng, intent) if composed else draw(rng, INTENTS[intent][1], held_out, 7)
    for slot, values in SLOTS.items():
        text = text.replace("{" + slot + "}", rng.choice(values))
    if rng.random() < 0.25:
        text = rng.choice(("Hi, ", "Hello, ", "Please help: ", "Hey, ")) + text
    if rng.random() < 0.2:
        text = text.lower().rstrip(".?!")
    return text


def intent(rng: Random, held_out: bool) -> Example:
    chosen = rng.sample(sorted(INTENTS), rng.randint(2, 5))
    names = {name: rng.choice(INTENTS[name][0]) for name in chosen}
    said = [rng.choice(chosen) for _ in range(1 if held_out else 3)]
    cases = [(utterance(rng, name, held_out), names[name]) for name in said]
    return _ask(rng, "intent", cases, list(names.values()), _wordings(rng, INTENT_WORDINGS, held_out))
