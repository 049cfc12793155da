"""The language as tables: every object a file may hold, its keys, their kinds and what they do. Data only.

The loader reads by these tables, the JSON Schema for editors and docs/language.md are made from them. A key that isn't
here doesn't exist. Actions have a table of their own (``builtin_actions``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from the_edge_agent.workflow.input_schema import FIELD_TYPES
from the_edge_agent.workflow.reducers import REDUCERS

#: ``table:x``, ``list:x`` and ``map:x`` hold the table x, lists of it, objects of it.
Kind: TypeAlias = str
#: What a node does; ``only`` of a key names those it belongs to.
Does: TypeAlias = Literal[
    "action", "steps", "code", "expression", "while_loop", "dynamic_parallel", "subgraph", "nothing"
]

NAME = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
NODE_NAME = r"^(?!__)\w[\w .-]{0,99}$"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table. The value has one of ``kinds``; ``default`` is for readers."""

    name: str
    kinds: tuple[Kind, ...]
    help: str
    required: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    only: tuple[Does, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """An object of the language. ``shorthand`` names the key that a bare text stands for."""

    name: str
    title: str
    keys: tuple[Key, ...]
    shorthand: str = ""

    def key(self, name: str) -> Key | None:
        """The key of that name, or None."""
        return next((key for key in self.keys if key.name == name), None)


def _key(name: str, kinds: str, help_: str, **more: object) -> Key:
    return Key(name, tuple(kinds.split("|")), help_, **more)  # type: ignore[arg-type]


_TOP = Table(
    "workflow",
    "The file",
    (
        _key("name", "text", "What the agent is called.", default="the file's name"),
        _key("description", "text", "What it is for."),
        _key("version", "text", "Your own version of it."),
        _key(
            "imports",
            "map:import",
            "Other agent files by a name that `subgraph` uses; paths are relative to this file.",
        ),
        _key("variables", "object", "Constants, read as `variables.NAME`."),
        _key("input_schema", "map:input_field", "What a run takes. Without it a run takes any object."),
        _key("state_schema", "map:state_field", "Types, defaults and reducers of state keys."),
        _key("initial_state", "object", "What the state holds at the start; the run's input wins over it."),
        _key("output_schema", "map:input_field", "What the final state must hold."),
        _key("settings", "table:settings", "How the agent runs."),
        _key("nodes", "list:node", "The nodes, in order.", required=True),
        _key("edges", "list:edge", "Where the run goes after a node, where the order of the list won't do."),
        _key("config", "table:config", "How a run is driven."),
    ),
)

_FIELD = (
    _key("type", "choice", "The kind of value.", choices=FIELD_TYPES, default="any"),
    _key("required", "boolean", "Refuse when it is missing.", default="false"),
    _key("default", "json", "Taken when it is missing."),
    _key("min", "number", "Smallest number."),
    _key("max", "number", "Largest number."),
    _key("min_length", "integer", "Fewest characters or entries.", minimum=0),
    _key("max_length", "integer", "Most characters or entries.", minimum=0),
    _key("pattern", "text", "A regular expression that is found in the text; `^...$` for all of it."),
    _key("choices", "list", "The values it may have."),
    _key("items", "table:input_field", "What each entry of a list is."),
    _key("properties", "map:input_field", "What the keys of an object are."),
    _key("description", "text", "What it means, for the reader and the tool's user."),
)
_INPUT_FIELD = Table("input_field", "A field of `input_schema` or `output_schema`", _FIELD, shorthand="type")
_STATE_FIELD = Table(
    "state_field",
    "A key of `state_schema`",
    (
        *(key for key in _FIELD if key.name != "required"),
        _key(
            "reducer",
            "choice",
            "How a written value joins the old one.",
            choices=tuple(REDUCERS),
            default="overwrite",
        ),
    ),
    shorthand="type",
)

_SETTINGS = Table(
    "settings",
    "`settings`",
    (
        _key("llm", "table:llm", "Which model answers."),
        _key("max_steps", "integer", "Nodes a run may start; loop bodies and branches don't count.", default="1000",
             minimum=1, maximum=1_000_000),
        _key("parallel", "table:parallel", "Defaults of parallel edges and dynamic_parallel."),
        _key("permissions", "table:permissions", "What actions may do, as far as the caller allows it too."),
        _key("error_handling", "table:error_handling", "What happens when a node fails."),
        _key("checkpoint", "table:checkpoint", "How safely the log of a run is written."),
    ),
)  # fmt: skip
_LLM = Table(
    "llm",
    "`settings.llm`",
    (
        _key("backend", "choice", "Who answers.", choices=("local", "runtime", "api", "auto"), default="auto"),
        _key("model", "text", "Model name."),
        _key("model_path", "text", "A GGUF file, relative to this file."),
        _key("n_ctx", "integer", "Context length in tokens.", minimum=1),
        _key("n_threads", "integer", "CPU threads.", minimum=1),
        _key("n_gpu_layers", "integer", "Layers on the GPU; -1 for all.", minimum=-1),
        _key("chat_format", "text", "Name of a chat template, instead of the model's own."),
        _key("deterministic", "boolean", "Whether the text at temperature 0 depends on the request alone.",
             default="true for a model under 64 MB"),
        _key("kv_type", "choice", "How the KV cache is stored.", choices=("f32", "f16", "q8_0", "q4_0"), default="f16"),
        _key("flash_attention", "boolean", "Whether attention is computed in blocks.", default="libllama's choice"),
        _key("use_mmap", "boolean", "Whether the file is mapped instead of read.", default="by the kind of weights"),
        _key("repack", "boolean", "Whether weights are laid out anew for faster kernels.", default="by the kind of weights and processor"),
        _key("draft_tokens", "integer", "Tokens to guess ahead, the text stays the same.", default="0", minimum=0,
             maximum=15),
        _key("draft_model", "text", "A smaller GGUF of the same vocabulary that guesses ahead, relative to this file."),
        _key("projector", "text", "The model's mmproj GGUF, relative to this file: with it, the model reads images."),
        _key("lora", "list:lora", "LoRA adapters that are added to the model's weights."),
        _key("api", "table:api", "A compatible API."),
        _key("fallback", "choice", "What a call does when no local model can answer.", choices=("api", "error"),
             default="error"),
    ),
)  # fmt: skip
_LORA = Table(
    "lora",
    "an entry of `settings.llm.lora`",
    (
        _key("path", "text", "The adapter's GGUF, relative to this file.", required=True),
        _key("scale", "number", "How strongly it counts.", default="1"),
    ),
)
_API = Table(
    "api",
    "`settings.llm.api`",
    (
        _key("base_url", "text", "Its address, up to and with `/v1`."),
        _key("model", "text", "Its model."),
        _key("key_env", "text", "Name of the environment variable that holds the key."),
    ),
)
_PARALLEL = Table(
    "parallel",
    "`settings.parallel`",
    (
        _key(
            "max_concurrency",
            "integer",
            "Branches at once; 0 for all.",
            default="0",
            minimum=0,
            maximum=100_000,
        ),
        _key("fail_fast", "boolean", "The first branch that fails cancels the others.", default="true"),
    ),
)
_PERMISSIONS = Table(
    "permissions",
    "`settings.permissions`",
    (
        _key("net", "texts", "Host names, `*` for any.", default="none"),
        _key("files", "texts", "Folders, relative to the run's folder.", default="the run's folder"),
        _key("code", "boolean", "Inline code is wanted; only the caller can allow it.", default="false"),
        _key("tools", "texts", "Names of MCP and workflow tools, `*` for any.", default="none"),
    ),
)
_ERROR_HANDLING = Table(
    "error_handling",
    "`settings.error_handling`",
    (
        _key("on_error", "choice", "`continue` goes on after a node that failed.", choices=("fail", "continue"),
             default="fail"),
        _key("retry", "table:retry", "For nodes that say nothing themselves."),
    ),
)  # fmt: skip
_CHECKPOINT = Table(
    "checkpoint",
    "`settings.checkpoint`",
    (
        _key("sync", "choice", "`normal` survives a killed process, `full` a power cut too.", choices=("normal", "full"),
             default="normal"),
    ),
)  # fmt: skip
_CONFIG = Table(
    "config",
    "`config`",
    (
        _key("raise_exceptions", "boolean", "The Python API raises the run's error after its `failed` event.",
             default="false"),
        _key("interrupt_before", "nodes", "Nodes before which the run stops and asks."),
        _key("interrupt_after", "nodes", "Nodes after which the run stops and asks."),
    ),
)  # fmt: skip

_WORK = (
    _key("uses", "action", "The action.", only=("action",)),
    _key("with", "params", "The action's parameters, templates inside.", only=("action",)),
    _key("steps", "list:step", "Steps in order, inside the node.", only=("steps", "dynamic_parallel")),
    _key("run", "code|table:run_expression", "Inline Python, where the caller allows code; or a safe expression.",
         only=("code", "expression")),
    _key("type", "choice", "A loop, or one branch for each item.", choices=("while_loop", "dynamic_parallel"),
         only=("while_loop", "dynamic_parallel")),
    _key("condition", "expression", "The loop goes on while this holds.", only=("while_loop",)),
    _key("max_iterations", "integer", "At most so many turns.", minimum=1, maximum=1000, default="100",
         only=("while_loop",)),
    _key("body", "list:step", "What the loop repeats.", only=("while_loop",)),
    _key("items", "expression|list", "The list to go over.", only=("dynamic_parallel",)),
    _key("item_var", "name", "What the item is called.", default="item", only=("dynamic_parallel",)),
    _key("index_var", "name", "What its number is called, from 0.", default="index", only=("dynamic_parallel",)),
    _key("max_concurrency", "integer", "Items at once; 0 for all.", minimum=0, maximum=100_000,
         default="settings.parallel", only=("dynamic_parallel",)),
    _key("fail_fast", "boolean", "The first item that fails cancels the others.", default="settings.parallel",
         only=("dynamic_parallel",)),
    _key("action", "table:step", "What is done for each item: a step.", only=("dynamic_parallel",)),
    _key("subgraph", "text", "Another agent file, or a name of `imports`.", only=("subgraph", "dynamic_parallel")),
    _key("input", "params", "The other agent's input, templates inside.", only=("subgraph", "dynamic_parallel")),
    _key("output", "name", "The state key that takes the result."),
    _key("outputs", "map:tree", "State keys and what they take, over `result`."),
    _key("when", "expression", "Skip it unless this holds."),
    _key("retry", "table:retry", "Try again when it fails."),
    _key("timeout_s", "number", "Fail after so many seconds.", minimum=0),
    _key("cache", "table:cache", "Keep the result for equal parameters.", only=("action", "subgraph")),
    _key("stream", "boolean", "Tokens become events as they come.", default="false", only=("action",)),
)  # fmt: skip
_NODE = Table(
    "node",
    "A node",
    (
        _key("name", "node_name", "What it is called.", required=True),
        *_WORK,
        _key("goto", "node|list:jump", "Where the run goes next."),
        _key("on_error", "table:on_error", "What happens when it fails after all attempts."),
        _key(
            "fan_in", "boolean", "Branches meet here; `parallel_results` has what they did.", default="false"
        ),
    ),
)
_STEP = Table(
    "step",
    "A step",
    (
        _key("name", "node_name", "What it is called.", default="its number"),
        *_WORK,
        _key("on_error", "table:step_on_error", "What happens when it fails after all attempts."),
    ),
)
_JUMP = Table(
    "jump",
    "An entry of `goto`",
    (
        _key("if", "expression", "The condition; without it the entry always matches."),
        _key("to", "node", "The node, or `__end__`.", required=True),
    ),
)
_RUN_EXPRESSION = Table(
    "run_expression",
    "`run: {type: expression}`",
    (
        _key("type", "choice", "Says that this is an expression.", choices=("expression",), required=True),
        _key("value", "expression", "The expression.", required=True),
        _key("output_key", "name", "The state key that takes its value; or `output` on the node."),
    ),
)
_RETRY = Table(
    "retry",
    "`retry`",
    (
        _key("max_attempts", "integer", "Attempts in all.", minimum=1, maximum=100, default="1"),
        _key(
            "backoff_s",
            "number",
            "Wait before the second attempt; doubles each time.",
            minimum=0,
            default="1",
        ),
        _key("max_backoff_s", "number", "Longest wait.", minimum=0, default="60"),
        _key("on", "errors", "Names of errors; without it every error.", default="every error"),
    ),
)
_ON_ERROR = Table(
    "on_error",
    "`on_error`",
    (
        _key("goto", "node", "Go there."),
        _key("fallback", "tree", "Take this as the result."),
    ),
)
_STEP_ON_ERROR = Table(
    "step_on_error",
    "`on_error` of a step",
    (_key("fallback", "tree", "Take this as the result.", required=True),),
)
_CACHE = Table(
    "cache", "`cache`", (_key("ttl_s", "number", "For so many seconds.", minimum=0, required=True),)
)
_EDGE = Table(
    "edge",
    "An edge",
    (
        _key("from", "node", "The node it leaves, or `__start__`.", required=True),
        _key(
            "to",
            "node|nodes",
            "The node it leads to, or `__end__`; a list where it is parallel.",
            required=True,
        ),
        _key("when", "expression", "Follow it only if this holds."),
        _key(
            "type", "choice", "`parallel` starts every such edge of the node at once.", choices=("parallel",)
        ),
        _key("parallel", "boolean", "Start all of `to` at once.", default="false"),
        _key("fan_in", "node", "Where the branches meet."),
    ),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            _TOP, _INPUT_FIELD, _STATE_FIELD, _SETTINGS, _LLM, _LORA, _API, _PARALLEL, _PERMISSIONS, _ERROR_HANDLING,
            _CHECKPOINT, _CONFIG, _NODE, _STEP, _JUMP, _RUN_EXPRESSION, _RETRY, _ON_ERROR, _STEP_ON_ERROR, _CACHE, _EDGE,
        )
    }
)  # fmt: skip

#: The keys of each table by name.
KEYS: Mapping[str, Mapping[str, Key]] = MappingProxyType(
    {table.name: MappingProxyType({key.name: key for key in table.keys}) for table in TABLES.values()}
)

#: Names every template and expression may use.
SCOPE: Mapping[str, str] = MappingProxyType(
    {
        "state": "what the nodes before have written; a missing key is null",
        "variables": "the file's constants",
        "secrets": "what the caller handed over as secret; never logged",
        "checkpoint": "the run: `checkpoint.run_id`, `checkpoint.node`, `checkpoint.address`",
        "error": "what failed, `{name, what, place, fix}`: in an `on_error` fallback and after an `on_error` goto",
    }
)
