"""What leaves the machine: in order, within the budget, remembered."""

import pytest

from the_edge_agent.backends.scripted import ScriptedBackend
from the_edge_agent.errors import BackendUnavailable, RateLimited
from the_edge_agent.inference import ChatRequest, Message, collect
from the_edge_agent.runtime.config import GatewayConfig, ProviderConfig
from the_edge_agent.runtime.gateway import Gateway, Spending, load_spending, save_spending

ASKED = ChatRequest((Message("user", "Hi"),), privacy="may-leave")


def provider(name, **fields):
    return ProviderConfig(f"http://{name}", name, f"KEY_{name}", **fields)


def gateway(tmp_path, backends, month="2026-11", **config):
    providers = {name: provider(name, usd_per_million_prompt=1e6) for name in backends}
    opened = []

    def open_provider(provider_, key):
        opened.append((provider_.model, key))
        return backends[provider_.model]

    made = Gateway(
        GatewayConfig(providers, **config),
        {"KEY_a": "secret-a"},
        tmp_path / "runtime" / "spending.json",
        lambda: month,
        open_provider,
    )
    return made, opened


async def answer(made, name="a"):
    return await collect(made.chat(name, ASKED))


async def test_the_first_provider_answers_with_the_key_of_its_variable(tmp_path):
    made, opened = gateway(tmp_path, {"a": ScriptedBackend("A"), "b": ScriptedBackend("B")})
    completion = await answer(made)
    assert (completion.text, completion.model) == ("A", "a")
    assert opened == [("a", "secret-a")]


async def test_one_that_fails_before_its_first_word_is_passed_over(tmp_path):
    made, _ = gateway(tmp_path, {"a": ScriptedBackend(BackendUnavailable("down")), "b": ScriptedBackend("B")})
    assert (await answer(made)).model == "b"


async def test_one_that_fails_in_mid_answer_is_an_error_and_never_a_second_answer(tmp_path):
    made, _ = gateway(tmp_path, {"a": ScriptedBackend("AAA", fail_after=1), "b": ScriptedBackend("B")})
    with pytest.raises(BackendUnavailable):
        await answer(made)


async def test_the_last_ones_error_is_the_answer(tmp_path):
    made, _ = gateway(tmp_path, {"a": ScriptedBackend(BackendUnavailable("down"))})
    with pytest.raises(BackendUnavailable, match="down"):
        await answer(made)


async def test_a_budget_holds_across_restarts_and_begins_anew_with_the_month(tmp_path):
    def fresh(month):
        return gateway(tmp_path, {"a": ScriptedBackend("Hello")}, month=month, budget_tokens=5)[0]

    await answer(fresh("2026-11"))
    with pytest.raises(RateLimited, match="budget of 5 tokens is used up"):
        await answer(fresh("2026-11"))
    await answer(fresh("2026-12"))


async def test_money_is_counted_by_the_providers_prices(tmp_path):
    made, _ = gateway(tmp_path, {"a": ScriptedBackend("Hello")}, budget_usd=1.5)
    await answer(made)
    assert made.spending() == Spending("2026-11", 2.0, 7)
    with pytest.raises(RateLimited, match="USD"):
        await answer(made)


def test_a_damaged_record_is_an_error_and_not_a_fresh_budget(tmp_path):
    path = tmp_path / "spending.json"
    save_spending(path, Spending("2026-11", 1.0, 2))
    assert load_spending(path, "2026-11") == Spending("2026-11", 1.0, 2)
    path.write_text('{"month": "20')
    with pytest.raises(BackendUnavailable, match="can't be read"):
        load_spending(path, "2026-11")
