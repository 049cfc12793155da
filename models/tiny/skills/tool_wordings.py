"""More ways to ask for a tool, by the family's first name; for training alone. Data only."""

from __future__ import annotations

# fmt: off
MORE: dict[str, tuple[str, ...]] = {
    "get_weather": ("Does it rain in {p0} now?", "{p0} weather please", "How hot is it in {p0}?", "What about the weather in {p0} right now?", "Look up the weather of {p0} for me.", "Is {p0} sunny today?"),
    "add": ("{p0} and {p1} together are?", "Can you add {p0} to {p1}?", "Take {p0} and add {p1} to it.", "Put {p0} and {p1} together.", "{p0} added to {p1}", "{p0} + {p1} = ?"),
    "multiply": ("{p0}*{p1}", "{p0} times {p1}", "Take {p0} and multiply it by {p1}.", "{p0} multiplied by {p1}?", "What is {p0} x {p1}?", "{p0} * {p1} = ?", "How much is {p0} x {p1}?"),
    "calculator": ("Do this sum for me: {p0}", "Use the calculator for {p0}.", "I need the result of {p0}.", "{p0} please", "What does {p0} make?"),
    "search": ("Search {p0} for me, please.", "I want to read about {p0}.", "I need to know more about {p0}.", "Are there documents on {p0}?", "Show me pages about {p0}.", "Information on {p0}, please.", "Query: {p0}"),
    "get_time": ("Is it late in {p0}?", "{p0} time now?", "What is the time in {p0} now?", "What does the clock in {p0} say?", "How many hours is it in {p0}?"),
    "send_email": ("Mail to {p0}: {p1}", "An email to {p0} with {p1} please.", "Send {p1} to {p0}.", "Send the text {p1} to {p0} by email.", "{p0} should get the mail {p1}.", "Write {p0} an email: {p1}"),
    "send_message": ("{p0} should know: {p1}", "Send {p1} to {p0}.", "Say {p1} to {p0}.", "A message to {p0}: {p1}", "Tell {p0}: {p1}", "Tell my friend {p0} {p1}.", "Write {p0} the text {p1}."),
    "set_reminder": ("I must not forget {p0} at {p1}.", "{p1}: remind me of {p0}.", "Put a reminder at {p1} for {p0}.", "Remind me at {p1} of {p0}.", "Reminder for {p1}: {p0}", "When it is {p1}, remind me of {p0}."),
    "set_alarm": ("Alarm for {p0}, please.", "I have to get up at {p0}.", "Let the alarm ring at {p0}.", "Make an alarm for {p0}.", "{p0} alarm", "I want to wake up at {p0}."),
    "set_timer": ("{p0} minutes from now, ring.", "I need a timer for {p0} minutes.", "Timer: {p0} min", "Ring in {p0} minutes.", "Let a timer run for {p0} minutes."),
    "turn_on_light": ("I need light in the {p0}.", "Make it bright in the {p0}.", "Light in the {p0} please.", "{p0} light on", "Put the {p0} lamp on."),
    "set_temperature": ("I want {p1} degrees in the {p0}.", "{p0}: {p1} degrees", "Warm the {p0} up to {p1} degrees.", "Change the heating of the {p0} to {p1}.", "Please heat the {p0}, {p1} degrees."),
    "read_file": ("Print the file {p0}.", "Can I see {p0}?", "What does {p0} say?", "What does the file {p0} contain?", "Display {p0}.", "Contents of {p0}?", "Get the text of {p0}."),
    "write_file": ("Make a file {p0} with {p1}.", "Write the text {p1} into {p0}.", "Store {p1} as {p0}.", "The file {p0} should contain {p1}.", "Save the words {p1} to {p0}."),
    "delete_file": ("I don't need {p0} any more, delete it.", "Throw {p0} away.", "Get rid of {p0}.", "Erase the file {p0}.", "The file {p0} must go."),
    "translate": ("{p0} in {p1} please", "Put {p0} into {p1}.", "The {p1} for {p0}?", "Give me {p0} in {p1}.", "I need {p0} in {p1}.", "Translate {p0} for me to {p1}."),
    "convert_currency": ("{p0} {p1} to {p2}", "I have {p0} {p1} and want {p2}.", "What is {p0} {p1} in {p2}?", "Exchange {p0} {p1} for {p2}.", "How many {p2} are {p0} {p1}?"),
    "get_order": ("Order {p0}, where is it?", "I am waiting for order {p0}.", "When does order {p0} come?", "Look up the order {p0}.", "Is order {p0} on its way?", "What about order {p0}?"),
    "cancel_order": ("Order {p0} must be cancelled.", "Take back order {p0}.", "Please stop the order {p0}.", "Don't send order {p0}.", "I want to cancel {p0}."),
    "check_stock": ("Do you still have the {p0}?", "How many of the {p0} do we have?", "Have we got a {p0}?", "Is {p0} sold out?", "Count the {p0} in stock.", "Any {p0} left in the store?"),
    "get_price": ("{p0} price", "How expensive is the {p0}?", "What do I pay for the {p0}?", "I want to know the price of the {p0}.", "What is the cost of a {p0}?"),
    "find_contact": ("Who is {p0} in my contacts?", "Give me the details of {p0}.", "I need the number of {p0}.", "Search my contacts for {p0}.", "Show me the contact {p0}.", "Do I have the number of {p0}?"),
    "call_person": ("Make a call to {p0}.", "Ring {p0} now.", "Start a call with {p0}.", "Can you call {p0}?", "Get {p0} on the phone."),
    "play_music": ("Let me hear {p0}.", "Play {p0} for me.", "Play {p0} now.", "Song: {p0}", "I'd like to listen to {p0}.", "Put the song {p0} on.", "Start {p0} please."),
    "create_event": ("Add a meeting with {p0} on {p1} to the calendar.", "I meet {p0} on {p1}.", "On {p1} I see {p0}, add it.", "Calendar: {p0} on {p1}", "Plan a meeting on {p1} with {p0}."),
    "book_flight": ("A flight from {p0} to {p1} please.", "I must get from {p0} to {p1}.", "Which planes go from {p0} to {p1}?", "From {p0} I want to fly to {p1}.", "Show flights from {p0} to {p1}."),
    "book_table": ("We are {p0} and come at {p1}.", "Table for {p0}, {p1}", "At {p1} we need a table for {p0}.", "Reserve {p0} seats at {p1}.", "Dinner for {p0} at {p1}."),
    "add_note": ("Keep this note: {p0}.", "Note down {p0} for me.", "Please write {p0} down.", "Put {p0} in my notes.", "Add {p0} to my notes.", "Make a note of {p0}."),
    "add_task": ("Put {p0} on the list of tasks.", "Add {p0} to the list.", "Add {p0} to my to-do list.", "I have to do {p0}, write it on my list.", "Task: {p0}", "Add {p0} to my todos.", "{p0} goes on my task list.", "Make {p0} a task."),
    "random_number": ("Draw a number up to {p0}.", "A number from 1 to {p0}.", "Roll for me, up to {p0}.", "Choose a random number, at most {p0}.", "Dice with {p0} sides, roll it."),
}
