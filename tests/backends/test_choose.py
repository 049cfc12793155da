"""Who answers: the whole table, and that nothing but leave lets a prompt out."""

import itertools

import pytest

from the_edge_agent.backends.choose import Caller, Decision, Facts, decide
from the_edge_agent.engine.ports import BackendChoice
from the_edge_agent.errors import (
    BackendNotInstalled,
    BackendUnavailable,
    EdgeAgentError,
    GgufInvalid,
    ModelNotFound,
    PrivacyRefused,
)
from the_edge_agent.workflow.nodes import LlmSettings

NO_LLAMA = BackendNotInstalled("llama.cpp isn't installed")
ABSENT = ModelNotFound("'big' is not on this machine", place="the action's model")
EVERYTHING = Facts(runtime_answers=True, api_configured=True)


def choose(*, node=None, file=None, flags=None, **facts) -> Decision:
    settings = LlmSettings(**(file or {}))
    return decide(BackendChoice(settings=settings, **(node or {})), Caller(**(flags or {})), Facts(**facts))


def test_auto_takes_the_daemon_if_its_socket_answers():
    assert choose(runtime_answers=True).kind == "runtime"


def test_auto_takes_the_local_model_where_there_is_no_daemon():
    assert choose() == Decision("local")


def test_a_named_file_is_read_in_this_process_even_beside_a_daemon():
    assert choose(flags={"gguf": "a.gguf"}, runtime_answers=True).kind == "local"
    assert choose(node={"model_path": "a.gguf"}, runtime_answers=True).kind == "local"
    assert choose(file={"model_path": "a.gguf"}, runtime_answers=True).kind == "local"


def test_the_first_that_speaks_decides():
    assert (
        choose(flags={"backend": "local"}, node={"backend": "runtime"}, runtime_answers=True).kind == "local"
    )
    assert (
        choose(node={"backend": "local"}, file={"backend": "runtime"}, runtime_answers=True).kind == "local"
    )
    assert choose(file={"backend": "local"}, runtime_answers=True).kind == "local"


@pytest.mark.parametrize(
    "asked", [{"flags": {"backend": "api"}}, {"node": {"backend": "api"}}, {"file": {"backend": "api"}}]
)
def test_an_api_that_was_asked_for_answers_without_a_notice(asked):
    assert choose(**asked, api_configured=True) == Decision("api")


@pytest.mark.parametrize(
    "leave",
    [
        {"file": {"fallback": "api"}},
        {"file": {"backend": "api"}, "node": {"backend": "local"}},
        {"flags": {"backend": "api"}, "node": {"privacy": "may-leave"}},
    ],
)
def test_with_leave_the_api_stands_in(leave):
    assert choose(**leave, local_error=NO_LLAMA, api_configured=True).kind == "api"


def test_a_fallback_is_always_noticed_with_its_reason():
    decision = choose(file={"fallback": "api"}, local_error=NO_LLAMA, api_configured=True)
    assert decision.notices == ("the API answers: llama.cpp isn't installed",)


def test_a_daemon_that_does_not_answer_is_made_up_for_with_leave_and_noticed():
    decision = choose(node={"backend": "runtime"}, file={"fallback": "api"}, api_configured=True)
    assert (decision.kind, len(decision.notices)) == ("api", 1)


def test_without_leave_the_local_error_is_the_answer():
    with pytest.raises(BackendNotInstalled):
        choose(local_error=NO_LLAMA, api_configured=True)
    with pytest.raises(BackendUnavailable, match="the daemon doesn't answer"):
        choose(node={"backend": "runtime"}, api_configured=True)


def test_may_leave_alone_gives_no_leave():
    with pytest.raises(BackendNotInstalled):
        choose(node={"privacy": "may-leave"}, local_error=NO_LLAMA, api_configured=True)


