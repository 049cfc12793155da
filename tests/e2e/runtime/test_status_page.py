"""The status page in a real browser: what it shows is live, and its chat box talks to a real model.

``TEA_SCREENSHOTS=FOLDER`` keeps what was photographed.
"""

import os
import signal
from pathlib import Path
from threading import Thread

import pytest
from tests.e2e.runtime.chromium import chromium
from tests.serving.process import daemon

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CONFIG = """
models:
  tiny: {level: operational, parallel: 2}
  other: {path: tiny, parallel: 1}
workers: {backoff_s: 0, ping_s: 0.5, crash_limit: 100}
"""
ROW = "[...document.querySelectorAll('#models tr')].find(r => r.cells[0].innerText === '%s')"
LONG = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "Count."}],
    "max_tokens": 1500,
    "stream": True,
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "schema": {"type": "array", "items": {"type": "integer"}, "minItems": 300, "maxItems": 300}
        },
    },
}


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


@pytest.fixture(scope="module")
def process():
    with daemon(config=CONFIG) as running:
        yield running


@pytest.fixture
def page(browser, process):
    browser.open(process.url)
    browser.until("document.querySelectorAll('#models tr').length === 2")
    browser.problems.clear()
    yield browser
    assert browser.problems == []


@pytest.fixture
def keep(tmp_path):
    """Where screenshots go."""
    folder = Path(os.environ.get("TEA_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cell(page, model, column):
    return page.read(f"{ROW % model}.cells[{column}].innerText")


def test_it_shows_every_model_with_its_level_state_and_memory(page, keep):
    assert page.read("document.querySelector('#state').innerText") == "ready"
    assert [cell(page, "tiny", column) for column in (1, 2, 4)] == ["operational", "ready", "0 of 2"]
    assert cell(page, "tiny", 3).endswith("MB")
    assert [cell(page, "other", column) for column in (1, 2, 3)] == ["tactical", "unloaded", "\u2013"]
    assert "for workers" in page.read("document.querySelector('#memoryof').innerText")
    assert "512 places" in page.read("document.querySelector('#queueof').innerText")
    page.photograph(keep / "status.png")


def test_the_chat_box_answers_from_the_model_and_says_how_fast(page, keep):
    page.click("#text")
    page.type("What is 2+2?")
    page.press("Enter", 13)
    answer = page.until(
        "document.querySelectorAll('.turn').length === 2 && document.querySelector('.turn small').closest('#talk').innerText.includes('tokens')"
    )
    assert answer
    text = page.read("document.querySelectorAll('.turn')[1].innerText")
    assert text.startswith("tiny")
    assert "4" in text
    assert "a second" in text
    page.until(f"Number({ROW % 'tiny'}.cells[6].innerText) > 0")
    page.photograph(keep / "chat.png")


def test_answers_that_run_and_wait_are_seen_while_they_do(page, process, keep):
    with process.client() as client:
        streams = [client.stream("POST", "/v1/chat/completions", json=LONG) for _ in range(2)]
        for stream in streams:
            stream.__enter__()
        third = Thread(
            target=client.post, args=("/v1/chat/completions",), kwargs={"json": {**LONG, "max_tokens": 2}}
        )
        third.start()
        page.until("document.querySelector('#queue').innerText === '1'")
        assert cell(page, "tiny", 5) == "1"
        page.until("document.querySelector('#active').innerText === '2'")
        page.until("Number(document.querySelector('#pace').innerText.replaceAll(',', '')) > 0")
        page.until("document.querySelector('#curve').getAttribute('points').split(' ').length > 1")
        page.photograph(keep / "busy.png")
        for stream in streams:
            stream.__exit__(None, None, None)
        third.join(60)
    page.until("document.querySelector('#active').innerText === '0'")


def test_a_model_is_loaded_and_unloaded_by_its_button_and_a_killed_worker_is_seen(page, process):
    page.click("#models tr:nth-child(2) button")
    page.until(f"{ROW % 'other'}.cells[2].innerText === 'ready'")
    page.click("#models tr:nth-child(2) button")
    page.until(f"{ROW % 'other'}.cells[2].innerText === 'unloaded'")
    before = int(cell(page, "tiny", 8))
    os.kill(process.worker_pids()[0], signal.SIGKILL)
    page.until(f"Number({ROW % 'tiny'}.cells[8].innerText) === {before + 1}")
    page.until(f"{ROW % 'tiny'}.cells[2].innerText === 'ready'")


def test_an_answer_can_be_stopped_and_its_slot_is_free(page, process):
    page.click("#text")
    page.type("Tell me everything about The Edge Agent.")
    page.click("#send")
    page.click("#stop")
    page.until("!document.querySelector('#send').disabled")
    process.until(lambda: process.status()["models"][0]["active"] == 0)


def test_it_asks_nobody_but_the_daemon_and_fits_a_small_dark_screen(page, process, keep):
    page.open(process.url, width=390, height=844, dark=True)
    page.until("document.querySelectorAll('#models tr').length === 2")
    assert page.read("document.documentElement.scrollWidth") <= 390
    page.photograph(keep / "small-dark.png")
    outside = [url for url in page.addresses if not url.startswith((process.url, "data:", "about:"))]
    assert outside == []


def test_when_the_daemon_is_gone_the_page_says_so_and_finds_it_again(browser, keep):
    with daemon(config=CONFIG) as process:
        browser.open(process.url)
        browser.until("document.querySelector('#state').innerText === 'ready'")
        process.stop()
        browser.until("document.querySelector('#state').innerText === 'not reachable'")
        assert browser.read("getComputedStyle(document.querySelector('.figures')).opacity") == "0.4"
        browser.photograph(keep / "gone.png")
    browser.problems.clear()


def test_where_a_key_is_needed_the_page_asks_for_it(browser):
    config = CONFIG + "api_key_env: PAGE_KEY\n"
    with daemon(config=config, environ={"PAGE_KEY": "a-key-of-enough-length-1234"}) as process:
        browser.open(process.url)
        browser.until("!document.querySelector('#keybox').hidden")
        browser.click("#key")
        browser.type("a-key-of-enough-length-1234")
        browser.press("Tab", 9)
        browser.until("document.querySelector('#state').innerText === 'ready'")
    browser.problems.clear()
