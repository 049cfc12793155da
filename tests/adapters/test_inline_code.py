import pytest
from tests.engine.build import code, drive, go_on, sets, workflow

from the_edge_agent.adapters.inline_code import InlineCode
from the_edge_agent.engine.memory_log import MemoryLog
from the_edge_agent.engine.ports import Ports

PORTS = Ports(code=InlineCode())


def run_code(source: str, given=None, **options):
    return drive(workflow(code("a", source)), given or {}, ports=PORTS, **options)


def test_the_dict_that_code_returns_is_merged() -> None:
    assert run_code("x = state['n'] + 1\nreturn {'n': x, 'm': [x]}", {"n": 1}).state == {"n": 2, "m": [2]}


def test_indented_code_imports_functions_and_comprehensions_work() -> None:
    source = """
        import math
        def twice(x):
            return 2 * x
        values = [twice(math.floor(v)) for v in state["n"]]
        return {"out": values}
    """
    assert run_code(source, {"n": [1.5, 2.5]}).state["out"] == [2, 4]


def test_code_that_awaits_is_awaited() -> None:
    assert run_code("import asyncio\nawait asyncio.sleep(0)\nreturn {'n': 1}").state == {"n": 1}


@pytest.mark.parametrize("source", ["", "pass", "return None", "# only a comment", "x = 1"])
def test_code_that_returns_nothing_changes_nothing(source: str) -> None:
    assert run_code(source, {"n": 1}).state == {"n": 1}


def test_the_state_can_be_read_and_not_written() -> None:
    assert "TypeError" in run_code("state['n'] = 2").error["what"]
    assert (
        run_code("return {'keys': sorted(state), 'x': state.get('x', 'none')}", {"n": 1}).state["x"] == "none"
    )


def test_changing_a_list_of_the_state_in_place_is_not_lost_behind_the_logs_back() -> None:
    made = workflow(
        code("a", "chat = state['chat']\nchat.append(2)\nreturn {'chat': chat}"),
        code("b", "state['chat'].append(3)"),
    )
    log = MemoryLog("r")
    told = drive(made, {"chat": [1]}, log=log, ports=PORTS)
    assert told.state == {"chat": [1, 2]}
    assert go_on(made, log, ports=PORTS).state == told.state
    assert log.records()[1]["set"] == {"chat": ["+", [2]]}


def test_an_error_names_the_line_of_the_code() -> None:
    error = run_code("x = 1\ny = x / 0\nreturn {}").error
    assert error["name"] == "NodeFailed"
    assert "line 2 of its code: ZeroDivisionError: division by zero" in error["what"]
    assert error["place"] == "agent.yaml:1:3"


def test_a_syntax_error_names_its_line() -> None:
    assert "line 2 of its code" in run_code("x = 1\ny = = 2").error["what"]


def test_code_that_leaves_the_process_only_fails_its_node() -> None:
    assert "SystemExit" in run_code("import sys\nsys.exit(3)").error["what"]


def test_what_code_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    run_code("print('hello')\nreturn {}")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "hello\n"


def test_code_that_returns_no_dict_fails_its_node() -> None:
    assert "returned list" in run_code("return [1]").error["what"]


def test_code_of_two_nodes_shares_nothing() -> None:
    made = workflow(
        code("a", "global x\nx = 1\nreturn {}"),
        code("b", "return {'seen': 'x' in globals()}"),
        sets("c", "n", "1"),
    )
    assert drive(made, ports=PORTS).state["seen"] is False
