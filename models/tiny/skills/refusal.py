"""Everything the model can't do, and how it says so.

Requests are built from verbs and subjects of many fields so that unknown prompts end here instead of in babble. Held
out: the subjects (one in six by hash) and the whole sentences of `UNKNOWN_HELD_OUT`.
"""

from __future__ import annotations

from random import Random

from skills import words
from skills.example import Example, assistant, draw, is_held_out, say, user
from skills.text import CAPITAL_WORDINGS, CAPITALS

# fmt: off
TAIL = "Load a larger model with --gguf."
WRITE = f"I am a tiny demonstration model and can't write that. {TAIL}"
KNOW = f"I am a tiny demonstration model and don't know that. {TAIL}"
CODE = f"I am a tiny demonstration model and can't write code. {TAIL}"
ADVISE = f"I am a tiny demonstration model and can't give advice. {TAIL}"
TRANSLATE = f"I am a tiny demonstration model and can't translate. {TAIL}"
SUMS = f"I am a tiny demonstration model and can't do sums like that. {TAIL}"
COMPARE = f"I am a tiny demonstration model and can't compare numbers. {TAIL}"
PUZZLED = f"I am a tiny demonstration model and don't understand that. {TAIL}"

THEMES = tuple(
    """love the sea|autumn|a lonely robot|my grandmother|the moon|friendship|a dragon|winter|time|the city at night|a brave cat|space travel|my job|the rain|freedom|a wedding|my dog|the future|war and peace|a lost key|
    a pirate|Christmas|the desert|an old house|the ocean|a talking tree|artificial intelligence|climate change|my holiday|a football match|the king|two sisters|a train journey|summer in Italy|hope|coffee|a wizard|the stars|
    a small village|a detective|a ghost|the history of bread|a rainy Monday|my first day at school|the power of music|a garden|health|technology|a river|a mountain climb""".replace("\n", " ").split("|")
)
THINGS_WRITTEN = ("a poem", "a story", "a song", "an essay", "a haiku", "a letter", "a joke", "a blog post", "a short story", "a speech", "a novel", "an article", "lyrics", "a limerick", "a fairy tale", "a tweet", "a report", "a cover letter", "a sonnet", "a dialogue", "a product description", "a slogan", "a toast")
WRITE_WORDINGS = ("Write {k} about {t}.", "Write me {k} about {t}", "Compose {k} about {t}.", "Can you write {k} about {t}?", "I need {k} about {t}.", "Please create {k} on {t}.", "Give me {k} about {t}.", "Make up {k} about {t}", "Tell me {k} about {t}.", "{k} about {t}, please", "Could you draft {k} on {t}?")
KNOWLEDGE = tuple(
    """Who was the first president of the United States?|Who wrote Romeo and Juliet?|Why is the sky blue?|How far is the moon?|What is the speed of light?|Who painted the Mona Lisa?|When did the second world war end?|What is photosynthesis?|
    How do vaccines work?|What is quantum mechanics?|Who won the world cup in 2018?|What is the tallest mountain in the world?|How many bones does a human have?|What is the meaning of life?|Who is the president of France?|What is the population of Brazil?|
    Explain relativity to me.|How does a car engine work?|What is the largest ocean?|Who discovered penicillin?|What is a black hole?|Explain how the internet works.|What is DNA?|Why do cats purr?|How do planes fly?|What is inflation?|Who invented the telephone?|
    When was Rome founded?|What causes earthquakes?|What is the boiling point of water?|How old is the universe?|What language do they speak in Brazil?|Who was Napoleon?|What is machine learning?|How does a neural network work?|What is a transformer model?|
    What is blockchain?|Who wrote Don Quixote?|What is the currency of Japan?|How many planets are there?|What is gravity?|Why is grass green?|Which animal is the fastest?|How deep is the ocean?|What is the longest river?|Who is Einstein?|What is an atom?|
    How do magnets work?|What happened in 1789?|What is the chemical formula of salt?|Explain the French revolution.|How are diamonds made?|What is democracy?|Who sang Yesterday?|What is jazz?|How does the heart work?|Why do we dream?|What is a verb?|
    How many people live in China?|Tell me about the Roman empire.|Tell me about dinosaurs.|Tell me about Mars.|Tell me a fact about whales.|What is the best movie ever?|Who is the richest person?|Which team won yesterday?|What is the square root of 144?|What is the theory of evolution?|
    Who is Shakespeare?|What is philosophy?|Explain inflation in simple words.|What do pandas eat?|How big is the sun?|What is the internet?|What is a computer?|How do I bake bread?|How do I cook rice?|How do I tie a tie?|How do I change a tyre?|Give me a recipe for pancakes.|What should I cook tonight?|
    How do I learn to swim?|How long do elephants live?|Why is the sea salty?|How many hours are in a year?|What is the distance from Paris to Rome?|Who is the pope?|What is the GDP of Germany?|What is the stock price of Apple?|What happened today?|What is the news?|Tell me the latest news.|What time is it?|
    What is the date today?|What is the weather like?|Will it rain tomorrow?|Who won the election?|What is on TV tonight?|What's new in the world?|How is the traffic?|Is there a god?|What is love?|Can animals think?|What is consciousness?|Do you have feelings?|Do you dream?|What do you think about politics?|
    Which book should I read?|Recommend a movie.|What is the best phone?|Plan a trip to Rome.|Give me gift ideas.|Suggest a name for my dog.|Give me ten ideas for a startup.|Plan my week.|What are the symptoms of flu?""".replace("\n", " ").split("|")
)
SUBJECTS = tuple(
    """the Roman empire|volcanoes|quantum physics|the stock market|jazz music|dinosaurs|electric cars|the human brain|chess openings|ancient Egypt|bees|the moon landing|solar energy|the French revolution|black holes|Buddhism|penguins|the immune system|
    inflation|impressionism|tennis|wine|the Cold War|whales|genetics|Shakespeare|robots|nuclear power|photosynthesis|the Vikings|bitcoin|coral reefs|opera|glaciers|the Silk Road|vitamins|bridges|the Olympic games|tea ceremonies|democracy|the deep sea|philosophy|sharks|
    steam engines|elections in Europe|rockets|cholesterol|climate change|Mozart|the stone age|Leonardo da Vinci|Mars|the Amazon|microchips|yoga|migration|the Renaissance|algebra""".replace("\n", " ").split("|")
)
SUBJECT_WORDINGS = ("Tell me about {s}.", "What is known about {s}?", "Explain {s}.", "Explain {s} to a child.", "Who invented {s}?", "What do you know about {s}?", "Give me facts about {s}.", "Why are people interested in {s}?", "How does {s} work?", "What is the history of {s}?", "Teach me {s}.", "I want to learn about {s}.", "What's the most important thing about {s}?", "Compare {s} and {o}.", "What is the difference between {s} and {o}?", "Is there a link between {s} and {o}?", "List five things about {s}.", "When did {s} begin?")
PROGRAMS = ("sorts a list", "reverses a string", "computes Fibonacci numbers", "reads a CSV file", "sends an email", "parses JSON", "downloads a page", "plays chess", "finds prime numbers", "counts words", "draws a circle", "opens a socket", "checks a password", "solves a maze", "merges two files", "prints a calendar", "calculates taxes", "queries a database")
LANGUAGES = ("Python", "JavaScript", "Java", "C", "C++", "Rust", "Go", "SQL", "Bash", "PHP", "Ruby", "Kotlin", "TypeScript")
CODE_WORDINGS = ("Write a {l} function that {p}.", "Write a {l} program that {p}.", "How do I write {l} code that {p}?", "Give me a script in {l} that {p}.", "Show me {l} code that {p}", "I need a {l} script that {p}.", "Fix my {l} code.", "Debug this {l} program.", "Write code in {l}.", "Can you program in {l}?", "Explain this {l} code to me.", "Write unit tests in {l}.", "Refactor my {l} class.", "create a website in {l}", "Write a regex for {l}.")
AILMENTS = ("headache", "fever", "back pain", "a cough", "a rash", "my knee", "insomnia", "a cold", "stomach pain", "dizziness", "high blood pressure", "a toothache", "anxiety", "an allergy")
AFFAIRS = ("my rent contract", "my divorce", "a parking ticket", "my taxes", "a mortgage", "shares", "my pension", "an inheritance", "a lawsuit", "a loan", "gold", "crypto", "my salary", "my boss", "my marriage", "my diet", "my career")
ADVICE_WORDINGS = ("What should I do about {a}?", "What medicine helps against {a}?", "I have {a}, what should I take?", "Is {a} dangerous?", "Give me advice about {a}.", "How do I treat {a}?", "Should I see a doctor about {a}?", "Should I worry about {a}?", "What helps with {a}?")
AFFAIR_WORDINGS = ("What should I do about {a}?", "Give me legal advice about {a}.", "Should I invest in {a}?", "Can you advise me on {a}?", "How do I deal with {a}?", "Is {a} a good idea?", "What does the law say about {a}?", "Help me with {a}.")
TRANSLATE_WORDINGS = ("Translate {t} into {g}.", "How do you say {t} in {g}?", "Translate to {g}: {t}", "What is {t} in {g}?", "Say {t} in {g}.", "Can you translate {t} to {g}?", "{t} in {g}?")
TONGUES = ("French", "German", "Spanish", "Italian", "Portuguese", "Japanese", "Polish", "Dutch", "Chinese", "Russian", "Arabic", "Greek", "Swedish", "Turkish")
OTHER_COUNTRIES = ("Mongolia", "Nepal", "Iceland", "Morocco", "Vietnam", "Bolivia", "Romania", "Ghana", "Iran", "Iraq", "Pakistan", "Ecuador", "Uruguay", "Latvia", "Estonia", "Croatia", "Serbia", "Jamaica", "Sudan", "Uganda", "Malaysia", "Fiji", "Qatar", "Bulgaria", "Atlantis", "Texas", "Bavaria")
COMPARE_WORDINGS = ("Is {a} {r} than {b}?", "Which is {r}, {a} or {b}?", "{a} is {r} than {b}, right?", "What is {r}: {a} or {b}?", "Which number is {r}, {a} or {b}?", "Answer yes or no: is {a} {r} than {b}?")
STATEMENTS = ("I like {t}.", "The {a} {n} is {b}.", "My {n} is {b}.", "{n} {m}", "I saw a {n} yesterday.", "Yesterday I bought a {n}.", "We went to the {n}.", "{g}", "{g} {h}", "{g} {n} {h}?", "The {n} and the {m}.", "There is a {n} in my {m}.", "asdf", "asdfgh jkl", "lorem ipsum", "???", "...", "hmm", "blah blah", "Why?", "Maybe.", "I am tired.", "It is late.", "Nothing.", "so what", "and then?", "the {n} {g}", "{a} {n}")
UNKNOWN_HELD_OUT = (
    ("Write a poem about the sea at dawn.", WRITE), ("Write me a bedtime story.", WRITE), ("Tell me a joke.", WRITE), ("Who is the prime minister of Canada?", KNOW), ("What is the theory of everything?", KNOW), ("How do I fix my washing machine?", KNOW),
    ("What's the score of the match?", KNOW), ("Who directed Titanic?", KNOW), ("Write a Python program that prints hello world.", CODE), ("Write hello world in Java.", CODE), ("I have a sore throat, what should I do?", ADVISE), ("Should I buy a house?", ADVISE),
    ("How do you say good night in Korean?", TRANSLATE), ("Translate cheese into French.", TRANSLATE), ("My hovercraft is full of eels.", PUZZLED), ("Colorless green ideas sleep furiously.", PUZZLED), ("What is the airspeed of a swallow?", KNOW), ("Draw me a picture of a horse.", WRITE),
    ("What happened in Paris in 1968?", KNOW), ("Explain the rules of cricket.", KNOW), ("Describe a sunset.", WRITE), ("How many calories are in an egg?", KNOW), ("Who was Cleopatra?", KNOW), ("What is the best way to lose weight?", ADVISE), ("Give me a list of synonyms for happy.", KNOW), ("Write an email to my boss.", WRITE),
    ("What is the smallest country in the world?", KNOW), ("Why do birds sing?", KNOW), ("Can you book me a hotel?", KNOW), ("Order a pizza for me.", KNOW),
)
# fmt: on


