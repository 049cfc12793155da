"""Fields of a sentence as one JSON object with exactly the keys that were asked for, null for what isn't there.

A sentence is a frame of clauses filled with values, most of them made up, so that copying is learnt and not names.
Held out: one frame in eight by hash, and the wordings in `HELD_OUT_WORDINGS`.
"""

from __future__ import annotations

import json
import re
from random import Random

from skills import words
from skills.example import Example, assistant, is_held_out, say, system, user

# fmt: off
OPENINGS = (
    "{name}", "{name}", "{name} from {city}", "{name}, {age},", "{name} ({email})", "{name} of {company}",
    "Our customer {name}", "My friend {name}", "{name}, who lives in {city},", "Dr. {name}", "A client named {name}",
    "{name}, age {age},", "{name} at {company}", "{age}-year-old {name}", "Mr. {name}", "Ms. {name} from {city}",
)
# Papers and the people on them, composed, for training alone.
PAPERS = ("Invoice", "Receipt", "Bill", "Order", "Ticket", "Booking", "Claim", "Contract", "Voucher", "Quote", "Statement", "Note", "File", "Case")
ROLES = ("passenger", "guest", "driver", "patient", "customer", "client", "pilot", "teacher", "owner", "speaker", "host", "buyer", "seller", "player", "student")
TRIPS = ("Flight", "Bus", "Trip", "Train", "Taxi", "Ferry", "Tour", "Visit", "Drive", "Journey")
# Verbs between two names, for training alone.
BETWEEN = ("met", "called", "visited", "hired", "asked", "left", "thanked", "paid", "knows", "saw", "chose", "writes to", "works with", "told", "helped", "leads", "founded", "buys from", "sells to", "talked to")
VERBS = (
    "ordered {quantity} {product}s", "bought {quantity} {product}s", "paid {amount} euros", "paid ${amount}",
    "will visit {city}", "moved to {city}", "lives in {city}", "arrives in {city}", "works at {company}",
    "works for {company} in {city}", "joined {company}", "booked a table for {quantity}", "booked a room", "is {age} years old",
    "sent {quantity} {product}s to {city}", "bought a {product} for {amount} dollars", "wants a {product}",
    "returned the {product}", "owes us ${amount}", "has an appointment", "flies to {city}", "was born in {city}",
    "lives in {city} and is {age} years old", "is {age} and works at {company}", "is {age} years old and comes from {city}", "called about order {order_id}", "sold a {product} to {company}", "needs {quantity} {product}s",
)
TAILS = (
    "on {date}", "on {date}", "at {time}", "on {date} at {time}", "for ${amount}", "for {amount} euros",
    "with order number {order_id}", "in {city}", "at {company}", "before {date}",
)
FRONTS = ("On {date}", "In {city}", "At {time}", "At {company}", "Today", "Last week", "In the {city} office", "For {company}", "With {quantity} {product}s", "After the call", "Since {date}")
CLOSINGS = (
    "", "", "", "", " Email: {email}.", " Phone: {phone}.", " Call {phone}.", " Write to {email}.", " The total is ${amount}.",
    " The order number is {order_id}.", " The date is {date}.", " The address is in {city}.", " Contact: {email}, {phone}.",
)
WHOLE = (
    "Invoice {order_id} from {company}: ${amount}, due {date}.", "Invoice {order_id} for {name}, total {amount} euros.",
    "Meeting with {name} on {date} at {time}.", "Meeting with {name} from {company} in {city} on {date}.",
    "Please call {name} at {phone}.", "Please send {quantity} {product}s to {name} in {city}.",
    "My name is {name} and I am {age} years old.", "My name is {name}, I live in {city}.", "I am {name} and my email is {email}.",
    "Hi, I'm {name} from {company}. You can reach me at {email}.", "Name: {name}, city: {city}, phone: {phone}.",
    "Name: {name}\nAge: {age}\nCity: {city}", "Order {order_id}: {quantity} {product}s for {name}.",
    "The {product} costs ${amount}.", "The {product} from {company} costs {amount} euros.",
    "The concert in {city} starts at {time} on {date}.", "The train to {city} leaves at {time}.",
    "On {date}, {name} bought a {product} for ${amount}.", "On {date} {name} paid {amount} dollars to {company}.",
    "In {city}, {name} met {company} on {date}.", "{company} hired {name} on {date}.", "{company} shipped {quantity} {product}s to {city}.",
    "Reservation for {name}, {quantity} people, {date} at {time}.", "Contact {name} ({email}, {phone}).",
    "Ticket {order_id} was opened by {name} on {date}.", "Flight to {city} on {date} at {time}, passenger {name}.",
)
# For training alone: what a sentence may be about, in many orders, so that the first capital letter isn't always the name.
MORE = (
    "Receipt {order_id} for {name}: ${amount}.", "Receipt number {order_id}, {company}, {amount} euros.", "Bill {order_id} of {date} for {name}.", "Bill from {company}, {amount} dollars, to be paid by {date}.",
    "Payment of {amount} euros by {name} on {date}.", "Payment of ${amount} received from {company}.", "Total {amount} euros, order {order_id}, customer {name}.", "Parcel {order_id} for {name}, {city}.",
    "Parcel for {name} in {city}, {quantity} {product}s.", "Delivery {order_id} to {city} on {date}.", "Delivery for {company} at {time}.", "Call {phone} and ask for {name}.", "You can call {name} on {phone}.", "Ring {name} at {phone} before {time}.",
    "Telephone: {phone}, name: {name}.", "Phone {phone} belongs to {name} from {city}.", "The number of {name} is {phone}.", "Ask {name} for a {product}.", "Tell {name} that the {product} costs {amount} euros.", "Give {name} {quantity} {product}s.",
    "Write to {email} for {name}.", "The email of {name} is {email}.", "Mail {email}, age {age}.", "It's {name}, mail me at {email}.", "This is {name} from {city}, my phone is {phone}.", "I am {name}, {age}, from {city}.", "I live in {city} and my name is {name}.",
    "I am {age} years old and live in {city}.", "I work for {company} and my email is {email}.", "They call me {name} and I work at {company}.", "City: {city}\nName: {name}", "Email: {email}\nName: {name}\nPhone: {phone}", "Product: {product}\nPrice: {amount}", "Age: {age}, name: {name}, city: {city}",
    "Date: {date}\nTime: {time}\nCity: {city}", "Company: {company}\nCity: {city}\nDate: {date}", "name={name}, city={city}, age={age}", "- {name}\n- {city}\n- {phone}", "Guest: {name}, room for {quantity}, from {date}.", "Patient {name}, {age} years, seen on {date}.",
    "Passenger {name}, flight to {city}, {date}.", "Bus to {city} at {time} on {date}, driver {name}.", "Ship to {city}: {quantity} {product}s, {amount} euros.", "Train from {city} with {name} at {time}.", "Ticket to {city} for {name}, {amount} euros.", "Seat for {name} on the {date} train to {city}.",
    "Before {date}, {name} must pay {amount} euros.", "After {date} the {product} costs ${amount}.", "At {time}, {name} arrives in {city}.", "At {company}, {name} sells {product}s.", "Since {date}, {name} works at {company}.", "From {city} came {name} with {quantity} {product}s.",
    "For {amount} euros {name} sold the {product}.", "For ${amount} you get {quantity} {product}s in {city}.", "In {city} a {product} costs {amount} euros.", "In {city}, {company} opened on {date}.", "On {date} at {time}, {name} called.", "On {date}, {company} sent the {product} to {name}.",
    "On {date} in {city}: {name}, {age}.", "Yesterday {name} paid ${amount} for a {product}.", "Today {company} hired {name}, {age}.", "Last week {quantity} {product}s went to {city}.", "There are {quantity} {product}s for {name} at {company}.", "The {product} for {name} arrives on {date}.",
    "The {product} was sold to {name} for {amount} euros.", "The party of {name} is on {date} in {city}.", "The meeting at {time} is with {name} of {company}.", "The lesson with {name} starts at {time}.", "The customer is {name}, the order {order_id}.", "The order {order_id} goes to {name}, {city}.",
    "The winner is {name} from {city}, {age} years old.", "The manager of {company} is {name}.", "New user {name} with email {email}.", "New customer: {name}, {company}, {phone}.", "Complaint {order_id} by {name}: the {product} is broken.", "Refund of {amount} euros to {name}, order {order_id}.",
    "Welcome {name}! Your order {order_id} costs {amount} euros.", "Dear {name}, your {product} arrives on {date}.", "Hello {company}, please send {quantity} {product}s to {city}.", "Best regards, {name}, {company}, {phone}", "Thanks, {name} ({city})", "Appointment: {date}, {time}, {name}.",
)
KEYS = {
    "name": ("name",), "age": ("age",), "city": ("city", "city", "place"), "date": ("date", "date", "day"),
    "amount": ("amount", "price", "total"), "email": ("email",), "phone": ("phone",), "product": ("product", "item"),
    "quantity": ("quantity", "number", "count"), "company": ("company",), "order_id": ("order_id", "order"),
    "time": ("time",),
}
NUMERIC = {"age", "amount", "quantity"}
WORDINGS = (
    "Extract {keys} as JSON: {text}", "Extract {keys} as JSON.\n\n{text}", "Extract the {keys} from this text as JSON: {text}",
    "Extract {keys}.\nText: {text}", "Extract these fields as JSON: {list}\n{text}", "Return a JSON object with {keys}.\nText: {text}",
    "Return JSON with the keys {list}: {text}", "Get {keys} from the text as JSON.\n{text}", "Find {keys} in: {text}\nAnswer in JSON.",
    "{text}\n\nExtract {keys} as JSON.", "{text}\nExtract the fields {list} as a JSON object.", "Fields: {list}\nText: {text}",
    "From the following sentence, extract {keys} as JSON: {text}", "Read the text and return {keys} as JSON.\nText: {text}",
    "Extract the {keys} from: {text}", "Extract the fields {list} from the text: {text}",
)
HELD_OUT_WORDINGS = (
    "Pull out {keys} as JSON: {text}", "Please extract {keys} from this message and return JSON: {text}",
    "Give me {keys} as a JSON object.\nText: {text}", "Which {keys} does this mention? Answer as JSON: {text}",
    "Extract JSON with the fields {list}.\n\n{text}",
)
SYSTEMS = (
    "Extract {keys} as JSON.", "Extract {keys} from the user's message. Answer with JSON only.",
    "You extract {list} from text and answer with one JSON object.", "Return a JSON object with the keys {list}.",
)
AGAIN = ("Now extract {keys}.", "And {keys}?", "Extract {keys} as JSON.", "Extract {keys} too.")
_FIELD = re.compile(r"\{(\w+)\}")
# fmt: on


