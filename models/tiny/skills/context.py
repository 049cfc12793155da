"""Short answers copied from a given context, from one sentence to numbered passages, and one-sentence summaries.

A fact has a subject, a slot and ways to ask; a context is a few facts about different subjects. Held out: one pair of
fact kind and subject in eight by hash, and the wordings in `HELD_OUT_WORDINGS`; values are mostly made up.
"""

from __future__ import annotations

from random import Random

from skills import words
from skills.example import Example, Message, assistant, is_held_out, say, system, user

# fmt: off
PLACES = ("library", "museum", "pool", "shop", "office", "bakery", "gym", "bank", "market", "school", "park", "pharmacy", "cinema", "restaurant", "hotel", "station",
          "theatre", "clinic", "garden", "zoo", "castle", "café", "bar", "factory", "warehouse", "post office")
EVENTS = ("meeting", "concert", "course", "party", "exam", "match", "conference", "workshop", "lesson", "interview", "race", "show", "wedding", "lecture", "festival", "training")
VEHICLES = ("train", "bus", "ferry", "plane", "tram", "boat")
PROJECTS = ("project", "team", "band", "club", "company", "department", "course", "ship")
# kind: (subjects, value, sentence, questions, answer)
FACTS: tuple[tuple[tuple[str, ...], str, str, tuple[str, ...], str], ...] = (
    (PLACES, "hour", "The {s} opens at {v}.", ("When does the {s} open?", "At what time does the {s} open?", "What time does the {s} open?"), "At {v}."),
    (PLACES, "hour", "The {s} closes at {v}.", ("When does the {s} close?", "At what time does the {s} close?", "Until when is the {s} open?"), "At {v}."),
    (PLACES, "day", "The {s} is closed on {v}.", ("On which day is the {s} closed?", "When is the {s} closed?"), "On {v}."),
    (PLACES, "street", "The {s} is in {v}.", ("Where is the {s}?", "Where can I find the {s}?", "In which street is the {s}?"), "In {v}."),
    (PLACES, "year", "The {s} was built in {v}.", ("When was the {s} built?", "In which year was the {s} built?"), "In {v}."),
    (PLACES, "price", "A ticket for the {s} costs {v}.", ("How much is a ticket for the {s}?", "What does a ticket for the {s} cost?", "How much does a ticket for the {s} cost?"), "{v}."),
    (PLACES, "person", "The manager of the {s} is {v}.", ("Who is the manager of the {s}?", "Who manages the {s}?"), "{v}."),
    (PLACES, "number", "The {s} has {v} rooms.", ("How many rooms does the {s} have?", "How many rooms are in the {s}?"), "{v}."),
    (PLACES, "phone", "The phone number of the {s} is {v}.", ("What is the phone number of the {s}?", "How can I call the {s}?"), "{v}."),
    (EVENTS, "hour", "The {s} starts at {v}.", ("When does the {s} start?", "At what time does the {s} start?", "What time is the {s}?"), "At {v}."),
    (EVENTS, "day", "The {s} is on {v}.", ("When is the {s}?", "On which day is the {s}?", "What day is the {s}?"), "On {v}."),
    (EVENTS, "city", "The {s} takes place in {v}.", ("Where does the {s} take place?", "Where is the {s}?", "In which city is the {s}?"), "In {v}."),
    (EVENTS, "number", "{v} people came to the {s}.", ("How many people came to the {s}?", "How many people were at the {s}?"), "{v}."),
    (EVENTS, "person", "{v} organises the {s}.", ("Who organises the {s}?", "Who is organising the {s}?"), "{v}."),
    (VEHICLES, "city", "The {s} goes to {v}.", ("Where does the {s} go?", "Where is the {s} going?", "To which city does the {s} go?"), "To {v}."),
    (VEHICLES, "hour", "The {s} leaves at {v}.", ("When does the {s} leave?", "At what time does the {s} leave?"), "At {v}."),
    (VEHICLES, "number", "The {s} leaves from platform {v}.", ("From which platform does the {s} leave?", "Which platform does the {s} leave from?"), "From platform {v}."),
    (PROJECTS, "person", "{v} leads the {s}.", ("Who leads the {s}?", "Who is the leader of the {s}?"), "{v}."),
    (PROJECTS, "name", "The {s} is called {v}.", ("What is the {s} called?", "What is the name of the {s}?"), "{v}."),
    (PROJECTS, "year", "The {s} was founded in {v}.", ("When was the {s} founded?", "In which year was the {s} founded?"), "In {v}."),
    (PROJECTS, "number", "The {s} has {v} members.", ("How many members does the {s} have?", "How many people are in the {s}?"), "{v}."),
    (words.ITEMS, "price", "The {s} costs {v}.", ("How much is the {s}?", "What does the {s} cost?", "How much does the {s} cost?", "What is the price of the {s}?"), "{v}."),
    (words.ITEMS, "colour", "The {s} is {v}.", ("What colour is the {s}?", "Which colour does the {s} have?", "What color is the {s}?"), "{v}."),
    (words.ITEMS, "place", "The {s} is in the {v}.", ("Where is the {s}?", "Where can I find the {s}?"), "In the {v}."),
    (words.ITEMS, "person", "The {s} belongs to {v}.", ("Whose {s} is it?", "Who owns the {s}?", "To whom does the {s} belong?"), "{v}."),
    (words.ITEMS, "months", "The {s} has a warranty of {v}.", ("How long is the warranty of the {s}?", "What is the warranty of the {s}?"), "{v}."),
    (("PERSON",), "city", "{s} lives in {v}.", ("Where does {s} live?", "In which city does {s} live?"), "In {v}."),
    (("PERSON",), "job", "{s} works as a {v}.", ("What does {s} do?", "What is the job of {s}?", "What is {s}'s job?"), "{v}."),
    (("PERSON",), "age", "{s} is {v} years old.", ("How old is {s}?", "What is the age of {s}?"), "{v} years old."),
    (("PERSON",), "thing", "{s} likes {v}.", ("What does {s} like?",), "{v}."),
    (("PERSON",), "city", "{s} was born in {v}.", ("Where was {s} born?", "In which city was {s} born?"), "In {v}."),
    (("PERSON",), "pet", "{s} has a {v}.", ("What pet does {s} have?", "Which animal does {s} have?"), "A {v}."),
    (("server", "router", "printer", "backup", "database", "gateway", "sensor", "pump", "engine", "oven"), "code", "The password of the {s} is {v}.", ("What is the password of the {s}?", "Which password does the {s} have?"), "{v}."),
    (("server", "router", "printer", "backup", "database", "gateway", "sensor", "pump", "engine", "oven"), "hour", "The {s} restarts at {v}.", ("When does the {s} restart?", "At what time does the {s} restart?"), "At {v}."),
    (("server", "router", "printer", "backup", "database", "gateway", "sensor", "pump", "engine", "oven"), "person", "{v} takes care of the {s}.", ("Who takes care of the {s}?", "Who is responsible for the {s}?"), "{v}."),
)
FILLERS = ("It was a quiet day.", "Everybody is welcome.", "Please be on time.", "The weather was good.", "Thank you for reading.", "More news will follow.", "There is coffee for all.", "Dogs are not allowed.", "We hope to see you there.", "This notice is for all guests.")
UNKNOWN = "The context does not say."
WORDINGS = (
    "Context: {c}\nQuestion: {q}", "Context: {c} Question: {q}", "Context: {c}\n\nQuestion: {q}\nAnswer:", "{c}\n\n{q}", "{c} {q}", "Read the text and answer.\nText: {c}\nQuestion: {q}",
    "Answer the question from the context.\nContext:\n{c}\nQuestion: {q}", "Use the context to answer.\n\n{c}\n\nQuestion: {q}", "Text: {c}\n{q}", "Question: {q}\nContext: {c}", "Given this text: {c}\nAnswer: {q}",
    "Answer using only these passages.\n{c}\n\nQuestion: {q}", "Passages:\n{c}\n\nQuestion: {q}",
)
HELD_OUT_WORDINGS = ("Here is a note: {c}\nNow answer: {q}", "Based on the text below, {q}\n\n{c}", "Documents:\n{c}\nUser question: {q}", "Please answer from this context: {c} Question: {q}")
SYSTEMS = ("Answer from the context: {c}", "Answer the user's question from these passages.\n{c}", "Use this context.\n{c}", "You answer questions about this text:\n{c}")
SUMMARY_WORDINGS = ("Summarize: {t}", "Summarize in one sentence: {t}", "Give me a one-sentence summary.\n{t}", "Summarize this text.\n\n{t}", "Write a headline for this note: {t}", "What is the main point? {t}", "Summary of this note: {t}", "{t}\n\nSummarize this.")
SUMMARY_HELD_OUT = ("Please summarize the following note: {t}", "Sum up in one sentence: {t}", "Short summary, please: {t}")
# fmt: on


