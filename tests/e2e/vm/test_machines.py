"""Whole machines, from power on to power off, under an emulated CPU: packaging/vm boots them, here is what they must say."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

BOOT: dict[str, Any] = runpy.run_path(
    str(Path(__file__).resolve().parents[3] / "packaging" / "vm" / "boot.py")
)


def yes(*questions: str) -> dict[str, list[str]]:
    return {question: ["yes"] for question in questions}


def test_a_machine_boots_loads_the_operational_model_answers_over_grpc_and_powers_off() -> None:
    console = BOOT["boot"]("daemon")
    assert "ready: the boot check was answered 'OK" in console.text
    assert len(console.said("healthy")) == 1, console.text
    (answer,) = console.said("answer")
    assert "4" in answer
    assert answer.endswith("[tiny]")
    assert console.said("daemon ended with") == ["0"]
    assert "reboot: Power down" in console.text


def test_systemd_restarts_what_is_killed_and_the_installer_leaves_nothing_behind() -> None:
    console = BOOT["boot"]("service")
    said = console.said
    assert said("installed") == ["0"], console.text
    assert said("service") == ["active, socket: active"]
    assert len(said("answer")) == 3
    assert all("4" in answer for answer in said("answer"))
    expected = yes(
        "killed worker was replaced", "daemon stayed", "killed daemon was restarted", "daemon was left alone"
    )
    assert {question: said(question) for question in expected} == expected
    assert said("worker's user is root") == ["no"]
    assert said("orphans") == ["no"]
    assert said("socket's owner") == ["root:tea 660"]
    assert said("installed again") == ["0"]
    assert said("stopped") == ["success"]
    assert said("state was kept") == ["yes"]
    assert said("a call to the socket started it") == ["active"]
    assert said("bad configuration") == ["failed, restarts: 0"], "it must not be tried in a loop"
    assert said("uninstalled") == ["0"]
    assert said("units left") == ["0, configuration left: 1"]
    assert "TEA done" in console.text
