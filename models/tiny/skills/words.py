"""Names, places and everyday words that the generators draw from, and made-up ones so that copying is learnt.

Knows nothing of skills or of the split.
"""

from __future__ import annotations

from random import Random

# fmt: off
FIRST_NAMES = (
    "Ada", "Alan", "Grace", "Linus", "Maria", "Bob", "Alice", "Carol", "Dave", "Eve", "Frank", "Heidi",
    "Ivan", "Judy", "Mike", "Nina", "Oscar", "Peggy", "Rita", "Sam", "Tina", "Uma", "Victor", "Wendy",
    "Xavier", "Yara", "Zoe", "Anna", "Ben", "Clara", "Daniel", "Emma", "Felix", "Gina", "Hugo", "Ines",
    "Jack", "Kate", "Leo", "Mona", "Noah", "Olivia", "Paul", "Quinn", "Rosa", "Simon", "Tara", "Ugo",
    "Vera", "Will", "Amir", "Bella", "Chen", "Dora", "Elif", "Fatima", "George", "Hana", "Igor", "Jana",
    "Karim", "Lena", "Marco", "Nadia", "Omar", "Petra", "Ravi", "Sofia", "Tom", "Ursula", "Vikram",
    "Yusuf", "Aisha", "Boris", "Diego", "Elena", "Farid", "Helen", "Ian", "Julia", "Kenji", "Laura",
    "Mateo", "Nora", "Pedro", "Priya", "Sara", "Theo", "Anders", "Brigitte", "Carlos", "Deepa", "Erik",
    "Freya", "Goran", "Ingrid", "Jonas", "Kofi", "Lucia", "Mehmet", "Naomi", "Otto", "Pablo", "Renata",
    "Stefan", "Thomas", "Valeria", "Walter", "Ximena", "Yuki", "Zara", "John", "Mary", "Peter", "Lisa",
    "Mark", "Susan", "James", "Linda", "David", "Karen",
)
LAST_NAMES = (
    "Smith", "Jones", "Brown", "Lopez", "Garcia", "Miller", "Davis", "Silva", "Santos", "Rossi",
    "Bianchi", "Weber", "Fischer", "Novak", "Kowalski", "Ivanov", "Petrov", "Tanaka", "Sato", "Kim",
    "Park", "Chen", "Wang", "Singh", "Patel", "Khan", "Ali", "Hassan", "Okafor", "Mensah", "Larsen",
    "Hansen", "Berg", "Lind", "Virtanen", "Murphy", "Kelly", "Walsh", "Dubois", "Martin", "Moreau",
    "Costa", "Pereira", "Almeida", "Torres", "Ruiz", "Moreno", "Popescu", "Horvat", "Nagy", "Turner",
    "Baker", "Cooper", "Carter", "Hill", "Green", "White", "Young", "King", "Wright",
)
CITIES = (
    "Paris", "London", "Berlin", "Madrid", "Rome", "Lisbon", "Vienna", "Oslo", "Dublin", "Athens",
    "Warsaw", "Prague", "Tokyo", "Cairo", "Lima", "Boston", "Chicago", "Denver", "Seattle", "Austin",
    "Toronto", "Montreal", "Sydney", "Mumbai", "Delhi", "Nairobi", "Lagos", "Accra", "Santiago", "Bogota",
    "Quito", "Havana", "Porto", "Milan", "Turin", "Munich", "Hamburg", "Lyon", "Nice", "Geneva", "Zurich",
    "Bern", "Helsinki", "Stockholm", "Copenhagen", "Brussels", "Amsterdam", "Budapest", "Sofia",
    "Belgrade", "Zagreb", "Istanbul", "Ankara", "Dubai", "Doha", "Singapore", "Bangkok", "Hanoi",
    "Manila", "Seoul", "Osaka", "Kyoto", "Beijing", "Shanghai", "Recife", "Salvador", "Brasilia",
    "Manaus", "Leeds", "Bristol", "Glasgow", "Cardiff", "Dallas", "Miami", "Phoenix",
)
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ADJECTIVES = (
    "blue", "green", "yellow", "silver", "red", "black", "white", "golden", "happy", "sad", "calm",
    "brave", "quick", "slow", "bright", "dark", "warm", "cold", "sweet", "bitter", "loud", "quiet",
    "small", "big", "old", "new", "soft", "hard", "clean", "wild", "gentle", "lazy", "clever", "tiny",
    "huge", "round", "flat", "deep", "light", "heavy", "fresh",
)
NOUNS = (
    "apple", "river", "stone", "cloud", "house", "garden", "mouse", "tiger", "music", "dance", "winter",
    "summer", "spring", "autumn", "bread", "water", "coffee", "table", "chair", "window", "door", "light",
    "shadow", "forest", "mountain", "ocean", "island", "bridge", "castle", "dragon", "robot", "rocket",
    "planet", "star", "moon", "sun", "rain", "snow", "wind", "fire", "earth", "metal", "paper", "pencil",
    "book", "letter", "number", "circle", "square", "cat", "dog", "bird", "fish", "horse", "cow", "sheep",
    "goat", "lion", "bear", "wolf", "fox", "lemon", "orange", "banana", "cherry", "tree", "leaf",
    "flower", "grass", "sand", "lake", "road", "train", "ship", "plane", "bike", "car", "bus", "street",
    "city", "market", "shop", "school", "office", "kitchen", "bed", "lamp", "clock", "phone", "camera",
    "radio", "guitar", "piano", "drum", "violin", "bottle", "glass", "cup", "plate", "knife", "spoon",
    "basket", "box", "bag", "coat", "hat", "shoe", "glove", "ring", "key", "lock", "rope", "wheel",
    "engine", "hammer", "nail", "brush", "soap", "towel", "mirror", "candle",
)
ITEMS = (
    "laptop", "keyboard", "monitor", "mouse", "printer", "desk", "chair", "lamp", "phone", "tablet",
    "camera", "headset", "speaker", "router", "cable", "charger", "notebook", "pen", "backpack", "jacket",
    "shirt", "hat", "scarf", "boots", "gloves", "bicycle", "helmet", "tent", "kettle", "toaster",
    "blender", "oven", "fridge", "sofa", "pillow", "blanket", "mirror", "clock", "watch", "ring", "book",
    "guitar", "piano", "drum", "puzzle", "kite", "umbrella", "suitcase", "wallet", "ticket", "sandwich",
    "pizza", "cake", "coffee", "tea",
)
COMPANIES = (
    "Acme", "Globex", "Initech", "Umbra", "Northwind", "Contoso", "Fabrikam", "Tailspin", "Wingtip",
    "Lumen", "Vertex", "Apex", "Orbit", "Nimbus", "Zenith", "Polaris", "Aurora", "Cobalt", "Delta",
    "Ember", "Falcon", "Granite", "Harbor", "Indigo", "Juniper", "Kestrel", "Lattice", "Meridian", "Nova",
    "Onyx", "Pioneer", "Quartz", "Ridge", "Summit", "Tundra", "Unity", "Vista", "Willow", "Xenon",
    "Yonder", "Zephyr",
)
_ONSETS = ["b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br", "cr", "dr", "fr", "gr", "tr", "pl", "cl", "sl", "st", "sh", "ch", "th", "kr"]
_VOWELS = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "ou"]
_CODAS = ["", "", "", "n", "r", "l", "s", "m", "k", "t", "x", "nd", "rt", "ck"]
# fmt: on