def person(rng: Random, held_out: bool) -> str:
    """A full or first name; the held-out side sees made-up names only half of the time, and real ones by hash."""
    pick = rng.random()
    if pick < 0.45:
        first, last = words.made_up_name(rng), words.made_up_name(rng)
    else:
        first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
        while held_out and not is_held_out(first + last, 4):
            first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
    return f"{first} {last}" if rng.random() < 0.5 else first


def fill(rng: Random, held_out: bool) -> dict[str, str]:
    """A value for every field."""
    name = person(rng, held_out)
    return {
        "name": name,
        "age": str(rng.randint(1, 99)),
        "city": rng.choice(words.CITIES) if rng.random() < 0.6 else words.made_up_name(rng),
        "date": words.date_text(rng),
        "amount": words.amount_text(rng),
        "email": words.email_text(rng, name if rng.random() < 0.5 else words.made_up_word(rng)),
        "phone": words.phone_text(rng),
        "product": rng.choice(words.ITEMS) if rng.random() < 0.7 else words.made_up_word(rng),
        "quantity": str(rng.randint(2, 10 ** rng.choice((1, 1, 2, 3)))),
        "company": rng.choice(words.COMPANIES) if rng.random() < 0.4 else words.made_up_name(rng),
        "order_id": rng.choice(
            (
                str(rng.randint(100, 99999)),
                f"{rng.choice('ABCXZ')}{rng.randint(10, 9999)}",
                f"#{rng.randint(10, 9999)}",
            )
        ),
        "time": words.time_text(rng),
    }


