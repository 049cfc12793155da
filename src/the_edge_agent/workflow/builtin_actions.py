"""Signatures of the built-in actions, as one table. ``actions/`` implements exactly these; nothing here runs."""

from __future__ import annotations

from types import MappingProxyType

from the_edge_agent.workflow.signatures import Param, Signature, Signatures

_MODEL = (
    Param("model", ("string",), "Model name; default: settings.llm.model, then the rules of model lookup."),
    Param("model_path", ("string",), "A GGUF file, relative to the agent file; wins over `model`."),
    Param(
        "level",
        ("string",),
        "How much thinking the call needs; picks a model where several are configured.",
        choices=("operational", "tactical", "strategic"),
    ),
    Param(
        "backend",
        ("string",),
        "Who answers: in this process, the daemon, an API, or the first of these that can.",
        choices=("local", "runtime", "api", "auto"),
    ),
    Param(
        "privacy",
        ("string",),
        "`local-only`: the prompt never leaves this machine, whatever the file or the caller allow; `may-leave`: it may, where they allow an API.",
        choices=("local-only", "may-leave"),
    ),
    Param("timeout_s", ("number",), "Deadline of the call, in seconds.", minimum=0.0),
)

_PROMPT = (
    Param(
        "messages",
        ("array",),
        "The conversation: a list of {role, content}; goes before `prompt` if both stand.",
    ),
    Param("prompt", ("string",), "The user's turn as text."),
    Param("system", ("string",), "The system turn, put before everything else."),
)

_SAMPLING = (
    Param(
        "max_tokens",
        ("integer",),
        "At most so many tokens of answer; default: what the context holds.",
        minimum=1,
    ),
    Param("temperature", ("number",), "0 (default) always takes the likeliest token.", minimum=0.0),
    Param("top_p", ("number",), "Nucleus sampling, 0 to 1; default 1 (off).", minimum=0.0, maximum=1.0),
    Param("top_k", ("integer",), "Only the k likeliest tokens; default 0 (off).", minimum=0),
    Param(
        "min_p",
        ("number",),
        "Only tokens at least so likely, relative to the best; default 0.",
        minimum=0.0,
        maximum=1.0,
    ),
    Param(
        "seed", ("integer",), "Repeats the same draw; default: the run's seed, else a fresh one.", minimum=0
    ),
    Param("stop", ("string", "array"), "Text, or up to 64 texts, where the answer ends."),
    Param("repeat_penalty", ("number",), "Above 1 discourages repetition; default 1 (off).", minimum=0.01),
    Param("frequency_penalty", ("number",), "Discourages frequent tokens; default 0 (off)."),
    Param("presence_penalty", ("number",), "Discourages tokens already used; default 0 (off)."),
)

_OVERFLOW = Param(
    "on_overflow",
    ("string",),
    "When the prompt doesn't fit the context: fail (default), drop the oldest turns, or summarize them.",
    choices=("error", "truncate_oldest", "summarize"),
)

_FORMAT = Param(
    "response_format",
    ("string", "object"),
    "`json_object`, or {type: json_schema, schema: {...}}; enforced, and the parsed value is in `json`.",
)

_TOOLS = (
    Param("tools", ("array",), "Tools the model may ask for: {name, description, parameters}."),
    Param("tool_choice", ("string",), "`auto` (default), `none`, `required`, or a tool's name."),
)

_CHAT = (
    *_PROMPT,
    *_MODEL,
    *_SAMPLING,
    _FORMAT,
    *_TOOLS,
    Param(
        "logprobs", ("integer",), "How many alternatives to report a token, 0 to 20.", minimum=0, maximum=20
    ),
    _OVERFLOW,
)
_CHAT_RETURNS = (
    "{content, json, model, backend, finish_reason, usage {prompt_tokens, completion_tokens, cached_tokens}, "
    "timings, tool_calls, n_ctx}; `json` only with `response_format`"
)

_NAMESPACE = Param("namespace", ("string",), "Keeps memories apart; default: the workflow's name.")
_MEMORY_MODEL = tuple(
    param for param in _MODEL if param.name in {"model", "model_path", "backend", "privacy"}
)