def made_up_word(rng: Random, least: int = 2, most: int = 3) -> str:
    """A lower-case word of `least` to `most` syllables that is in no list."""
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + (rng.choice(_CODAS) if rng.random() < 0.6 else "")
        for _ in range(rng.randint(least, most))
    )


def made_up_name(rng: Random) -> str:
    return made_up_word(rng).capitalize()


def number_text(rng: Random) -> str:
    """A whole number of one to five digits, short ones more often."""
    return str(rng.randint(0, 10 ** rng.choice((1, 2, 2, 3, 3, 4, 5)) - 1))


def amount_text(rng: Random) -> str:
    whole = rng.randint(1, 10 ** rng.choice((1, 2, 3, 4)) - 1)
    return f"{whole}.{rng.randint(0, 99):02d}" if rng.random() < 0.5 else str(whole)


def date_text(rng: Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1990, 2035)
    name = MONTHS[month - 1]
    return rng.choice(
        (
            f"{year}-{month:02d}-{day:02d}",
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{name} {day}",
            f"{day} {name}",
        )
    )


def time_text(rng: Random) -> str:
    hour = rng.randint(1, 12)
    return rng.choice(
        (f"{hour} am", f"{hour} pm", f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}", f"{hour}:30")
    )


def email_text(rng: Random, name: str) -> str:
    host = rng.choice((made_up_word(rng, 1, 2), rng.choice(COMPANIES).lower(), "example", "mail"))
    return f"{name.lower().replace(' ', rng.choice(('.', '_', '')))}@{host}.{rng.choice(('com', 'org', 'net', 'io'))}"


def phone_text(rng: Random) -> str:
    return rng.choice(
        (f"555-{rng.randint(0, 9999):04d}", f"+{rng.randint(1, 99)} {rng.randint(100000, 9999999)}")
    )
