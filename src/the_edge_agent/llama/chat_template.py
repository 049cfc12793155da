"""Renders a model's chat template: Jinja that came with a download, so nobody's friend.

Templates see the variables that transformers gives them and nothing else, in the counting sandbox of
``template_sandbox``. Knows nothing of tokens or of models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn, cast

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError

from the_edge_agent.errors import TemplateInvalid
from the_edge_agent.llama.template_sandbox import BUILD, CONCAT, ENVIRONMENT, FIX, LIMITS, TURN, Limits

MAX_SOURCE = 256 * 1024


class ChatTemplate:
    """A compiled template. Rendering is safe from several threads."""

    __slots__ = ("_template", "source")

    def __init__(self, source: str) -> None:
        """Raises TemplateInvalid where the source is no template."""
        self.source = source
        self._template = _compile(source)

    @property
    def knows_tools(self) -> bool:
        """Whether the template has a place for tools of its own."""
        return "tools" in self.source

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        bos_token: str = "",
        eos_token: str = "",
        add_generation_prompt: bool = True,
    ) -> str:
        """The prompt's text for messages (and tools) of OpenAI's shape. Raises TemplateInvalid."""
        limits = Limits()
        variables = {
            "messages": list(messages),
            "tools": list(tools) or None,
            "bos_token": bos_token,
            "eos_token": eos_token,
            "add_generation_prompt": add_generation_prompt,
            "raise_exception": _raise,
            "strftime_now": _strftime_now,
            TURN: limits.turn,
            CONCAT: limits.concat,
            BUILD: limits.build,
            LIMITS: limits,
        }
        parts: list[str] = []
        try:
            for part in self._template.generate(variables):
                limits.charge(part)
                parts.append(part)
        except TemplateInvalid:
            raise
        except (jinja2.TemplateError, SecurityError) as error:
            raise TemplateInvalid(f"the chat template failed: {error.message or error}", fix=FIX) from error
        except (RecursionError, MemoryError, OverflowError) as error:
            raise TemplateInvalid(
                f"the chat template asks for too much ({type(error).__name__})", fix=FIX
            ) from error
        except Exception as error:  # a template can make any Python operation fail
            raise TemplateInvalid(
                f"the chat template failed: {type(error).__name__}: {error}", fix=FIX
            ) from error
        return "".join(parts)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(str(pattern)[:100])


@lru_cache(maxsize=32)
def _compile(source: str) -> jinja2.Template:
    if len(source) > MAX_SOURCE:
        raise TemplateInvalid(f"the chat template has {len(source)} characters", fix=FIX)
    try:
        tree = ENVIRONMENT.parse(source.replace("{% generation %}", "").replace("{% endgeneration %}", ""))
        _check_names(tree)
        _count_turns(tree)
        code = ENVIRONMENT.compile(tree)
        return jinja2.Template.from_code(ENVIRONMENT, code, ENVIRONMENT.globals)  # pyright: ignore[reportArgumentType]
    except jinja2.TemplateSyntaxError as error:
        raise TemplateInvalid(
            f"the chat template can't be read, line {error.lineno}: {error.message}", fix=FIX
        ) from error
    except (RecursionError, MemoryError, SyntaxError, ValueError, AssertionError) as error:
        raise TemplateInvalid("the chat template nests too deep", fix=FIX) from error


def _check_names(tree: nodes.Template) -> None:
    """The sandbox's own variables are out of reach."""
    for node in tree.find_all(nodes.Name):
        if node.name.startswith("__"):
            raise TemplateInvalid(f"the chat template uses the name {node.name!r}", fix=FIX)


def _count_turns(tree: nodes.Template) -> None:
    """Make every loop turn and macro call count, and everything that is built go through the limits."""
    for node in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
        node.body.insert(0, nodes.Output([_call(TURN)], lineno=node.lineno))
    _replace_builders(tree)
    if any(True for _ in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends))):
        raise TemplateInvalid("the chat template asks for other templates", fix=FIX)
    tree.set_environment(ENVIRONMENT)


def _replace_builders(node: nodes.Node) -> None:
    """Send what makes text and containers through the limits, innermost first."""
    for name, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            _replace_builders(value)
            setattr(node, name, _counted_node(value))
        elif isinstance(value, list):
            entries = cast("list[Any]", value)
            for index, entry in enumerate(entries):
                if isinstance(entry, nodes.Node):
                    _replace_builders(entry)
                    entries[index] = _counted_node(entry)


def _counted_node(node: nodes.Node) -> nodes.Node:
    if isinstance(node, nodes.Concat):
        return _call(CONCAT, node.nodes)
    if isinstance(node, (nodes.List, nodes.Dict)) or (isinstance(node, nodes.Tuple) and node.ctx == "load"):
        return _call(BUILD, [node])
    return node


def _call(name: str, args: list[nodes.Expr] | None = None) -> nodes.Call:
    return nodes.Call(nodes.Name(name, "load"), args or [], [], None, None)
