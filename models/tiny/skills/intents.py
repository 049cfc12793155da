"""Intents: the labels they go by and what people say. Data only."""

from __future__ import annotations

# fmt: off
SLOTS: dict[str, tuple[str, ...]] = {
    "city": ("Paris", "Rome", "Boston", "Lisbon", "Tokyo", "Cairo"),
    "day": ("tomorrow", "on Monday", "on Friday", "next week", "tonight"),
    "item": ("laptop", "jacket", "phone", "lamp", "book", "headset"),
    "n": ("2", "3", "4", "12", "845", "7731"),
}
INTENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "billing": (("billing", "billing", "payment", "invoice"), (
        "I was charged twice.", "I was charged twice this month.", "My invoice is wrong.", "Why is my bill so high?", "The payment failed.",
        "My credit card was charged {n} times.", "Where can I find my invoice?", "I want to change my payment method.",
        "There is an error in my bill.", "You charged me too much.", "How do I pay my bill?", "My card was declined.",
        "I don't understand the charge on my invoice.", "Send me the invoice for order {n}.", "I paid twice for the same bill.")),
    "refund": (("refund", "refund", "return"), (
        "I want a refund.", "I want my money back.", "How do I return the {item}?", "Please refund my order.", "Can I get a refund for the {item}?",
        "I would like to return this {item}.", "When do I get my refund?", "The {item} broke, I want my money back.",
        "I want to send the {item} back.", "Give me a refund please.", "Refund order {n}.", "Can I return it and get my money back?")),
    "technical": (("technical", "technical", "tech support", "bug"), (
        "The app crashes when I open it.", "The website does not load.", "I get an error message.", "The app keeps crashing.",
        "It shows error {n}.", "The program freezes.", "The screen stays black after the update.", "The app won't start.",
        "My {item} does not work after the update.", "The page is not loading.", "The software stops with an error.", "There is a bug in the app.",
        "The update broke my {item}.", "I can't install the app, it fails with an error.")),
    "shipping": (("shipping", "shipping", "delivery"), (
        "Where is my package?", "My order has not arrived.", "When will my {item} be delivered?", "The delivery is late.", "My parcel is late.",
        "How long does shipping take?", "Do you ship to {city}?", "Where is my order {n}?", "The package never arrived.",
        "Track my parcel.", "Has my {item} been shipped?", "I am still waiting for my delivery.", "The courier did not come.")),
    "account": (("account", "account", "login"), (
        "I forgot my password.", "I can't log in.", "How do I change my email address?", "My account is locked.", "Reset my password.",
        "I want to delete my account.", "How do I create an account?", "I can't sign in to my account.", "My login does not work.",
        "Change the password of my account.", "Please unlock my account.", "I want to change my username.")),
    "cancel": (("cancel", "cancellation"), (
        "Cancel my subscription.", "I want to cancel my order.", "Please cancel order {n}.", "How do I cancel?", "I want to cancel my membership.",
        "Stop my subscription.", "Cancel it please.", "I would like to cancel the order for the {item}.", "I no longer want the subscription, cancel it.")),
    "weather": (("weather", "weather", "get_weather"), (
        "What is the weather in {city}?", "Will it rain {day}?", "Is it sunny in {city}?", "How cold is it in {city}?", "Do I need an umbrella {day}?",
        "What's the temperature outside?", "Will it snow in {city} {day}?", "Is it going to rain in {city}?", "Weather forecast for {city}",
        "How hot will it be {day}?", "Is it windy today?")),
    "alarm": (("alarm", "set_alarm"), (
        "Wake me up at 7.", "Set an alarm for 6:30.", "Set an alarm for {n} o'clock.", "Wake me {day} at 8.", "I need an alarm at 5 am.",
        "Cancel my morning alarm.", "Set the alarm {day}.", "Put an alarm on for 7 am.")),
    "reminder": (("reminder", "remind"), (
        "Remind me to call mom.", "Remind me to buy milk {day}.", "Set a reminder to pay the rent.", "Don't let me forget the meeting {day}.",
        "Remind me {day} to water the plants.", "Add a reminder for the dentist.", "Remind me to feed the cat at {n}.")),
    "music": (("music", "music", "play_music"), (
        "Play some jazz.", "Play my favourite song.", "Put on some music.", "Next song please.", "Play the new album.", "Stop the music.",
        "Turn up the volume of the song.", "I want to hear rock music.", "Play a playlist for running.", "Skip this song.", "Play something calm.")),
    "lights": (("lights", "smart_home"), (
        "Turn on the lights.", "Switch off the lamp in the kitchen.", "Dim the lights.", "Turn off the bedroom light.", "Make the lights blue.",
        "Lights on please.", "Switch on the light in the hall.", "It is too dark, turn on a lamp.")),
    "booking": (("booking", "booking", "reservation"), (
        "Book a table for {n}.", "I want to reserve a room.", "Book a flight to {city}.", "I need a hotel in {city}.", "Reserve a table {day}.",
        "Can I book a room for {n} nights?", "Make a reservation for {n} people.", "Book me a train ticket to {city}.",
        "I would like to book a hotel {day}.")),
    "greeting": (("greeting", "greeting", "hello"), (
        "Hello!", "Hi there", "Good morning", "Hey, how are you?", "Hi, nice to meet you.", "Good evening!", "Hello everyone", "Hey there!")),
    "goodbye": (("goodbye", "farewell"), (
        "Bye!", "Goodbye", "See you later.", "See you {day}.", "Have a nice day, bye.", "Good night!", "Talk to you later.", "Bye bye")),
    "thanks": (("thanks", "gratitude"), (
        "Thank you!", "Thanks a lot.", "Thank you so much for your help.", "Thanks, that was helpful.", "Many thanks!", "I really appreciate it, thanks.")),
    "complaint": (("complaint", "complaint"), (
        "I want to complain about the service.", "This is unacceptable.", "Your staff was very rude.", "I am very disappointed with your service.",
        "I am not happy with how I was treated.", "This is the worst service ever.", "I am angry about the rude waiter.", "I want to file a complaint.")),
    "feedback": (("feedback", "praise"), (
        "Great job, I love the product.", "Your team is wonderful.", "I really like the new design.", "The app is fantastic.",
        "You have a great product.", "I love your service.", "Excellent work, keep it up.", "The new version is great.")),
    "sales": (("sales", "pricing"), (
        "How much does the {item} cost?", "What is the price of the {item}?", "Do you have a discount?", "I want to buy {n} of the {item}.", "Do you sell a {item}?",
        "Which plan is the cheapest?", "Can I get an offer for {n} licenses?", "What are your prices?", "How much is the premium plan?",
        "I am interested in buying a {item}.")),
    "opening_hours": (("opening_hours", "hours"), (
        "When do you open?", "What are your opening hours?", "Are you open on Sunday?", "Until what time are you open?", "When does the shop close?",
        "Are you open {day}?", "At what time do you close?", "Is the store open now?")),
    "location": (("location", "address"), (
        "Where is your office?", "What is your address?", "How do I get to your shop?", "Where are you located?", "Is there a store in {city}?",
        "Where can I find you in {city}?", "Give me directions to the office.", "Which street is the shop in?")),
    "job": (("job", "careers"), (
        "I want to work for you.", "Do you have open positions?", "I would like to apply for a job.", "Are you hiring?", "Where do I send my CV?",
        "I am looking for a job as an engineer.", "Can I apply for the position in {city}?", "Is the job still open?")),
    "translation": (("translation", "translate"), (
        "Translate this into French.", "How do you say hello in Spanish?", "What does this word mean in German?", "Translate the letter into English.",
        "How do I say thank you in Italian?", "Please translate the text.", "What is the Spanish word for dog?")),
    "urgent": (("urgent", "emergency"), (
        "There is a fire in the building!", "Call an ambulance!", "Help, this is an emergency!", "The server room is on fire.", "We need help right now, it is urgent!",
        "Someone is hurt, send help.", "Water is flooding the office, come quickly!", "This is urgent, the whole system is down!")),
    "spam": (("spam", "spam", "junk"), (
        "You won a million dollars, click here!", "Buy cheap pills now!", "Click this link to claim your prize.", "Congratulations, you are our lucky winner!",
        "Earn money fast from home!", "Free gift card, act now!", "Limited offer, click here and win!", "You have won a free phone, claim it now!")),
    "question": (("question", "question"), (
        "How does it work?", "What is the difference between the two plans?", "Can you explain this to me?", "Why is it blue?", "Who can help me with this?",
        "What does this button do?", "How do I start?", "What is included?")),
}
