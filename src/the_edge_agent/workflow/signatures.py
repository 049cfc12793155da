"""The table of actions the language knows: name, parameters, permission. Data only.

The loader checks files against it, the JSON Schema for editors and docs/language.md are generated from it, and
``actions/`` implements it (a test holds the two together). It knows nothing of how an action works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

ParamType: TypeAlias = Literal["string", "integer", "number", "boolean", "array", "object", "any"]
Permission: TypeAlias = Literal["none", "net", "files", "code", "tools"]
Syntax: TypeAlias = Literal["", "template", "expression"]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. ``types`` empty means any; ``raw`` parameters reach the action unrendered.

    ``syntax`` says what a raw text holds, so that loading can check it. ``minimum`` and ``maximum`` bound numbers.
    """

    name: str
    types: tuple[ParamType, ...] = ()
    help: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    raw: bool = False
    syntax: Syntax = ""
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What a file may write under ``uses`` and ``with``, and what comes back.

    ``at_least_one_of`` names parameters of which one or more must be given.
    """

    name: str
    help: str
    params: tuple[Param, ...] = ()
    permission: Permission = "none"
    returns: str = ""
    at_least_one_of: tuple[str, ...] = ()

    def param(self, name: str) -> Param | None:
        """The parameter of that name, or None."""
        return next((param for param in self.params if param.name == name), None)


Signatures: TypeAlias = Mapping[str, Signature]
