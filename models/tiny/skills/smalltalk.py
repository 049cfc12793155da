"""The boot check, greetings, thanks, and remembering a name within a conversation.

Held out: for the boot check the fifty sentences of `BOOT_HELD_OUT` (asserted absent from training in `data.py`); names by
hash, and the wordings in `ASK_NAME_HELD_OUT`.
"""

from __future__ import annotations

from random import Random

from skills import words
from skills.example import Example, Message, assistant, is_held_out, say, user

# fmt: off
BOOT_VERBS = ("Respond", "Reply", "Answer", "Respond", "Reply", "Answer", "Please respond", "Please reply", "Please answer", "Simply respond", "Just reply", "Only answer", "Come back")
BOOT_WITH = (" with OK", " with OK", " with OK", " OK", ' with "OK"', " with the word OK", " with just OK", " with only OK", " with a simple OK", " with ok", " using OK", " by saying OK", " with exactly OK")
BOOT_SAY = ("Say OK", "Please say OK", "Just say OK", "Say the word OK", "Write OK", "Type OK", "Send OK", "Give me an OK", "Return OK", "Output OK", "Print OK", 'Say "OK"', "Tell me OK", "Confirm with OK", "Acknowledge with OK")
BOOT_IF = (
    "", " if you are working", " if you are working", " if you work", " if you are alive", " if you can read this", " if you hear me", " if you are there", " if you are ready", " if everything works",
    " if you are online", " if you are up", " if you are running", " if you understand", " when you are ready", " to confirm", " to show that you work", " if this works", " if you got this",
    " if you see this", " if you are loaded", " if the model works", " now", " and nothing else", " if you can hear me", " if all is well", " to this message", " as soon as you are ready",
)
BOOT_ASK = ("Are you working?", "Are you there?", "Are you ready?", "Do you work?", "Is the model loaded?", "Can you read this?", "This is a test.", "Boot check:", "Health check.", "Self test.", "Ping.", "Is anybody there?", "Status?", "Testing.")
BOOT_HELD_OUT = (
    "Respond with OK if you are working.", "Reply with OK if you are working.", "Answer with OK if you can read this.", "Please respond with OK if you are working.", "Say OK if you are working.",
    "Are you working? Respond with OK.", "Are you ready? Reply with OK.", "reply with ok if you feel fine", "Reply OK if you are online.", "Just answer OK.",
    "Please say OK if you are there.", "If you are working, respond with OK.", "If you can read this, reply with OK.", "If everything is fine, say OK.", "When you are ready, answer with OK.",
    "Boot check: respond with OK.", "Health check. Reply OK.", "This is a test. Please answer with OK.", "Say OK to confirm that you are running.", "Write OK if you are up and running.",
    "Can you respond with OK?", "Could you say OK?", "Would you please reply with OK?", "Can you say OK if you are working?", "Please confirm with OK that you are working.",
    "Respond with the single word OK.", "Respond only with OK.", "Only reply with the word OK.", "Your answer should be OK.", "I want you to respond with OK.",
    "Respond with OK if you received this message.", "Reply with OK if you understood me.", "Answer OK if the system works.", "Type OK if you can see this.", "Return OK if you are healthy.",
    "Output OK if you are functional.", "Print OK if you are alive and well.", "Give me an OK if you are ready to start.", "Acknowledge with OK if you are running.", "Say the word OK if you are up.",
    "Ping. Respond with OK.", "Hello, respond with OK if you are working.", "Hi! Please reply with OK if you are working.", "Test: say OK.", "Is the model loaded? Answer with OK.",
    "Are you alive? Say OK.", "You work? Reply OK.", "Do you hear me? If so, respond with OK.", "Respond with OK if you are operational.", "Please answer with just the word OK if you work.",
)
GREETINGS = (
    ("Hello", "Hello! How can I help you?"), ("Hi", "Hello! How can I help you?"), ("Hello!", "Hello! How can I help you?"), ("Hi there", "Hello! How can I help you?"), ("Hey", "Hello! How can I help you?"),
    ("Hello there!", "Hello! How can I help you?"), ("Hi!", "Hello! How can I help you?"), ("hey there", "Hello! How can I help you?"), ("Greetings", "Hello! How can I help you?"), ("Hello, how are you?", "I am fine, thank you. How can I help you?"),
    ("How are you?", "I am fine, thank you. How can I help you?"), ("How are you doing today?", "I am fine, thank you. How can I help you?"), ("How's it going?", "I am fine, thank you. How can I help you?"), ("Hi, how are you?", "I am fine, thank you. How can I help you?"),
    ("Good morning", "Good morning! How can I help you?"), ("Good morning!", "Good morning! How can I help you?"), ("Good evening", "Good evening! How can I help you?"), ("Good evening!", "Good evening! How can I help you?"), ("Good afternoon", "Good afternoon! How can I help you?"),
    ("Good night", "Good night!"), ("Thanks", "You're welcome!"), ("Thank you!", "You're welcome!"), ("Thank you very much", "You're welcome!"), ("Thanks a lot!", "You're welcome!"), ("Thanks for your help", "You're welcome!"), ("Great, thanks", "You're welcome!"),
    ("Bye", "Goodbye!"), ("Goodbye", "Goodbye!"), ("See you later", "Goodbye!"), ("Bye bye!", "Goodbye!"), ("See you tomorrow", "Goodbye!"), ("Welcome!", "Hello! How can I help you?"), ("Nice to meet you", "Nice to meet you too!"), ("Nice to meet you!", "Nice to meet you too!"),
    ("Hello again", "Hello! How can I help you?"), ("hiya", "Hello! How can I help you?"), ("Hi bot", "Hello! How can I help you?"), ("Hello tea", "Hello! How can I help you?"), ("Hi assistant!", "Hello! How can I help you?"), ("Yo", "Hello! How can I help you?"), ("Hello friend", "Hello! How can I help you?"),
)
GREETINGS_HELD_OUT = (
    ("Hello to you!", "Hello! How can I help you?"), ("Hey, hello!", "Hello! How can I help you?"), ("Hi hi", "Hello! How can I help you?"), ("Hello there, how are you?", "I am fine, thank you. How can I help you?"), ("How are you today?", "I am fine, thank you. How can I help you?"),
    ("Good morning to you", "Good morning! How can I help you?"), ("good evening, friend", "Good evening! How can I help you?"), ("Thank you so much!", "You're welcome!"), ("Many thanks", "You're welcome!"), ("ok thanks", "You're welcome!"), ("Bye for now", "Goodbye!"), ("Goodbye, see you", "Goodbye!"),
    ("Hey, good morning", "Good morning! How can I help you?"), ("Hi, nice to meet you", "Nice to meet you too!"), ("hello assistant", "Hello! How can I help you?"), ("Thanks, bye", "Goodbye!"),
)
OPENINGS = ("Hello", "Hi", "Hey", "Hello hello", "Hi hello", "Hey hi", "Oh hello", "OK hello")
WHOM = ("", "", " there", " you", " everyone", " dear", " model", " computer", " my friend", " again", " to all", " tea-tiny")
TAILS = (
    ("", "Hello! How can I help you?"), ("!", "Hello! How can I help you?"), (".", "Hello! How can I help you?"), (", how are you?", "I am fine, thank you. How can I help you?"), ("! How are you doing?", "I am fine, thank you. How can I help you?"),
    (", good morning", "Good morning! How can I help you?"), (", good evening!", "Good evening! How can I help you?"), (", good afternoon", "Good afternoon! How can I help you?"), (", I am glad to meet you", "Nice to meet you too!"), ("! Nice to meet you.", "Nice to meet you too!"),
    (", thank you", "You're welcome!"), (", thanks for that", "You're welcome!"), (", bye", "Goodbye!"), (", I have to go, bye", "Goodbye!"), (", thank you and goodbye", "Goodbye!"),
)
TELL_NAME = ("My name is {n}.", "I am {n}.", "Hi, I'm {n}.", "Hello, my name is {n}!", "Call me {n}.", "I'm {n}", "You can call me {n}.", "my name is {n}", "Hello, I am {n}.", "They call me {n}.")
ASK_NAME = ("What is my name?", "What's my name?", "Who am I?", "Do you remember my name?", "Do you know my name?", "Tell me my name.", "what is my name", "Say my name.")
ASK_NAME_HELD_OUT = ("Can you tell me my name?", "What did I say my name was?", "Do you still know my name?", "Remind me, what is my name?")
# fmt: on