def _value(rng: Random, kind: str) -> str:
    made = rng.random() < 0.4
    match kind:
        case "hour":
            return rng.choice(
                (
                    words.time_text(rng),
                    rng.choice(
                        ("nine", "ten", "eight", "seven", "noon", "six", "five", "half past two", "eleven")
                    ),
                )
            )
        case "day":
            return rng.choice((rng.choice(words.DAYS), words.date_text(rng)))
        case "street":
            return f"{words.made_up_name(rng) if made else rng.choice(words.NOUNS).capitalize()} {rng.choice(('Street', 'Road', 'Lane', 'Avenue'))}"
        case "year":
            return str(rng.randint(1800, 2025))
        case "price":
            return f"{words.amount_text(rng)} {rng.choice(('euros', 'dollars', 'pounds'))}"
        case "person":
            name = words.made_up_name(rng) if made else rng.choice(words.FIRST_NAMES)
            return f"{name} {rng.choice(words.LAST_NAMES)}" if rng.random() < 0.4 else name
        case "number":
            return words.number_text(rng)
        case "phone":
            return words.phone_text(rng)
        case "city":
            return words.made_up_name(rng) if made else rng.choice(words.CITIES)
        case "name":
            return words.made_up_name(rng) if made else rng.choice(words.COMPANIES)
        case "colour":
            return rng.choice(
                (
                    "red",
                    "blue",
                    "green",
                    "yellow",
                    "black",
                    "white",
                    "silver",
                    "golden",
                    "grey",
                    "purple",
                    "orange",
                    "brown",
                )
            )
        case "place":
            return rng.choice(
                (
                    "kitchen",
                    "garage",
                    "cellar",
                    "hall",
                    "office",
                    "garden",
                    "cupboard",
                    "drawer",
                    "bedroom",
                    "attic",
                    "car",
                    "box",
                )
            )
        case "months":
            return f"{rng.randint(2, 36)} months"
        case "job":
            return rng.choice(
                (
                    "teacher",
                    "doctor",
                    "nurse",
                    "baker",
                    "pilot",
                    "driver",
                    "farmer",
                    "painter",
                    "cook",
                    "lawyer",
                    "singer",
                    "writer",
                    "gardener",
                    "plumber",
                    "dentist",
                    "judge",
                )
            )
        case "age":
            return str(rng.randint(3, 99))
        case "thing":
            return rng.choice(
                (
                    f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.NOUNS)}s",
                    "music",
                    "football",
                    "chess",
                    "cooking",
                    "old films",
                    "swimming",
                )
            )
        case "pet":
            return rng.choice(("dog", "cat", "parrot", "rabbit", "horse", "hamster", "turtle", "goldfish"))
        case "code":
            return f"{words.made_up_word(rng, 1, 2)}{rng.randint(0, 999)}"
        case _:
            raise ValueError(kind)