def test_a_model_that_is_absent_is_asked_of_the_api_only_with_leave():
    node = {"model": "big"}
    assert choose(node=node, file={"fallback": "api"}, local_error=ABSENT, api_configured=True).kind == "api"
    with pytest.raises(ModelNotFound):
        choose(node=node, local_error=ABSENT, api_configured=True)


@pytest.mark.parametrize(
    "rule", ["--gguf", "the action's model_path", "TEA_MODEL_PATH", "settings.llm.model_path"]
)
def test_a_file_that_was_named_and_is_missing_is_never_made_up_for(rule):
    error = ModelNotFound("there is no file", place=rule)
    with pytest.raises(ModelNotFound):
        choose(file={"fallback": "api"}, local_error=error, api_configured=True)


def test_a_broken_file_is_never_made_up_for():
    with pytest.raises(GgufInvalid):
        choose(
            file={"fallback": "api"},
            local_error=GgufInvalid("bad magic", place="a.gguf"),
            api_configured=True,
        )


@pytest.mark.parametrize("flags", [{"backend": "local"}, {"backend": "runtime"}, {"gguf": "a.gguf"}])
def test_a_caller_who_says_local_takes_back_the_leave_of_the_file(flags):
    for file in ({"fallback": "api"}, {"backend": "api"}):
        with pytest.raises(EdgeAgentError):
            choose(flags=flags, file=file, local_error=NO_LLAMA, api_configured=True)


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"flags": {"backend": "api"}}, "no API is configured"),
        ({"flags": {"backend": "api", "offline": True}, "api_configured": True}, "TEA_OFFLINE"),
    ],
)
def test_an_api_that_cannot_be_asked_says_why(asked, what):
    with pytest.raises(BackendUnavailable, match=what):
        choose(**asked)


def test_offline_no_fallback_leaves_the_machine():
    with pytest.raises(BackendNotInstalled):
        choose(file={"fallback": "api"}, flags={"offline": True}, local_error=NO_LLAMA, api_configured=True)


def every_case():
    """All that can be said, in all combinations."""
    backends = (None, "local", "runtime", "api", "auto")
    for node, file, flag in itertools.product(backends, repeat=3):
        for fallback, gguf, runtime, error, configured in itertools.product(
            ("api", "error"), (None, "a.gguf"), (True, False), (None, NO_LLAMA, ABSENT), (True, False)
        ):
            settings = LlmSettings(backend=file, fallback=fallback)
            caller = Caller(gguf=gguf, backend=flag)
            yield node, settings, caller, Facts(runtime, error, configured)


def outcome(choice, caller, facts):
    try:
        return decide(choice, caller, facts)
    except EdgeAgentError as error:
        return error


def test_local_only_wins_over_everything_said_by_anybody():
    for node, settings, caller, facts in every_case():
        choice = BackendChoice(backend=node, privacy="local-only", settings=settings)
        decided = outcome(choice, caller, facts)
        assert not (isinstance(decided, Decision) and decided.kind == "api")


def test_the_api_answers_only_where_it_was_named_or_fallback_gave_leave():
    for node, settings, caller, facts in every_case():
        for privacy in (None, "may-leave"):
            choice = BackendChoice(backend=node, privacy=privacy, settings=settings)
            decided = outcome(choice, caller, facts)
            if isinstance(decided, Decision) and decided.kind == "api":
                assert settings.fallback == "api" or "api" in (node, settings.backend, caller.backend)
                assert facts.api_configured
                assert not caller.gguf
                asked = caller.backend or node or settings.backend or "auto"
                assert asked == "api" or decided.notices


def test_every_case_ends_in_a_decision_or_a_typed_error():
    kinds = {type(outcome(BackendChoice(backend=n, settings=s), c, f)) for n, s, c, f in every_case()}
    assert kinds == {Decision, BackendNotInstalled, ModelNotFound, BackendUnavailable}


def test_local_only_and_api_together_are_a_contradiction_that_is_said():
    with pytest.raises(PrivacyRefused, match="the node says privacy: local-only"):
        choose(node={"backend": "api", "privacy": "local-only"}, api_configured=True)