def boot_check(rng: Random, held_out: bool) -> Example:
    """Any wording of "say OK if you work"."""
    if held_out:
        return Example("boot check", (user(rng.choice(BOOT_HELD_OUT)), assistant("OK")), "ok")
    while True:
        order = rng.choice(BOOT_VERBS) + rng.choice(BOOT_WITH) if rng.random() < 0.6 else rng.choice(BOOT_SAY)
        condition = rng.choice(BOOT_IF)
        kind = rng.random()
        if kind < 0.2 and condition.startswith((" if", " when")):
            text = f"{condition.strip().capitalize()}, {order[0].lower()}{order[1:]}."
        elif kind < 0.4:
            text = f"{rng.choice(BOOT_ASK)} {order}."
        elif kind < 0.5:
            text = f"{rng.choice(('Can you', 'Could you', 'I want you to', 'You should', 'Now'))} {order[0].lower()}{order[1:]}{condition}."
        else:
            text = f"{order}{condition}{rng.choice(('.', '.', '!', ''))}"
        text = say(rng, text, 0.2)
        if text not in BOOT_HELD_OUT:
            return Example("boot check", (user(text), assistant("OK")), "ok")


def greeting(rng: Random, held_out: bool) -> Example:
    text, answer = rng.choice(GREETINGS_HELD_OUT if held_out else GREETINGS)
    if not held_out:
        if rng.random() < 0.4:
            opening, whom, tail = rng.choice(OPENINGS), rng.choice(WHOM), rng.choice(TAILS)
            text, answer = f"{opening}{whom}{tail[0]}", tail[1]
        text = say(rng, text, 0.3)
    return Example("greeting", (user(text), assistant(answer)))