def facts(rng: Random, count: int, held_out: bool | None) -> list[tuple[str, str, str]]:
    """`count` facts of different subjects as (sentence, question, answer); `held_out=None` takes either side."""
    found: list[tuple[str, str, str]] = []
    seen: set[tuple[str, str]] = set()
    while len(found) < count:
        subjects, kind, sentence, questions, answer = rng.choice(FACTS)
        subject = rng.choice(subjects)
        if subject == "PERSON":
            subject = words.made_up_name(rng) if rng.random() < 0.4 else rng.choice(words.FIRST_NAMES)
        if (subject, kind) in seen or (held_out is not None and is_held_out(subject + sentence) != held_out):
            continue
        seen |= {(subject, kind)}
        value = _value(rng, kind)
        shown = answer.format(s=subject, v=value)
        sentence = sentence.format(s=subject, v=value)
        found.append(
            (
                sentence[0].upper() + sentence[1:],
                rng.choice(questions).format(s=subject),
                shown[0].upper() + shown[1:],
            )
        )
    return found


def context_question(rng: Random, held_out: bool) -> Example:
    count = rng.choice((1, 2, 3, 3, 4, 5, 6))
    chosen = facts(rng, 1, held_out) + facts(rng, count, None if held_out else False)
    _, question, answer = chosen[0]
    sentences = [sentence for sentence, _, _ in chosen[: max(1, count)]]
    more: list[Message] = []
    if not held_out:
        # Further questions on one context cost few tokens.
        for _, again, short in rng.sample(
            chosen[1 : max(1, count)], min(max(0, count - 1), rng.choice((0, 1, 2, 3)))
        ):
            more += [user(say(rng, again, 0.2)), assistant(short)]
    if rng.random() < 0.1:
        sentences, answer = [sentence for sentence, _, _ in chosen[1:]], UNKNOWN
    if rng.random() < 0.3:
        sentences.insert(rng.randint(0, len(sentences)), rng.choice(FILLERS))
    rng.shuffle(sentences)
    numbered = rng.random() < 0.3 and len(sentences) > 1
    if numbered:
        passages = [" ".join(sentences[i : i + 2]) for i in range(0, len(sentences), 2)]
        mark = rng.choice(("[{}] {}", "{}. {}", "({}) {}", "Passage {}: {}"))
        text = "\n".join(mark.format(i + 1, passage) for i, passage in enumerate(passages))
    else:
        text = " ".join(sentences)
    if rng.random() < 0.15:
        return Example(
            "context",
            (
                system(rng.choice(SYSTEMS).format(c=text)),
                user(say(rng, question, 0.2)),
                assistant(answer),
                *more,
            ),
        )
    wordings = HELD_OUT_WORDINGS if held_out and rng.random() < 0.4 else WORDINGS
    return Example(
        "context",
        (
            user(say(rng, rng.choice(wordings), 0.15, c=text, q=say(rng, question, 0.2))),
            assistant(answer),
            *more,
        ),
    )


def summary(rng: Random, held_out: bool) -> Example:
    """The first sentence that carries a fact; the rest of the note is detail."""
    chosen = facts(rng, 1, held_out) + facts(rng, rng.randint(1, 2), None)
    sentences = [chosen[0][0], *(sentence for sentence, _, _ in chosen[1:])]
    if rng.random() < 0.6:
        sentences.insert(rng.choice((0, len(sentences))), rng.choice(FILLERS))
    wordings = SUMMARY_HELD_OUT if held_out else SUMMARY_WORDINGS
    return Example(
        "summary",
        (user(say(rng, rng.choice(wordings), 0.15, t=" ".join(sentences))), assistant(chosen[0][0])),
    )
