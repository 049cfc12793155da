"""The state a workflow begins with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from the_edge_agent.engine.own import adopt
from the_edge_agent.engine.state import State
from the_edge_agent.errors import InputInvalid, OutputInvalid, Problem
from the_edge_agent.workflow.input_schema import validate_input
from the_edge_agent.workflow.nodes import Workflow


def start_state(workflow: Workflow, given: Mapping[str, Any]) -> State:
    """initial_state and the defaults of state_schema, and the input over both.

    Raises InputInvalid where the input breaks input_schema or isn't JSON.
    """
    defaults = {name: entry.default for name, entry in workflow.state_schema.items() if entry.has_default}
    checked = validate_input(workflow.input_schema, given)
    try:
        return State(adopt({**defaults, **workflow.initial_state, **checked}, path="input"))
    except OutputInvalid as error:
        raise InputInvalid((Problem(error.what, error.place or "input", "give JSON values"),)) from error
