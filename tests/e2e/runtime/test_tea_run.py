"""`tea run` with the daemon behind it: the same answer as without, and a daemon that dies in the middle costs nothing."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from tests.serving.process import daemon

pytestmark = pytest.mark.e2e

AGENT = """
name: two-words
input_schema: {question: {type: string}}
nodes:
  - name: first
    uses: llm.call
    with: {prompt: "{{ state.question }}", max_tokens: 40}
    outputs: {first: "{{ result.content }}"}
  - name: second
    uses: llm.call
    with: {prompt: "Say hello.", max_tokens: 40}
    outputs: {answer: "{{ state.first }} / {{ result.content }}"}
"""


def run(process, path, backend, during=lambda: None, code=0):
    """The JSON object that `tea run` prints."""
    environ = {**os.environ, "HOME": str(process.folder), "TEA_DATA_DIR": str(process.folder / "data")}
    environ["TEA_RUNTIME_SOCKET"] = str(process.socket)
    command = [
        sys.executable,
        "-m",
        "the_edge_agent.cli",
        "run",
        str(path),
        "--backend",
        backend,
        "--output",
        "json",
    ]
    command += ["--input", json.dumps({"question": "Respond with OK if you are working."})]
    acting = threading.Thread(target=during)
    acting.start()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    acting.join()
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_the_daemon_gives_the_answer_that_the_same_model_gives_in_process():
    with daemon() as process:
        path = process.folder / "agent.yaml"
        path.write_text(AGENT)
        through = run(process, path, "runtime")
        assert process.status()["models"][0]["requests"] >= 3
        assert through["state"]["answer"] == run(process, path, "local")["state"]["answer"]


def test_a_run_goes_on_when_the_daemon_is_killed_and_comes_back():
    with daemon() as process:
        path = process.folder / "agent.yaml"
        path.write_text(AGENT)
        expected = run(process, path, "runtime")["state"]["answer"]
        asked = process.status()["models"][0]["requests"]

        def kill_and_start():
            process.until(lambda: process.status()["models"][0]["requests"] > asked)
            process.signal(signal.SIGKILL)
            process.wait()
            process.start()

        assert run(process, path, "runtime", kill_and_start)["state"]["answer"] == expected


NEXT = """
name: asks-a-person-between-two-models
nodes:
  - name: first
    uses: llm.call
    with: {prompt: "Say hello.", max_tokens: 40, model: tiny}
  - name: person
    uses: human.ask
    with: {prompt: "Go on?"}
  - name: second
    uses: llm.call
    with: {prompt: "Say hello.", max_tokens: 40, model: other}
"""


def test_the_next_nodes_model_is_loaded_before_it_is_asked():
    config = "models: {tiny: {level: operational}, other: {path: tiny}}"
    with daemon(config=config) as process:
        path = process.folder / "agent.yaml"
        path.write_text(NEXT)
        run(process, path, "runtime", code=3)
        process.until(lambda: process.status()["models"][1]["phase"] == "ready")
        assert process.status()["models"][1]["requests"] == 0


def test_without_a_daemon_the_error_says_what_to_start(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT)
    environ = {**os.environ, "TEA_RUNTIME_SOCKET": str(tmp_path / "none"), "TEA_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "the_edge_agent.cli", "run", str(path), "--backend", "runtime"]
    done = subprocess.run(
        [*command, "--input", '{"question": "x"}'],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "tea runtime serve" in done.stderr