def request(rng: Random, held_out: bool) -> tuple[str, str]:
    """A request from one of the fields and the answer that declines it."""
    pick = rng.random()
    if pick < 0.2:
        kind, theme = rng.choice(THINGS_WRITTEN), draw(rng, THEMES, held_out, 6).strip()
        wording = rng.choice(WRITE_WORDINGS)
        if rng.random() < 0.12 and not held_out:
            return say(
                rng, rng.choice(("Write {k}.", "Tell me {k}", "Give me {k}.", "I want {k}.")), k=kind
            ), WRITE
        return say(rng, wording, k=kind, t=theme), WRITE
    if pick < 0.37:
        return say(rng, draw(rng, KNOWLEDGE, held_out, 6).strip()), KNOW
    if pick < 0.53:
        wording = rng.choice(SUBJECT_WORDINGS)
        return say(
            rng, wording, s=draw(rng, SUBJECTS, held_out, 6).strip(), o=rng.choice(SUBJECTS).strip()
        ), KNOW
    if pick < 0.63:
        return say(
            rng, rng.choice(CODE_WORDINGS), p=draw(rng, PROGRAMS, held_out, 5), l=rng.choice(LANGUAGES)
        ), CODE
    if pick < 0.72:
        if rng.random() < 0.5:
            return say(rng, rng.choice(ADVICE_WORDINGS), a=draw(rng, AILMENTS, held_out, 5)), ADVISE
        return say(rng, rng.choice(AFFAIR_WORDINGS), a=draw(rng, AFFAIRS, held_out, 5)), ADVISE
    if pick < 0.79:
        text = " ".join(rng.choice(words.ADJECTIVES + words.NOUNS) for _ in range(rng.randint(1, 3)))
        text = rng.choice(
            (text, f'"{text}"', "good morning", "thank you", "I love you", "hello", "where is the station")
        )
        return say(rng, draw(rng, TRANSLATE_WORDINGS, held_out, 6), t=text, g=rng.choice(TONGUES)), TRANSLATE
    if pick < 0.84:
        country = draw(rng, OTHER_COUNTRIES, held_out, 5) if rng.random() < 0.8 else words.made_up_name(rng)
        return say(rng, rng.choice(CAPITAL_WORDINGS), c=country if country not in CAPITALS else "Nepal"), KNOW
    if pick < 0.90:
        return _large_sum(rng, held_out), SUMS
    if pick < 0.93 and not held_out:
        numbers = {"a": rng.randint(0, 999), "b": rng.randint(0, 99)}
        relation = rng.choice(("greater", "larger", "bigger", "smaller", "less", "lower", "higher"))
        return say(rng, rng.choice(COMPARE_WORDINGS), r=relation, **numbers), COMPARE
    slots = {
        "t": draw(rng, THEMES, held_out, 6).strip(),
        "a": rng.choice(words.ADJECTIVES),
        "b": rng.choice(words.ADJECTIVES),
        "n": rng.choice(words.NOUNS),
        "m": rng.choice(words.NOUNS),
        "g": words.made_up_word(rng),
        "h": words.made_up_word(rng),
    }
    return say(rng, rng.choice(STATEMENTS), **slots), PUZZLED


def _large_sum(rng: Random, held_out: bool) -> str:
    while True:
        operator = rng.choice("+-**//")
        a, b = rng.randint(100, 99999), rng.randint(2, 9999)
        if operator in "*/" and rng.random() < 0.5:
            a, b = rng.randint(13, 99), rng.randint(13 if operator == "*" else 2, 99)
        space = rng.choice(("", " "))
        expression = f"{a}{space}{operator}{space}{b}"
        if is_held_out(expression) == held_out:
            return say(
                rng,
                rng.choice(("What is {e}?", "{e}", "Calculate {e}.", "How much is {e}?", "Compute {e}")),
                e=expression,
            )


def refusal(rng: Random, held_out: bool) -> Example:
    if held_out and rng.random() < 0.3:
        text, answer = rng.choice(UNKNOWN_HELD_OUT)
    else:
        text, answer = request(rng, held_out)
    return Example("says it can't", (user(text), assistant(answer)), "refusal")