def _paper(rng: Random) -> str:
    """A line of a document: an identifier or a trip, people in their roles, sums and dates."""
    tails = (
        ", {amount} euros",
        ", ${amount}",
        ", sum {amount} dollars",
        ", paid on {date}",
        ", due on {date}",
        ", sent {date}",
        " of {date}",
        " ({date})",
        ", {quantity} {product}s",
        ", {city}",
        "",
        "",
    )
    if rng.random() < 0.5:
        whose = rng.choice(
            (" for {name}", " by {name}", " from {company}", " of {company}", " to {name}", ", {name}", "")
        )
        return f"{rng.choice(PAPERS)} {{order_id}}{whose}{rng.choice(tails)}{rng.choice(tails)}."
    who = rng.choice(
        (
            f", {rng.choice(ROLES)} {{name}}",
            f", {rng.choice(ROLES)}: {{name}}",
            " with {name}",
            f" ({rng.choice(ROLES)} {{name}})",
        )
    )
    when = rng.choice((" at {time}", " on {date}", "", " from {company}", " for {amount} euros"))
    return f"{rng.choice(TRIPS)} {rng.choice(('to', 'to', 'from', 'in'))} {{city}}{when}{who}."


def frame(rng: Random, held_out: bool) -> str:
    """A sentence with placeholders, each field at most once."""
    while True:
        if not held_out and rng.random() < 0.3:
            return rng.choice(MORE)
        if not held_out and rng.random() < 0.25:
            text = _paper(rng)
            fields = _FIELD.findall(text)
            if len(fields) == len(set(fields)) and not is_held_out(text):
                return text
            continue
        if rng.random() < 0.3:
            text = rng.choice(WHOLE)
        else:
            tail = f" {rng.choice(TAILS)}" if rng.random() < 0.6 else ""
            text = f"{rng.choice(OPENINGS)} {rng.choice(VERBS)}{tail}.{rng.choice(CLOSINGS)}"
            if not held_out and rng.random() < 0.15:
                two = rng.choice(
                    (
                        ("name", "company"),
                        ("name", "company"),
                        ("company", "name"),
                        ("name", "city"),
                        ("name", "product"),
                        ("company", "city"),
                    )
                )
                text = f"{{{two[0]}}} {rng.choice(BETWEEN)} {{{two[1]}}}{tail}.{rng.choice(CLOSINGS)}"
            if not held_out and rng.random() < 0.25:
                text = f"{rng.choice(FRONTS)}, {text}"
        fields = _FIELD.findall(text)
        if len(fields) == len(set(fields)) and is_held_out(text) == held_out:
            return text


