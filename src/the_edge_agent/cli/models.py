"""``tea models``: list, pull, verify, rm, path, import, inspect, plan. The verbs themselves are in ``models_*``."""

from __future__ import annotations

from the_edge_agent.cli.parser import Parser, Subparsers

_REFS = """\
A model is written as a name (`tea models list`), hf:org/repo:QUANT, hf:org/repo/file.gguf, https://…/file.gguf, or a path.
"""
_PULL_EPILOG = f"""\
{_REFS}
A pull that was stopped, however, goes on where it was. Two that pull one model share one download.

Examples:
  tea models pull gemma-3-1b
  tea models pull hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
  tea models pull https://models.example.org/mine.gguf --sha256 9f86d0…
"""
_VERIFY_EPILOG = """\
Examples:
  tea models verify gemma-3-1b
  tea models verify gemma-3-1b --repair      fetch only the pieces that are bad
  tea models verify model.gguf --manifest model-manifest.json
"""
_PLAN_EPILOG = """\
Weights are exact, the KV cache is llama.cpp's own layout, the compute buffer an estimate.

Examples:
  tea models plan gemma-3-1b --n-ctx 8192
  tea models plan gemma-3n-e4b --remote --n-ctx 4096      read the header from the hub, fetch nothing else
"""
_INSPECT_EPILOG = """\
Examples:
  tea models inspect tiny
  tea models inspect model.gguf --json | jq .context_length
  tea models inspect model.gguf --tensors
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea models``."""
    parser: Parser = subparsers.add_parser(
        "models",
        help="list, pull, verify and inspect models",
        description="The models of this machine.",
        epilog=_REFS,
    )
    verbs: Subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_shows(verbs)
    _add_changes(verbs)


def _add_shows(verbs: Subparsers) -> None:
    list_ = _verb(
        verbs, "list", "models_show:list_models", "List the models that are known and those that are here."
    )
    list_.add_argument("--here", action="store_true", help="only what is on this machine")
    list_.add_argument(
        "--catalogue", action="store_true", help="print the catalogue as it is published (JSON)"
    )

    path = _verb(
        verbs, "path", "models_show:show_path", "Print the file that a model is, or that would answer."
    )
    path.add_argument("model", nargs="?", metavar="MODEL", help="a model; without: what a run would use")

    inspect = _verb(
        verbs,
        "inspect",
        "models_inspect:inspect_model",
        "Show what a model file says of itself.",
        _INSPECT_EPILOG,
    )
    inspect.add_argument("model", metavar="MODEL", help="a model or a file")
    inspect.add_argument("--tensors", action="store_true", help="its tensors as well")
    inspect.add_argument(
        "--remote", action="store_true", help="read the header from the server, fetch nothing else"
    )

    plan = _verb(
        verbs,
        "plan",
        "models_inspect:plan_model",
        "Say how much memory a model needs, and whether it is here.",
        _PLAN_EPILOG,
    )
    plan.add_argument("model", metavar="MODEL", help="a model or a file")
    plan.add_argument(
        "--n-ctx", type=_positive, metavar="N", help="context length (default: the model's own, at most 8192)"
    )
    plan.add_argument(
        "--remote", action="store_true", help="read the header from the server, fetch nothing else"
    )


def _add_changes(verbs: Subparsers) -> None:
    pull = _verb(verbs, "pull", "models_have:pull", "Fetch a model into the store.", _PULL_EPILOG)
    pull.add_argument("model", metavar="MODEL", help="a name, hf:… or https://…")
    pull.add_argument(
        "--name", default="", metavar="NAME", help="keep a file from an address under this name"
    )
    pull.add_argument("--sha256", metavar="HEX", help="what the file must be")
    pull.add_argument("--manifest", metavar="FILE", help="chunk manifest that checks every piece as it comes")
    pull.add_argument(
        "--hf-cache", action="store_true", help="put it in the Hugging Face cache, for other programs too"
    )
    pull.add_argument(
        "--accept-new", action="store_true", help="take what the hub has now, even if it was another file"
    )
    pull.add_argument("--connections", type=_positive, default=4, metavar="N", help="ranges side by side (4)")
    pull.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")

    verify = _verb(
        verbs, "verify", "models_have:verify", "Check that a model is what it was.", _VERIFY_EPILOG
    )
    verify.add_argument("model", metavar="MODEL", help="a model or a file")
    verify.add_argument("--repair", action="store_true", help="fetch bad pieces again")
    verify.add_argument("--manifest", metavar="FILE", help="check against this chunk manifest")
    verify.add_argument("--sha256", metavar="HEX", help="check against this digest")

    rm = _verb(verbs, "rm", "models_have:remove", "Take a model out of the store.")
    rm.add_argument("model", metavar="MODEL", help="a model of the store")
    rm.add_argument("--hf-cache", action="store_true", help="out of the Hugging Face cache too")

    import_ = _verb(verbs, "import", "models_have:import_file", "Copy a model file into the store.")
    import_.add_argument("file", metavar="FILE", help="a .gguf file; of a split model, the first part")
    import_.add_argument("--name", default="", metavar="NAME", help="its name (default: the file's)")


def _verb(verbs: Subparsers, name: str, handler: str, description: str, epilog: str = "") -> Parser:
    help_ = description[0].lower() + description[1:].rstrip(".")
    parser = verbs.add_parser(name, help=help_, description=description, epilog=epilog)
    parser.add_argument("--json", action="store_true", help="one JSON value")
    parser.set_defaults(handler=f"the_edge_agent.cli.{handler}")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value
