"""Spans of answers: sent to a real collector's socket, in the conventions' words, with no text of anybody in them."""

import asyncio
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.house import fake, serving

from the_edge_agent.errors import ConfigInvalid
from the_edge_agent.runtime import telemetry
from the_edge_agent.runtime.config import TelemetryConfig, WorkersConfig, parse_config
from the_edge_agent.runtime.span import Parent, parse_traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


class Collector:
    """Listens as an OpenTelemetry collector does; ``answers`` are the status codes it gives, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers) or [200]
        self.spans, self.headers, self.resources, self.turned_away = [], [], [], 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            await self._hear(reader, writer)

    async def _hear(self, reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = json.loads(await reader.readexactly(int(fields["content-length"])))
            code = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if code == 200:
                assert lines[0] == "POST /v1/traces HTTP/1.1"
                self.headers.append(fields)
                for resource in body["resourceSpans"]:
                    self.resources.append(plain(resource["resource"]["attributes"]))
                    self.spans += resource["scopeSpans"][0]["spans"]
            else:
                self.turned_away += 1
            writer.write(b"HTTP/1.1 %d x\r\ncontent-length: 2\r\n\r\n{}" % code)
            await writer.drain()

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - nobody can set an event for us
                await asyncio.sleep(0.01)


def plain(attributes):
    def value(tree):
        ((kind, inner),) = tree.items()
        return {"intValue": int, "arrayValue": lambda a: [value(v) for v in a["values"]]}.get(
            kind, lambda v: v
        )(inner)

    return {entry["key"]: value(entry["value"]) for entry in attributes}


def watched(collector, **fields):
    return {"telemetry": TelemetryConfig(otlp_endpoint=collector.url, **fields)}


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    init = telemetry.Telemetry.__init__

    def at_once(self, endpoint, **fields):
        init(self, endpoint, **{**fields, "interval_s": 0.05})

    monkeypatch.setattr(telemetry.Telemetry, "__init__", at_once)


async def test_an_answer_is_a_span_with_its_figures_and_none_of_its_text(tmp_path):
    async with Collector() as collector, serving(tmp_path, fake(), **watched(collector)) as house:
        header = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        body = {"messages": [{"role": "user", "content": "my secret"}], "max_tokens": 20, "seed": 7}
        await house.client.post("/v1/chat/completions", json=body, headers=header)
        await collector.until(lambda: collector.spans)
        (span,) = collector.spans
        told = plain(span["attributes"])
        assert (span["traceId"], span["parentSpanId"], span["name"]) == (TRACE, SPAN, "chat fake")
        assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) > 1.6e18
        assert told["gen_ai.operation.name"] == "chat"
        assert told["gen_ai.request.model"] == "auto"
        assert told["gen_ai.response.model"] == "fake"
        assert (told["gen_ai.request.max_tokens"], told["gen_ai.request.seed"]) == (20, 7)
        assert told["gen_ai.response.finish_reasons"] == ["stop"]
        assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (9, 19)
        assert told["tea.time_to_first_text_s"] > 0
        assert collector.resources[0]["service.name"] == "the-edge-agent"
        assert "secret" not in json.dumps(collector.spans)


async def test_failures_and_readers_who_leave_are_spans_too(tmp_path):
    workers = WorkersConfig(crash_limit=1)
    dying = fake("dying", "tactical", exit_after_tokens=3)
    slow = fake("slow", "tactical", text="x" * 1000, token_s=0.01)
    async with (
        Collector() as collector,
        serving(tmp_path, fake(), dying, slow, workers=workers, **watched(collector)) as house,
    ):
        assert (await house.chat("Hello", model="dying")).status_code == 503
        leaving = asyncio.create_task(house.chat("Hello", model="slow"))
        await collector.until(lambda: house.daemon.manager.status("slow").tokens > 2)
        leaving.cancel()
        await collector.until(lambda: len(collector.spans) == 2)
        failures = {span["name"]: plain(span["attributes"])["error.type"] for span in collector.spans}
        assert failures == {"chat dying": "BackendUnavailable", "chat slow": "cancelled"}
        assert all(span["status"]["code"] == 2 for span in collector.spans)


async def test_an_answer_that_climbed_is_the_span_of_who_gave_it(tmp_path):
    models = fake("small", text="I can't"), fake("large", "tactical", text="It is so")
    async with Collector() as collector, serving(tmp_path, *models, **watched(collector)) as house:
        await house.chat("Hi", model="operational", escalate=True)
        await collector.until(lambda: collector.spans)
        assert collector.spans[0]["name"] == "chat large"


async def test_a_collector_that_is_away_or_busy_loses_no_answer_and_gets_its_spans_later(tmp_path):
    async with Collector(503, 200) as collector, serving(tmp_path, fake(), **watched(collector)) as house:
        for _ in range(3):
            assert (await house.chat("Hi")).status_code == 200
        await collector.until(lambda: len(collector.spans) == 3)
        assert collector.turned_away == 1


async def test_nobody_at_the_other_end_costs_nothing(tmp_path):
    config = {"telemetry": TelemetryConfig(otlp_endpoint="http://127.0.0.1:9")}
    async with serving(tmp_path, fake(), **config) as house:
        assert (await house.chat("Hi")).status_code == 200


async def test_headers_come_from_the_environment_and_what_is_left_is_sent_at_the_end(tmp_path):
    environ = {"OTLP_HEADERS": "authorization=Bearer abc,x-tenant=7"}
    async with Collector() as collector:
        config = watched(collector, headers_env="OTLP_HEADERS", service_name="mine")
        async with serving(tmp_path, fake(), environ=environ, **config) as house:
            await house.chat("Hi")
        assert len(collector.spans) == 1
        assert (collector.headers[0]["authorization"], collector.headers[0]["x-tenant"]) == (
            "bearer abc",
            "7",
        )
        assert collector.resources[0]["service.name"] == "mine"


def test_an_endpoint_that_is_no_address_is_a_mistake_of_the_file():
    with pytest.raises(ConfigInvalid, match=r"telemetry\.otlp_endpoint"):
        parse_config("telemetry: {otlp_endpoint: 'localhost:4318'}")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
    ],
)
def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(header):
    assert parse_traceparent(header) == Parent()


@given(st.text(max_size=80))
def test_any_header_is_read_without_failing(header):
    parent = parse_traceparent(header)
    assert parent == Parent() or len(parent.trace_id) == 32
