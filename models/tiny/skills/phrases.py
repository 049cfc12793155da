"""More ways to say an intent, composed of openings and objects, for training only. Data, and one function.

The sentences of `intents.py` are few; a model that has seen only those remembers sentences. These combinations make it look at
the words. A combination that equals a held-out sentence is never handed out (`phrase`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

from skills.example import is_held_out
from skills.intents import INTENTS

# fmt: off
_PROBLEM = ("there is a problem with {o}", "I have a question about {o}", "something is wrong with {o}", "please check {o}", "can you look at {o}", "I need help with {o}", "it is about {o}",
            "I don't understand {o}", "what happened to {o}", "I am calling about {o}", "tell me more about {o}", "nobody answers me about {o}", "I still have trouble with {o}")
_WANT = ("I want {o}", "I would like {o}", "can I have {o}", "I need {o}", "please give me {o}", "is it possible to get {o}", "I am asking for {o}", "how do I get {o}", "could I get {o}")
_DO = ("{o}", "please {o}", "can you {o}", "could you {o}", "I want you to {o}", "{o} please", "would you {o}", "{o} now", "I need you to {o}", "{o} for me")
_TO = ("I want to {o}", "how do I {o}", "I would like to {o}", "can I {o}", "I need to {o}", "help me to {o}", "is it possible to {o}", "let me {o}", "please let me {o}", "I am trying to {o}", "where can I {o}")
_SAY = ("{o}",)
PHRASES: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = {
    "billing": ((_PROBLEM, ("my bill", "my invoice", "the charge on my card", "my last payment", "the invoice from May", "my credit card payment", "the amount on the bill", "a double charge", "the money you charged", "my billing statement", "the tax on my invoice")),
                (_TO, ("pay my bill", "pay by credit card", "get a copy of my invoice", "change my card", "pay the invoice later", "see my payments", "update my billing address")),
                (_SAY, ("the amount you charged is wrong", "I paid too much this month", "my payment was not accepted", "you billed me for the wrong month", "the bill is higher than last month", "my card was charged again", "I never got an invoice", "the payment did not go through"))),
    "refund": ((_WANT, ("a refund", "my money back", "a full refund", "a refund for the jacket", "the money back for my order", "a return label", "my money returned")),
               (_TO, ("return the phone", "send this back", "return my order", "give the lamp back", "get my money back", "bring the jacket back to the shop", "be refunded")),
               (_SAY, ("it is broken, refund me", "the size is wrong, I will send it back", "where is my refund", "my refund has not come", "I returned it, when do I get the money", "take it back and refund me"))),
    "technical": ((_PROBLEM, ("the app", "the software", "an error message", "the installation", "the program", "the update", "a bug", "the black screen", "the website, it fails", "the crash", "error 845")),
                  (_SAY, ("the app crashes every time", "it freezes after a minute", "the page stays empty", "nothing happens when I click", "the program stops with an error", "the site is down", "the software does not start", "after the update nothing works",
                          "the button does not work", "the screen is black", "it keeps showing an error", "the installation failed", "my phone does not work any more", "the app is very slow and crashes", "I found a bug"))),
    "shipping": ((_PROBLEM, ("my package", "my delivery", "the parcel", "the shipping of my order", "my shipment", "the courier", "the tracking number", "the delivery time")),
                 (_SAY, ("where is my parcel", "my package is late", "the order has not come yet", "when will it arrive", "is my package on its way", "has the package been sent", "how long does the delivery take", "when do you ship my order", "the parcel was left at the wrong door",
                         "I am still waiting for my package", "can you ship it to Rome", "do you deliver on Saturday", "the courier never came", "my delivery did not arrive", "how much is shipping to Tokyo")),
                 (_TO, ("track my order", "track the package", "change the delivery address", "know when my parcel arrives"))),
    "account": ((_PROBLEM, ("my account", "my password", "my login", "my user name", "signing in", "my profile", "my email address")),
                (_TO, ("change my password", "log in", "sign in", "delete my account", "reset my password", "create an account", "open an account", "change my username", "update my profile", "unlock my account", "sign up")),
                (_SAY, ("my password does not work", "I forgot my login", "I forgot my username", "I am locked out", "the login fails", "it says my password is wrong", "I cannot sign in"))),
    "cancel": ((_TO, ("cancel my order", "cancel my subscription", "end my membership", "stop my subscription", "cancel the contract", "cancel the order for the book", "cancel everything", "quit my plan")),
               (_DO, ("cancel my order", "cancel it", "stop my membership", "cancel my plan", "end my subscription", "cancel order 12", "cancel the contract")),
               (_SAY, ("I don't want the order any more, cancel it", "I no longer need it, please cancel", "how can I cancel"))),
    "weather": ((_SAY, ("is it cold outside", "will it be sunny {d}", "is it raining in {c}", "what will the weather be {d}", "do I need a coat {d}", "how warm is it in {c}", "is there snow in {c}", "what is the temperature in {c}", "is it windy in {c}", "tell me the forecast for {d}",
                        "will there be a storm {d}", "is it hot in {c}", "how is the weather", "will it be cloudy {d}", "should I take an umbrella", "does it rain {d}", "how many degrees is it", "is the sun shining in {c}", "weather in {c} {d}", "forecast for {c}")),),
    "alarm": ((_DO, ("set an alarm for 6", "wake me up at 5:30", "set my alarm", "wake me at 8 {d}", "change my alarm to 7", "turn off the alarm", "put the alarm at 9", "set the alarm clock", "stop the alarm", "make an alarm for 10 am")),
              (_SAY, ("alarm at 6", "I have to get up at 5, wake me", "I need an alarm for 7:15", "an alarm {d} at 8"))),
    "reminder": ((_DO, ("remind me to call Anna", "remind me of the meeting", "remind me to pay the bill {d}", "set a reminder for the doctor", "add a reminder to buy bread", "remind me about the party {d}", "remind me to take the keys", "create a reminder for my exam")),
                 (_SAY, ("I must not forget to call dad, remind me", "don't let me forget the milk", "don't let me forget to send the letter", "a reminder for {d} please"))),
    "music": ((_DO, ("play a song", "play some rock", "play the radio", "put on a song", "play music", "stop the song", "play the next track", "turn the music up", "play my playlist", "play something by the band", "pause the music", "skip the song", "play jazz", "make the music louder")),
              (_SAY, ("I want to hear a song", "I want to listen to music", "what song is this", "next track", "I like this song, play it again"))),
    "lights": ((_DO, ("turn on the light", "turn off the lights", "switch on the lamp", "dim the lamp", "make the light brighter", "switch the lights off in the hall", "light up the kitchen", "make the lights red", "turn the bedroom lamp off")),
               (_SAY, ("lights off", "it is dark here, light please", "more light in the office", "the lamp in the kitchen on please", "too bright, dim the lights"))),
    "booking": ((_TO, ("book a table", "book a room", "reserve a table for {n}", "book a flight to {c}", "reserve a hotel in {c}", "book a train to {c}", "reserve seats", "book a hotel room {d}", "make a reservation", "book two tickets to {c}")),
                (_DO, ("book a table {d}", "reserve a room for {n}", "book me a flight", "find me a hotel in {c}", "make a reservation {d}", "reserve a seat on the train")),
                (_SAY, ("a table for {n} {d} please", "do you have a free room {d}", "is a table free tonight"))),
    "greeting": ((_SAY, ("hello", "hi", "hey", "good morning", "good evening", "good afternoon", "hello there", "hello, how are you", "hi, how are you", "hey you", "nice to meet you", "hello my friend", "hi everybody", "good day", "how are you", "morning everyone", "hello again")),),
    "goodbye": ((_SAY, ("goodbye", "bye", "see you", "see you soon", "see you tomorrow", "bye for now", "good night", "talk to you soon", "have a nice day", "have a good evening, bye", "goodbye and take care", "I have to go, bye", "until next time", "farewell", "see you later then")),),
    "thanks": ((_SAY, ("thanks", "thank you", "thank you very much", "many thanks", "thanks for the help", "thank you for your time", "that was very kind, thank you", "I appreciate it", "I am grateful for your help", "thanks, you helped me a lot", "a big thank you", "thanks again")),),
    "complaint": ((_SAY, ("I am not satisfied", "your service is terrible", "the staff was unfriendly", "this is a scandal", "I have never had such bad service", "I am very unhappy with your company", "the waiter was rude to me", "I waited two hours, this is not acceptable", "nobody helped me, I am angry",
                          "I am disappointed", "your support is the worst", "I was treated badly", "I am angry with your staff", "what a terrible experience", "this service is unacceptable")),
                  (_TO, ("complain", "make a complaint", "complain about your staff", "file a complaint about the waiter", "speak to the manager, I am angry"))),
    "feedback": ((_SAY, ("great work", "well done", "I like your app", "I love the new version", "your product is excellent", "the new design is great", "you have a fantastic team", "I am very happy with your service", "keep up the good work", "what a wonderful product", "I really like it",
                         "the best app I know", "your team did a great job", "everything works well, I love it")),),
    "sales": ((_SAY, ("what does the phone cost", "how much is a laptop", "how expensive is the plan", "do you sell books", "is there a discount for students", "what is the cheapest laptop", "what do you charge for ten licenses", "which phone do you sell", "how much do I pay for the big plan", "do you have an offer",
                      "is the jacket on sale", "what are the prices", "what is the price of a lamp", "I am interested in the premium plan")),
              (_TO, ("buy a laptop", "buy three books", "order a new phone", "buy the premium plan", "get a price for 12 lamps", "purchase a license"))),
    "opening_hours": ((_SAY, ("when are you open", "are you open now", "what time do you open", "what time do you close", "when does the store open", "when does the office close", "how long are you open {d}", "is the shop open {d}", "are you open at night", "on which days are you open", "do you close at noon",
                              "from when to when are you open", "is the store closed on Sunday", "your opening hours please")),),
    "location": ((_SAY, ("where is the shop", "where is your store", "where are you", "in which street are you", "what is the address of the office", "how do I find you", "how do I get to the store", "do you have an office in {c}", "is there a shop near me", "are you in {c}", "which way to your office",
                         "directions to the shop please", "where in {c} is your shop", "give me your address", "how far is your office from the station")),),
    "job": ((_TO, ("work at your company", "apply for a job", "send you my CV", "apply for the position", "join your team", "find a job", "become an engineer at your company", "apply as a driver")),
            (_SAY, ("do you have a job for me", "are there open jobs", "is the position still open", "I am looking for work", "I am looking for a position in {c}", "do you hire students", "who do I send my application to", "what jobs do you offer", "do you look for engineers"))),
    "translation": ((_DO, ("translate this sentence", "translate the text into German", "translate the word dog", "translate this letter", "put this into Spanish", "translate it to French", "say it in Italian")),
                    (_SAY, ("what is dog in German", "how do you say good night in French", "what does gracias mean in English", "what is the French word for bread", "how do I say water in Italian", "what does this sentence mean in English", "the Spanish word for house please"))),
    "urgent": ((_SAY, ("fire, fire", "the house is on fire", "there is smoke in the office", "call the police", "call a doctor, quickly", "somebody is hurt", "there was an accident", "help, someone is bleeding", "we need an ambulance", "it is an emergency", "come quickly, the cellar is flooding", "everything is down, we need help now",
                       "the whole network is down, this is urgent", "please hurry, it is urgent", "water is coming through the roof, help")),),
    "spam": ((_SAY, ("you are our winner, click now", "claim your free prize", "you won a new car, click the link", "cheap watches, buy now", "make money from home", "get rich fast", "free money, click here", "you have won the lottery", "lose weight with this pill", "hot offer, only today, click here", "free gift, act fast",
                     "claim your million dollars", "congratulations, you won a phone", "win a free holiday now", "buy cheap watches today and win")),),
    "question": ((_SAY, ("how does this work", "what is this for", "what does that mean", "can you explain it", "why does it do that", "what is the difference", "who made this", "how can I begin", "what is inside", "why is it green", "how do I use it", "what does the red button do", "where do I begin", "can you tell me how it works",
                         "what is the meaning of this", "which of the two is better", "who can explain this to me")),),
}
_PLACES = ("Paris", "Rome", "Boston", "Lisbon", "Tokyo", "Cairo", "Berlin", "Oslo", "Madrid", "my town")
_DAYS = ("tomorrow", "on Monday", "on Friday", "next week", "tonight", "on Sunday", "today", "this weekend", "in the morning")
# fmt: on


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


@lru_cache(maxsize=1)
def _kept_back() -> frozenset[str]:
    return frozenset(_plain(text) for _, texts in INTENTS.values() for text in texts if is_held_out(text, 7))


def phrase(rng: Random, intent: str) -> str:
    """A composed sentence of this intent, for training."""
    while True:
        openings, objects = rng.choice(PHRASES[intent])
        text = rng.choice(openings).format(o=rng.choice(objects))
        if _plain(text.replace("{d}", "{day}").replace("{c}", "{city}")) in _kept_back():
            continue
        text = text.replace("{d}", rng.choice(_DAYS)).replace("{c}", rng.choice(_PLACES))
        text = text.replace("{n}", str(rng.randint(2, 12)))
        asks = text.startswith(
            ("is ", "are ", "do ", "does ", "can ", "could ", "would ", "will ", "should ", "has ")
        )
        asks = asks or text.startswith(("what", "where", "when", "how", "why", "who", "which"))
        return text[0].upper() + text[1:] + ("?" if asks else rng.choice((".", ".", "!")))