_HTTP = (
    Param("url", ("string",), "http or https address; its host must be permitted.", required=True),
    Param("headers", ("object",), "Header names and values."),
    Param("params", ("object",), "Query parameters, added to the URL."),
    Param("timeout_s", ("number",), "Deadline in seconds; default 30.", minimum=0.0),
    Param("max_bytes", ("integer",), "Largest body that is read; default 10,000,000.", minimum=1),
    Param(
        "parse",
        ("string",),
        "How the body becomes `body`; `auto` (default) goes by the content type.",
        choices=("auto", "json", "text", "base64"),
    ),
)
_HTTP_RETURNS = "{status, headers, body, url}; a status of 400 or more fails with HttpFailed"

_FILE_FORMAT = ("text", "json", "base64")

_TABLE = (
    Signature(
        "llm.call",
        "Asks a model once and returns its answer.",
        _CHAT,
        returns=_CHAT_RETURNS,
        at_least_one_of=("messages", "prompt"),
    ),
    Signature(
        "llm.chat",
        "Like llm.call for a conversation; the result's `messages` has the answer appended.",
        _CHAT,
        returns=_CHAT_RETURNS + "; and `messages`",
        at_least_one_of=("messages", "prompt"),
    ),
    Signature(
        "llm.stream",
        "Like llm.call, and every token is an event of the run as it comes.",
        _CHAT,
        returns=_CHAT_RETURNS,
        at_least_one_of=("messages", "prompt"),
    ),
    Signature(
        "llm.tools",
        "Lets the model call tools, feeds it their results, and returns its last answer.",
        (
            *_PROMPT,
            *_MODEL,
            *_SAMPLING,
            _FORMAT,
            Param(
                "tools",
                ("array",),
                "The tools: {name, description, parameters, uses: ACTION, with: {...}} or {mcp: SERVER, only: [names]}.",
                required=True,
            ),
            Param("tool_choice", ("string",), "`auto` (default), `none`, `required`, or a tool's name."),
            Param(
                "max_tool_rounds",
                ("integer",),
                "Rounds of tool calls before it fails; default 8.",
                minimum=1,
                maximum=100,
            ),
            _OVERFLOW,
        ),
        permission="tools",
        returns=_CHAT_RETURNS + "; and `rounds`, `messages`",
        at_least_one_of=("messages", "prompt"),
    ),
    Signature(
        "llm.embed",
        "Turns text into a vector.",
        (Param("text", ("string", "array"), "A text, or a list of texts.", required=True), *_MODEL),
        returns="{embedding, dimensions, model, backend, usage}; for a list `embeddings` in its order beside the first",
    ),
    Signature(
        "llm.similarity",
        "How close texts are in meaning, by their vectors.",
        (
            Param("text", ("string",), "The text to compare.", required=True),
            Param(
                "candidates",
                ("string", "array"),
                "A text, or a list of texts, to compare with.",
                required=True,
            ),
            *_MODEL,
        ),
        returns="{score, best, best_index, scores, usage}: cosine similarity, `scores` in the order of candidates",
    ),
    Signature(
        "llm.classify",
        "Picks one of the labels for a text; the answer is always one of them.",
        (
            Param("text", ("string",), "The text to classify.", required=True),
            Param(
                "labels", ("array", "object"), "The labels: a list, or {label: what it means}.", required=True
            ),
            Param("instructions", ("string",), "Replaces the built-in instruction."),
            Param("examples", ("array",), "Solved cases: a list of {text, label}."),
            *_MODEL,
            Param("seed", ("integer",), "Repeats the same draw.", minimum=0),
        ),
        returns="{label, index, model, backend, usage}",
    ),
    Signature("http.get", "Fetches a URL.", _HTTP, permission="net", returns=_HTTP_RETURNS),
    Signature(
        "http.post",
        "Sends a body to a URL.",
        (
            *_HTTP,
            Param("json", (), "A value sent as JSON."),
            Param("form", ("object",), "Fields sent as a form."),
            Param("body", ("string",), "Text sent as it is."),
        ),
        permission="net",
        returns=_HTTP_RETURNS,
    ),
    Signature(
        "file.read",
        "Reads a file of the run's folder or another permitted one.",
        (
            Param("path", ("string",), "The file, relative to the run's folder.", required=True),
            Param(
                "format",
                ("string",),
                "What becomes of the bytes; default `text` (UTF-8).",
                choices=_FILE_FORMAT,
            ),
            Param("max_bytes", ("integer",), "Largest file that is read; default 10,000,000.", minimum=1),
        ),
        permission="files",
        returns="{content, path, size_bytes}",
    ),
    Signature(
        "file.write",
        "Writes a file of the run's folder or another permitted one.",
        (
            Param("path", ("string",), "The file, relative to the run's folder.", required=True),
            Param("content", (), "What to write.", required=True),
            Param(
                "format", ("string",), "How it becomes bytes; default `text` (UTF-8).", choices=_FILE_FORMAT
            ),
            Param("append", ("boolean",), "Adds at the end instead of replacing the file."),
        ),
        permission="files",
        returns="{path, size_bytes}",
    ),
    Signature(
        "json.parse",
        "Reads JSON text.",
        (
            Param("text", ("string",), "The JSON.", required=True),
            Param("default", (), "Taken when the text isn't JSON; without it the node fails."),
        ),
        returns="the value",
    ),
    Signature(
        "json.transform",
        "Computes a new value from one with an expression.",
        (
            Param("data", (), "The value, called `data` in the expression.", required=True),
            Param(
                "expression",
                ("string",),
                "An expression over `data`, state and variables.",
                required=True,
                raw=True,
                syntax="expression",
            ),
        ),
        returns="the expression's value",
    ),
    Signature(
        "template.render",
        "Renders a template once, to text; its result is never rendered again.",
        (
            Param("template", ("string",), "The template.", required=True, raw=True, syntax="template"),
            Param("values", ("object",), "More names for the template, beside state and variables."),
        ),
        returns="the text",
    ),
    Signature(
        "human.ask",
        "Stops the run with a question for a person and goes on with the answer.",
        (
            Param("prompt", ("string",), "The question.", required=True),
            Param(
                "kind",
                ("string",),
                "What is answered: free text (default), one of `choices`, yes or no, or a JSON value.",
                choices=("text", "choice", "confirm", "json"),
            ),
            Param("choices", ("array",), "The answers to choose from, for kind `choice`."),
            Param("schema", ("object",), "A JSON schema the answer must meet, for kind `json`."),
            Param("context", (), "Shown with the question."),
        ),
        returns="the answer",
    ),
    Signature(
        "memory.store",
        "Keeps a value beyond the run, with a vector if one is to be searched.",
        (
            Param("key", ("string",), "Its name; storing it again replaces it.", required=True),
            Param("value", (), "Any JSON value.", required=True),
            _NAMESPACE,
            Param("metadata", ("object",), "Kept beside the value."),
            Param("embedding", ("array",), "Its vector, from llm.embed."),
            Param("text", ("string",), "Or the text to embed for it."),
            *_MEMORY_MODEL,
        ),
        returns="{key, namespace}",
    ),
    Signature(
        "memory.retrieve",
        "Reads a kept value by its key.",
        (
            Param("key", ("string",), "Its name.", required=True),
            _NAMESPACE,
            Param("default", (), "Taken when there is none; default null."),
        ),
        returns="{found, key, value, metadata}",
    ),
    Signature(
        "memory.search",
        "Finds the kept values nearest to a vector or a text.",
        (
            Param("embedding", ("array",), "The vector to search for, from llm.embed."),
            Param("text", ("string",), "Or the text to embed and search for."),
            _NAMESPACE,
            Param("limit", ("integer",), "At most so many; default 5.", minimum=1, maximum=10_000),
            Param("min_score", ("number",), "Only those at least so similar.", minimum=-1.0, maximum=1.0),
            *_MEMORY_MODEL,
        ),
        returns="{hits: [{key, value, metadata, score}]}, nearest first",
        at_least_one_of=("embedding", "text"),
    ),
    Signature(
        "mcp.call",
        "Calls a tool of an MCP server the caller configured.",
        (
            Param("server", ("string",), "The server's name.", required=True),
            Param("tool", ("string",), "The tool's name.", required=True),
            Param("arguments", ("object",), "Its arguments."),
            Param("timeout_s", ("number",), "Deadline in seconds; default 60.", minimum=0.0),
        ),
        permission="tools",
        returns="what the tool returned",
    ),
)

#: Every built-in action by name.
BUILTIN: Signatures = MappingProxyType({signature.name: signature for signature in _TABLE})
