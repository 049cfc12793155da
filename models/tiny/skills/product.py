"""Questions about The Edge Agent and about the model itself, with true, short answers.

Held out: the last wordings of every topic (`held`).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from skills.example import Example, assistant, say, user


@dataclass(frozen=True, slots=True)
class Topic:
    """One answer and the ways to ask for it; `held` are kept from training."""

    answer: str
    asked: tuple[str, ...]
    held: tuple[str, ...]


# fmt: off
TOPICS: tuple[Topic, ...] = (
    Topic("The Edge Agent runs LLM agents offline, on any machine. An agent is one YAML file, answered by a local llama.cpp model.",
          ("What is The Edge Agent?", "what is the edge agent", "Tell me about The Edge Agent.", "What does The Edge Agent do?", "What is tea?", "What is this program?", "What does tea do?", "Explain The Edge Agent.", "What is this software for?",
           "Describe The Edge Agent.", "What's The Edge Agent about?", "What can The Edge Agent be used for?", "Give me an overview of The Edge Agent."),
          ("Can you explain what The Edge Agent is?", "What exactly is The Edge Agent?", "Tell me what tea is.")),
    Topic("Run `tea run agent.yaml`.",
          ("How do I run an agent?", "how to run an agent", "How can I run an agent?", "Which command runs an agent?", "How do I start an agent?", "run an agent", "What is the command to run an agent?", "How do I execute a YAML file?", "How do I run agent.yaml?",
           "Run a workflow, how?", "How do I start a workflow?", "How do I use tea run?", "How do I run my file?"),
          ("How would I run an agent file?", "Tell me how to run an agent.", "With which command do I run my agent?")),
    Topic("Run `tea chat` and type your message.",
          ("How do I chat?", "how to chat", "How can I chat with the model?", "Which command starts a chat?", "How do I start a chat?", "How do I talk to the model?", "Can I chat with you in the terminal?", "How do I open the chat?", "start chat", "What is the command for chatting?", "chat command?"),
          ("How can I start chatting?", "Tell me how to chat.", "What do I type to chat with a model?")),
    Topic("Run `tea validate agent.yaml`. It lists every problem with its line and what to do.",
          ("How do I check a file?", "How do I validate an agent?", "how to validate a file", "Which command checks my YAML?", "How can I check my agent for errors?", "How do I find mistakes in my file?", "check a file", "Is my YAML correct?", "How do I validate agent.yaml?", "What is the command to check a file?", "How do I test if my file is valid?"),
          ("How would I check a YAML file?", "Tell me how to validate a file.", "With which command can I check my agent?")),
    Topic("Run `tea models list`.",
          ("How do I list the models?", "list models", "Which models are there?", "How can I see the models?", "Show the models.", "What is the command to list models?", "Which models can I use?", "How do I see all models?", "Which models do I have?", "list the available models", "What models are available?"),
          ("How would I list my models?", "Tell me how to list models.", "Can I see which models are there?")),
    Topic("Add `--gguf model.gguf`, for example `tea chat --gguf model.gguf`.",
          ("How do I use another model?", "How do I load a larger model?", "How do I use my own model?", "Can I use a bigger model?", "How do I change the model?", "load a bigger model", "How do I use a GGUF file?", "How do I load a GGUF?", "What does --gguf do?", "How can I get better answers?", "Which option loads another model?"),
          ("How would I load a different model?", "Tell me how to use a larger model.", "Can I bring my own GGUF model?")),
    Topic("I am tea-tiny, the small demonstration model inside The Edge Agent.",
          ("Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Introduce yourself.", "who are you", "What's your name?", "Which model are you?", "What model is this?", "Are you ChatGPT?", "Are you a human?", "Are you a robot?", "What kind of model are you?", "Do you have a name?", "Who am I talking to?", "are you an AI?"),
          ("Could you introduce yourself?", "Tell me who you are.", "Which model am I talking to?", "Hi, who are you?")),
    Topic("I can do small sums, copy text, extract fields as JSON, classify text, answer from a given context and call tools. For more, load a larger model with --gguf.",
          ("What can you do?", "what can you do", "What are you able to do?", "How can you help me?", "What are your skills?", "Help", "help me", "What can I ask you?", "What are you good at?", "List your abilities.", "What do you know?", "What tasks can you do?", "How can you help?", "what can i do here"),
          ("Tell me what you can do.", "Which things can you do?", "What could I ask you?", "In what can you help me?")),
    Topic("No. Everything runs on this machine; nothing is sent over the internet unless you allow it.",
          ("Does it need the internet?", "Do you need the internet?", "Does The Edge Agent need the internet?", "Do I need an internet connection?", "Is my data sent anywhere?", "Do you send my data to the cloud?", "Is an internet connection required?", "Do you use the cloud?", "Does tea need the cloud?", "Are my prompts sent to a server?", "Do you go online?"),
          ("Must I be online to use it?", "Is the internet needed?", "Will you send my data over the internet?")),
    Topic("Yes. Everything works offline, with the model on this machine.",
          ("Does it work offline?", "Can I use it offline?", "Do you work offline?", "Does The Edge Agent work without internet?", "Are you offline?", "Can you run without internet?", "Is it offline?", "Do you run locally?", "Are you running on my machine?", "Does this run on my computer?", "Can I use tea offline?"),
          ("Can it run offline?", "Will this work without the internet?", "Are you a local model?")),
    Topic("An agent is a YAML file with nodes. Each node uses an action such as `llm.call`, and the nodes run in order.",
          ("What is an agent?", "What is an agent file?", "How do I write an agent?", "How do I create an agent?", "What does an agent look like?", "What is in an agent file?", "How do I make my own agent?", "What is a node?", "How is an agent written?", "create an agent", "How do I build an agent?", "What is agent.yaml?"),
          ("Tell me how to write an agent.", "What's inside an agent file?", "How would I create my own agent?")),
    Topic("Run `tea --help`; each command also has its own `--help`.",
          ("How do I get help?", "Where is the help?", "Which commands are there?", "List the commands.", "What commands does tea have?", "tea help", "Show me all commands.", "How do I see the commands?", "Where can I find help?", "What are the tea commands?"),
          ("Tell me which commands there are.", "How can I get help with tea?", "Which commands does tea know?")),
    Topic("Use `uses: llm.call` in a node, with a `prompt` under `with`.",
          ("How do I call the model in an agent?", "How do I use llm.call?", "What is llm.call?", "How do I ask the model from a node?", "How does a node call the model?", "Which action calls the model?", "How do I add a prompt to an agent?", "How do I write a prompt in YAML?"),
          ("Tell me how a node asks the model.", "Which action do I use to call a model?")),
    Topic("Run `tea resume` with the run's ID; finished nodes are not run again.",
          ("How do I resume a run?", "How can I continue a run?", "Which command resumes a run?", "My run was interrupted, what now?", "resume a run", "How do I continue an interrupted run?", "Can I continue after a crash?", "What does tea resume do?"),
          ("Tell me how to resume a run.", "How would I continue a stopped run?")),
    Topic("I was trained from scratch on small synthetic examples. I know very little.",
          ("How were you trained?", "What data were you trained on?", "Where does your knowledge come from?", "On what were you trained?", "Who trained you?", "Who made you?", "Who created you?", "Who built you?", "What is your training data?"),
          ("Tell me how you were trained.", "Who developed you?")),
    Topic("I have a few million parameters and my file is under 6 MB. That is very small.",
          ("How big are you?", "How many parameters do you have?", "What size are you?", "How large is this model?", "Are you a big model?", "How small are you?", "What is your size?", "How many parameters has this model?"),
          ("Tell me how large you are.", "How many parameters are in you?")),
)
_REPHRASED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("How do I ", ("How would I {r}?", "How could I {r}?", "Tell me how to {r}.", "Please explain how to {r}.", "What must I do to {r}?", "Explain how to {r}.",
                   "I want to know how to {r}.", "Can you tell me how to {r}?", "What do I type to {r}?", "With which command do I {r}?")),
    ("How can I ", ("How may I {r}?", "Show me how to {r}.", "Can you tell me how to {r}?", "Tell me how I can {r}.")),
    ("What is ", ("Tell me what {r} is.", "Can you explain what {r} is?", "What exactly is {r}?", "Do you know what {r} is?", "Please explain {r}.")),
    ("Which ", ("Tell me which {r}.", "Can you tell me which {r}?", "Do you know which {r}?")),
    ("Who ", ("Tell me who {r}.", "Can you tell me who {r}?", "I want to know who {r}.")),
    ("Does it ", ("Will it {r}?", "Can it {r}?", "Must it {r}?")),
    ("Do you ", ("Must you {r}?", "Will you {r}?", "Can you {r}?")),
    ("Can I ", ("May I {r}?", "Could I {r}?", "Is it possible to {r}?")),
)


# fmt: on


def rephrased(rng: Random, wording: str) -> str:
    """The same question begun in another way, where a rule fits."""
    for opening, others in _REPHRASED:
        if wording.startswith(opening) and wording.endswith("?"):
            return rng.choice(others).format(r=wording[len(opening) : -1])
    return rng.choice(("Please tell me: ", "I have a question. ", "Hi! ", "One question: ")) + wording


def product(rng: Random, held_out: bool) -> Example:
    topic = rng.choice(TOPICS)
    wording = rng.choice(topic.held if held_out else topic.asked)
    if not held_out and rng.random() < 0.35:
        wording = rephrased(rng, wording)
    return Example("product", (user(say(rng, wording, 0.1 if held_out else 0.4)), assistant(topic.answer)))