def keys_text(rng: Random, keys: list[str]) -> str:
    if rng.random() < 0.15:
        keys = [f'"{key}"' for key in keys]
    if len(keys) == 1:
        return keys[0]
    if rng.random() < 0.2:
        return ", ".join(keys)
    return ", ".join(keys[:-1]) + f" and {keys[-1]}"


def _answer(
    rng: Random, asked: list[str], present: list[str], values: dict[str, str]
) -> tuple[list[str], str]:
    """The keys that the fields go by here, and the JSON object."""
    keys = [rng.choice(KEYS[field]) for field in asked]
    parts: list[str] = []
    for key, field in zip(keys, asked, strict=True):
        shown = (
            "null"
            if field not in present
            else values[field]
            if field in NUMERIC
            else json.dumps(values[field])
        )
        parts.append(f'"{key}": {shown}')
    return keys, "{" + ", ".join(parts) + "}"


def _asked(rng: Random, present: list[str]) -> list[str]:
    asked = rng.sample(present, rng.randint(1, min(4, len(present))))
    if rng.random() < 0.5:
        asked.sort(key=present.index)
    if rng.random() < 0.12:
        absent = [field for field in KEYS if field not in present]
        asked.insert(rng.randint(0, len(asked)), rng.choice(absent))
    return asked


def extraction(rng: Random, held_out: bool) -> Example:
    text = frame(rng, held_out)
    present = _FIELD.findall(text)
    values = fill(rng, held_out)
    sentence = _FIELD.sub(lambda match: values[match.group(1)], text)
    keys, wanted = _answer(rng, _asked(rng, present), present, values)
    listed = ", ".join(keys)
    if rng.random() < 0.2:
        instruction = say(rng, rng.choice(SYSTEMS), keys=keys_text(rng, keys), list=listed)
        return Example("extraction", (system(instruction), user(sentence), assistant(wanted)), "json")
    wording = rng.choice(HELD_OUT_WORDINGS if held_out and rng.random() < 0.5 else WORDINGS)
    turns = [
        user(say(rng, wording, keys=keys_text(rng, keys), list=listed, text=sentence)),
        assistant(wanted),
    ]
    if not held_out and rng.random() < 0.5:
        # Another question on the same sentence costs few tokens.
        keys, again = _answer(rng, _asked(rng, present), present, values)
        turns += [user(say(rng, rng.choice(AGAIN), keys=keys_text(rng, keys))), assistant(again)]
    return Example("extraction", tuple(turns), "json")