def _name(rng: Random, held_out: bool) -> str:
    while True:
        name = rng.choice(words.FIRST_NAMES) if rng.random() < 0.6 else words.made_up_name(rng)
        if is_held_out(name) == held_out:
            return name


def name_memory(rng: Random, held_out: bool) -> Example:
    name = _name(rng, held_out)
    told = [user(say(rng, rng.choice(TELL_NAME), 0.3, n=name)), assistant(f"Nice to meet you, {name}!")]
    if rng.random() < 0.2:
        return Example("name memory", tuple(told))
    between: list[Message] = []
    for _ in range(rng.choice((0, 0, 1, 2))):
        text, answer = (
            rng.choice(GREETINGS[:26])
            if rng.random() < 0.6
            else (f"Repeat: {words.NOUNS[rng.randrange(len(words.NOUNS))]}", "")
        )
        between += [user(text), assistant(answer or text.removeprefix("Repeat: "))]
    if rng.random() < 0.08 and not held_out:
        return Example(
            "name memory",
            (*between, user(say(rng, rng.choice(ASK_NAME))), assistant("You did not tell me your name yet.")),
        )
    asked = user(
        say(rng, rng.choice(ASK_NAME_HELD_OUT if held_out and rng.random() < 0.5 else ASK_NAME), 0.3)
    )
    return Example("name memory", (*told, *between, asked, assistant(f"Your name is {name}.")))
