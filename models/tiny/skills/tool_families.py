"""Tool families: the names, descriptions, parameters and user wordings that a tool is drawn from. Data only.

A parameter is `(names it may go by, kind of value, optional)`; `{p0}`, `{p1}`, ... in a wording stand for the values.
`kind` groups families that answer the same questions, so that "no tool fits" stays true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Outcome = Callable[[Random, list[Any]], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Family:
    """One thing tools do; `outcome` makes a result and the sentence that tells it."""

    kind: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    parameters: tuple[tuple[tuple[str, ...], str, bool], ...]
    wordings: tuple[str, ...]
    outcome: Outcome


def told(result: str, sentence: str) -> Outcome:
    """An outcome with `{n}` (a number), `{w}` (a word) and `{p0}`... filled alike in both texts."""

    def outcome(rng: Random, values: list[Any]) -> tuple[str, str]:
        slots: dict[str, Any] = {f"p{i}": value for i, value in enumerate(values)}
        slots["n"] = rng.randint(1, 10 ** rng.choice((1, 2, 2, 3)))
        slots["w"] = rng.choice(("sunny", "cloudy", "rainy", "windy", "clear", "foggy", "snowy"))
        shape = rng.random()
        text = result if shape < 0.7 else '{{"result": "' + result + '"}}'
        return text.format(**slots), sentence.format(**slots)

    return outcome


DONE = told("done", "Done.")
# fmt: off
FAMILIES: tuple[Family, ...] = (
    Family("weather", ("get_weather", "weather", "current_weather", "lookup_weather", "fetch_weather", "weather_now"),
           ("Get the weather for a city", "Current weather", "Looks up the weather in a place", "Weather of a city"),
           ((("city", "location", "place", "town"), "city", False),),
           ("What is the weather in {p0}?", "What's the weather like in {p0}?", "weather in {p0}", "How is the weather in {p0} today?", "Is it raining in {p0}?",
            "Tell me the weather in {p0}.", "Is it warm in {p0}?", "Do I need an umbrella in {p0}?", "What is the temperature in {p0}?", "Get the weather for {p0}.",
            "Check the weather in {p0}.", "How cold is it in {p0}?"),
           told("{w}, {n} degrees", "It is {w} in {p0}, {n} degrees.")),
    Family("math", ("add", "add_numbers", "sum", "plus"), ("Add two numbers", "Adds a and b", "Sum of two numbers"),
           ((("a", "x", "first", "left"), "number", False), (("b", "y", "second", "right"), "number", False)),
           ("What is {p0} + {p1}?", "Add {p0} and {p1}.", "What is {p0} plus {p1}?", "Sum {p0} and {p1}", "Calculate {p0} + {p1}.", "How much is {p0} + {p1}?",
            "{p0}+{p1}", "What's the sum of {p0} and {p1}?", "Use the tool to add {p0} and {p1}."),
           lambda rng, v: (str(v[0] + v[1]), f"{v[0]} + {v[1]} = {v[0] + v[1]}")),
    Family("math", ("multiply", "multiply_numbers", "product", "times"), ("Multiply two numbers", "Product of two numbers", "Multiplies a by b"),
           ((("a", "x", "first", "left"), "number", False), (("b", "y", "second", "right"), "number", False)),
           ("What is {p0} times {p1}?", "Multiply {p0} by {p1}.", "What is {p0} * {p1}?", "{p0} x {p1}", "Calculate {p0} * {p1}.", "How much is {p0} times {p1}?",
            "Multiply {p0} and {p1}", "product of {p0} and {p1}?"),
           lambda rng, v: (str(v[0] * v[1]), f"{v[0]} * {v[1]} = {v[0] * v[1]}")),
    Family("math", ("calculator", "calculate", "evaluate", "math"), ("Evaluate an arithmetic expression", "A calculator", "Computes an expression"),
           ((("expression", "formula", "expr"), "expression", False),),
           ("What is {p0}?", "Calculate {p0}.", "Compute {p0}", "How much is {p0}?", "Evaluate {p0}.", "{p0} = ?", "Work out {p0}.", "solve {p0}"),
           told("{n}", "The result is {n}.")),
    Family("search", ("search", "web_search", "search_web", "find", "lookup", "search_documents", "search_docs"),
           ("Search the web", "Search for documents", "Finds pages about a query", "Full-text search"),
           ((("query", "q", "text", "topic"), "topic", False),),
           ("Search for {p0}.", "Look up {p0}.", "Find information about {p0}.", "search {p0}", "What can you find about {p0}?", "Find pages on {p0}.", "Look for {p0}",
            "Search the web for {p0}.", "Find documents about {p0}", "I need information on {p0}."),
           told("{n} pages about {p0}", "I found {n} pages about {p0}.")),
    Family("time", ("get_time", "current_time", "time_in", "clock"), ("Get the current time in a city", "Current time of a place", "Tells the time"),
           ((("city", "location", "place", "timezone"), "city", False),),
           ("What time is it in {p0}?", "time in {p0}", "Tell me the time in {p0}.", "What's the current time in {p0}?", "How late is it in {p0}?", "Get the time for {p0}."),
           told("{n} o'clock", "It is {n} o'clock in {p0}.")),
    Family("email", ("send_email", "email", "mail", "send_mail"), ("Send an email", "Sends a mail to an address", "Email someone"),
           ((("to", "recipient", "address"), "email", False), (("body", "text", "message"), "phrase", False)),
           ("Send an email to {p0} saying {p1}.", "Email {p0}: {p1}", "Mail {p0} the text {p1}", "Write to {p0} that {p1}", "Send {p0} an email with the text {p1}."),
           told("sent", "The email to {p0} was sent.")),
    Family("message", ("send_message", "message", "text_person", "notify"), ("Send a message to a person", "Sends a text message", "Message a contact"),
           ((("to", "person", "recipient", "contact"), "person", False), (("text", "message", "body"), "phrase", False)),
           ("Send {p0} the message {p1}.", "Tell {p0} {p1}", "Message {p0}: {p1}", "Text {p0} saying {p1}", "Send a message to {p0}: {p1}.", "Let {p0} know: {p1}"),
           told("sent", "I sent the message to {p0}.")),
    Family("reminder", ("set_reminder", "add_reminder", "remind_me", "create_reminder"), ("Set a reminder", "Creates a reminder at a time", "Remind the user"),
           ((("text", "task", "what", "title"), "phrase", False), (("time", "when", "at"), "time", False)),
           ("Remind me of {p0} at {p1}.", "Set a reminder for {p0} at {p1}", "At {p1}, remind me of {p0}.", "Add a reminder: {p0} at {p1}", "remind me about {p0} at {p1}"),
           told("ok", "I will remind you of {p0} at {p1}.")),
    Family("alarm", ("set_alarm", "alarm", "wake_up"), ("Set an alarm", "Alarm clock", "Sets an alarm at a time"), ((("time", "at", "when"), "time", False),),
           ("Set an alarm for {p0}.", "Wake me up at {p0}.", "alarm at {p0}", "Wake me at {p0}", "I need an alarm at {p0}.", "Please set the alarm to {p0}."),
           told("ok", "The alarm is set for {p0}.")),
    Family("timer", ("set_timer", "timer", "start_timer"), ("Start a timer in minutes", "A kitchen timer", "Counts down minutes"),
           ((("minutes", "duration", "length"), "small", False),),
           ("Set a timer for {p0} minutes.", "Start a timer of {p0} minutes", "timer {p0} minutes", "Count down {p0} minutes.", "Start a {p0} minute timer."),
           told("started", "The timer runs for {p0} minutes.")),
    Family("lights", ("turn_on_light", "light_on", "lights_on", "switch_on_light"), ("Turn on the light in a room", "Switches a light on"),
           ((("room", "place", "location"), "room", False),),
           ("Turn on the light in the {p0}.", "Lights on in the {p0}", "Switch on the {p0} light.", "Turn the {p0} lights on.", "It is dark in the {p0}, turn on the light."),
           told("on", "The light in the {p0} is on.")),
    Family("heating", ("set_temperature", "thermostat", "set_heating"), ("Set the temperature of a room", "Heating control"),
           ((("room", "place"), "room", False), (("degrees", "temperature", "value"), "small", False)),
           ("Set the {p0} to {p1} degrees.", "Heat the {p0} to {p1} degrees", "Make the {p0} {p1} degrees warm.", "Set the temperature in the {p0} to {p1}."),
           told("ok", "The {p0} is set to {p1} degrees.")),
    Family("file", ("read_file", "open_file", "load_file", "cat"), ("Read a file", "Returns the text of a file", "Opens a file"),
           ((("path", "file", "filename", "name"), "file", False),),
           ("Read the file {p0}.", "Open {p0}.", "What is in {p0}?", "Show me {p0}", "Show the contents of {p0}.", "Load {p0}", "read {p0}"),
           told("{n} lines", "The file {p0} has {n} lines.")),
    Family("write", ("write_file", "save_file", "create_file"), ("Write text to a file", "Saves a file"),
           ((("path", "file", "filename"), "file", False), (("text", "content", "data"), "phrase", False)),
           ("Write {p1} to {p0}.", "Save {p1} in {p0}", "Create {p0} with the text {p1}.", "Put {p1} into the file {p0}."), told("written", "I wrote {p0}.")),
    Family("delete", ("delete_file", "remove_file"), ("Delete a file", "Removes a file"), ((("path", "file", "filename"), "file", False),),
           ("Delete {p0}.", "Remove the file {p0}", "Delete the file {p0}.", "Please erase {p0}"), told("deleted", "I deleted {p0}.")),
    Family("translate", ("translate", "translate_text", "translator"), ("Translate text", "Translates text into a language"),
           ((("text", "phrase", "words"), "phrase", False), (("language", "target", "to"), "language", False)),
           ("Translate {p0} into {p1}.", "How do you say {p0} in {p1}?", "translate {p0} to {p1}", "What is {p0} in {p1}?", "Say {p0} in {p1}."),
           told("{w}", 'The translation is "{w}".')),
    Family("currency", ("convert_currency", "exchange", "currency"), ("Convert an amount between currencies", "Currency converter"),
           ((("amount", "value"), "number", False), (("from_currency", "source", "from"), "currency", False), (("to_currency", "target", "to"), "currency", False)),
           ("Convert {p0} {p1} to {p2}.", "How much is {p0} {p1} in {p2}?", "{p0} {p1} in {p2}", "Change {p0} {p1} into {p2}."), told("{n}", "That is {n} {p2}.")),
    Family("order", ("get_order", "order_status", "track_order", "find_order"), ("Get the status of an order", "Order tracking", "Looks up an order"),
           ((("order_id", "id", "order", "number"), "order", False),),
           ("Where is order {p0}?", "What is the status of order {p0}?", "Track order {p0}.", "Has order {p0} shipped?", "Find order {p0}", "status of {p0}", "Check my order {p0}."),
           told("shipped, {n} days", "Order {p0} was shipped and needs {n} days.")),
    Family("cancel", ("cancel_order", "stop_order"), ("Cancel an order", "Cancels an order"), ((("order_id", "id", "order"), "order", False),),
           ("Cancel order {p0}.", "Please cancel my order {p0}", "Stop order {p0}.", "I don't want order {p0} anymore."), told("cancelled", "Order {p0} is cancelled.")),
    Family("stock", ("check_stock", "stock", "inventory", "in_stock"), ("How many of an item are in stock", "Check the inventory", "Stock of a product"),
           ((("item", "product", "name", "article"), "item", False),),
           ("Do we have any {p0} in stock?", "How many {p0} are in stock?", "Check the stock of {p0}.", "stock of {p0}", "Is the {p0} available?", "Is there a {p0} left?"),
           told("{n}", "There are {n} in stock.")),
    Family("price", ("get_price", "price", "price_of", "lookup_price"), ("Price of a product", "Get the price of an item"), ((("item", "product", "name"), "item", False),),
           ("What does the {p0} cost?", "How much is the {p0}?", "Price of a {p0}?", "What is the price of the {p0}?", "Tell me the price of {p0}."),
           told("{n} dollars", "The price is {n} dollars.")),
    Family("contact", ("find_contact", "get_contact", "lookup_person", "get_user", "find_user"), ("Find a person in the address book", "Look up a user", "Contact details of a person"),
           ((("name", "person", "user"), "person", False),),
           ("What is the phone number of {p0}?", "Find {p0} in my contacts.", "Find the user {p0}", "Look up {p0} in the address book.", "Contact details of {p0}?", "Who is the user {p0}?"),
           told("{p0}, 555-{n}", "The number of {p0} is 555-{n}.")),
    Family("call", ("call_person", "phone_call", "dial"), ("Call a person", "Makes a phone call"), ((("name", "person", "contact", "who"), "person", False),),
           ("Call {p0}.", "Phone {p0}", "Please ring {p0}.", "Give {p0} a call.", "I want to talk to {p0} on the phone."), told("calling", "I am calling {p0}.")),
    Family("music", ("play_music", "play_song", "play", "music"), ("Play music", "Plays a song", "Music player"), ((("title", "song", "name", "query"), "phrase", False),),
           ("Play {p0}.", "Play the song {p0}", "Put on {p0}.", "I want to hear {p0}.", "Start the music: {p0}"), told("playing", "I am playing {p0}.")),
    Family("meeting", ("create_event", "add_event", "schedule_meeting", "book_meeting"), ("Schedule a meeting", "Create a calendar event"),
           ((("person", "with", "guest"), "person", False), (("date", "day", "when"), "date", False)),
           ("Schedule a meeting with {p0} on {p1}.", "Meet {p0} on {p1}", "Book a meeting with {p0} on {p1}", "Put a meeting with {p0} on {p1} in my calendar."),
           told("created", "The meeting with {p0} is on {p1}.")),
    Family("flight", ("book_flight", "find_flight", "search_flights", "flights"), ("Find flights between two cities", "Book a flight"),
           ((("from_city", "origin", "start"), "city", False), (("to_city", "destination", "goal"), "city", False)),
           ("Book a flight from {p0} to {p1}.", "Fly from {p0} to {p1}", "Find flights from {p0} to {p1}.", "I want to fly from {p0} to {p1}.", "flights {p0} to {p1}"),
           told("{n} flights", "I found {n} flights from {p0} to {p1}.")),
    Family("table", ("book_table", "reserve_table"), ("Reserve a table in a restaurant", "Book a table"), ((("people", "guests", "seats"), "small", False), (("time", "when"), "time", False)),
           ("Book a table for {p0} at {p1}.", "Reserve a table for {p0} people at {p1}", "A table for {p0} at {p1}, please.", "We are {p0} people and want to eat at {p1}, book a table."),
           told("booked", "The table for {p0} is booked.")),
    Family("note", ("add_note", "save_note", "take_note", "create_note"), ("Save a note", "Writes down a note"), ((("text", "note", "content"), "phrase", False),),
           ("Note: {p0}", "Save a note: {p0}.", "Write down {p0}.", "Take a note that {p0}", "Please note {p0}."), told("saved", "I saved the note.")),
    Family("todo", ("add_task", "add_todo", "create_task"), ("Add a task to the list", "Adds a to-do"), ((("task", "title", "text"), "phrase", False),),
           ("Add {p0} to my tasks.", "Put {p0} on my to-do list.", "New task: {p0}", "add the task {p0}"), told("added", "I added {p0} to your tasks.")),
    Family("random", ("random_number", "roll", "dice"), ("Random number up to a limit", "Draws a random number"), ((("limit", "max", "sides"), "number", False),),
           ("Give me a random number up to {p0}.", "Pick a random number below {p0}.", "Roll a dice with {p0} sides.", "random number to {p0}"), told("{n}", "The number is {n}.")),
)
UNSEEN_FAMILIES: tuple[Family, ...] = (
    Family("parcel", ("weigh_parcel",), ("Weigh a parcel by its number",), ((("parcel",), "order", False),),
           ("How heavy is parcel {p0}?", "Weigh parcel {p0}.", "What does parcel {p0} weigh?"), DONE),
    Family("door", ("lock_door",), ("Lock the door of a room",), ((("door",), "room", False),),
           ("Lock the {p0} door.", "Please lock the door of the {p0}."), DONE),
    Family("population", ("get_population",), ("Population of a city",), ((("city_name",), "city", False),),
           ("How many people live in {p0}?", "What is the population of {p0}?"), DONE),
    Family("print", ("print_document",), ("Print a document",), ((("document",), "file", False),),
           ("Print {p0}.", "Please print the document {p0}."), DONE),
    Family("birthday", ("get_birthday",), ("Birthday of a person",), ((("who_is",), "person", False),),
           ("When is the birthday of {p0}?", "What is {p0}'s birthday?"), DONE),
    Family("recipe", ("find_recipe",), ("Find a recipe for a dish",), ((("dish",), "item", False),),
           ("Find a recipe for {p0}.", "How do I cook {p0}?"), DONE),
)
