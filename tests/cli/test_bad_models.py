"""Models that aren't there, aren't models, or have no room: typed, one block, no half-written anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli import agents
from tests.cli.tea import COMMAND, TIMEOUT_S, Done, clean_environ, tea

from the_edge_agent.store.locate import embedded_model_path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "chat.yaml").write_text(agents.CHAT)
    whole = embedded_model_path().read_bytes()
    (tmp_path / "truncated.gguf").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "headless.gguf").write_bytes(whole[:100])
    (tmp_path / "magic.gguf").write_bytes(b"PK\x03\x04" + whole[4:4096])
    (tmp_path / "empty.gguf").write_bytes(b"")
    return tmp_path


def ask(home: Path, *arguments: str, question: str = "What is 2+2?", environ: dict | None = None) -> Done:
    return tea(
        "run", "chat.yaml", "-i", "-", *arguments,
        home=home, stdin=json.dumps({"question": question}), environ=environ,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("missing.gguf", "ModelNotFound"),
        ("truncated.gguf", "GgufInvalid"),
        ("headless.gguf", "GgufInvalid"),
        ("magic.gguf", "GgufInvalid"),
        ("empty.gguf", "GgufInvalid"),
        (".", "ModelNotFound|GgufInvalid"),
    ],
)
def test_a_file_that_is_no_model_is_named_with_the_rule_that_asked_for_it(
    home: Path, file: str, name: str
) -> None:
    done = ask(home, "--gguf", file, "--output", "json")
    assert done.code == 1
    error = json.loads(done.out)["run"]["error"]
    assert error["name"] in name.split("|")
    assert done.first_error_line.startswith(f"{error['name']}: ")
    assert file in done.err
    assert "Traceback" not in done.err


def test_a_variable_that_names_a_missing_model_is_named_itself(home: Path) -> None:
    done = ask(home, environ={"TEA_MODEL_PATH": "nowhere.gguf"})
    assert done.code == 1
    assert done.first_error_line.startswith("ModelNotFound: ")
    assert "TEA_MODEL_PATH" in done.err


def test_an_unknown_model_name_is_never_answered_by_another_model(home: Path) -> None:
    done = ask(home, "--model", "gpt-9000")
    assert (done.code, done.out) == (1, "")
    assert done.first_error_line.startswith("ModelNotFound: ")


def test_a_prompt_larger_than_the_context_is_refused_with_both_numbers(home: Path) -> None:
    done = ask(home, "--output", "json", question="word " * 200_000)
    assert done.code == 1
    error = json.loads(done.out)["run"]["error"]
    assert error["name"] == "ContextLengthExceeded"
    assert done.first_error_line.startswith("ContextLengthExceeded: ")
    assert sum(part.isdigit() for part in error["what"].replace(",", "").replace(";", " ").split()) >= 2


def test_the_api_that_is_not_configured_says_how_to_configure_it(home: Path) -> None:
    done = ask(home, "--backend", "api")
    assert done.code == 1
    assert done.first_error_line.startswith("BackendUnavailable: ")


def test_without_the_extra_everything_else_works_and_a_local_call_names_it(home: Path) -> None:
    import subprocess

    code = (
        "import sys\n"
        "for name in ('llama_cpp', 'grpc', 'mcp', 'numpy', 'ray', 'gguf'):\n"
        "    sys.modules[name] = None\n"
        "from the_edge_agent.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )

    def lean(*arguments: str) -> Done:
        done = subprocess.run(
            [COMMAND[0], "-W", "error", "-c", code, *arguments],
            capture_output=True, text=True, cwd=home, env=clean_environ(home), timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    for arguments in (
        ("--help",),
        ("validate", "chat.yaml"),
        ("inspect", "chat.yaml"),
        ("schema",),
        ("runs", "list"),
    ):
        assert lean(*arguments).code == 0, arguments
    local = lean("run", "chat.yaml", "-i", '{"question": "hi"}')
    assert local.code == 1
    assert local.first_error_line.startswith("BackendNotInstalled: ")
    assert "the-edge-agent[llm-local]" in local.err
    served = lean("mcp", "serve", "chat.yaml")
    assert served.first_error_line.startswith("BackendNotInstalled: ")
    assert "the-edge-agent[mcp]" in served.err
    features = json.loads(lean("--impl", "--features", "--json").out)["features"]
    assert features["llm-local"] is False
