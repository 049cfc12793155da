"""The HTTP edge as a client meets it: real sockets, real workers, fake model."""

import asyncio
import json
import resource
import socket

import httpx
import pytest
from tests.serving.house import fake, serving

from the_edge_agent.runtime.config import LimitsConfig, WorkersConfig
from the_edge_agent.serving import routes_openai
from the_edge_agent.serving.access import Access
from the_edge_agent.serving.listeners import bind_tcp
from the_edge_agent.serving.server import _allow_descriptors

ENDLESS = {"text": "x" * 20_000, "token_s": 0.01}
BAD_REQUESTS = [
    ({"model": "tyni"}, 404, "model_not_found"),
    ({"model": "../../etc/passwd"}, 404, "model_not_found"),
    ({"messages": []}, 400, "invalid_parameter"),
    ({"messages": "Hi"}, 400, "invalid_parameter"),
    ({"messages": [{"role": "root", "content": "x"}]}, 400, "invalid_parameter"),
    ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, 400, "unsupported"),
    ({"messages": [{"role": "user", "content": [7]}]}, 400, "invalid_parameter"),
    ({"temperature": -1}, 400, "invalid_parameter"),
    ({"temperature": "hot"}, 400, "invalid_parameter"),
    ({"max_tokens": 0}, 400, "invalid_parameter"),
    ({"n": 2}, 400, "unsupported"),
    ({"logit_bias": {"1": 2}}, 400, "unsupported"),
    ({"response_format": {"type": "json_schema"}}, 400, "invalid_parameter"),
    ({"level": "cosmic"}, 400, "invalid_parameter"),
    ({"level": "strategic", "privacy": "may-leave", "model": "api"}, 404, "model_not_found"),
    ({"tool_choice": {"type": "function", "function": {"name": "x"}}}, 400, "invalid_parameter"),
    (
        {"tools": [{"type": "function", "function": {"name": "t", "parameters": {"enum": ["x" * 300_000]}}}]},
        400,
        "invalid_parameter",
    ),
]


def events_of(text):
    return [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody can set an event for us
            await asyncio.sleep(0.005)


def is_idle(house, name="fake"):
    return house.daemon.manager.queue_length == 0 and house.daemon.manager.status(name).active == 0


async def raw(house, data):
    """What the server says to these bytes, until it closes."""
    host, port = house.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_a_whole_answer_has_usage_route_and_finish_reason(tmp_path):
    async with serving(tmp_path, fake()) as house:
        body = (await house.chat("Hello")).json()
        assert body["choices"][0]["message"] == {
            "role": "assistant",
            "content": "You said: Hello",
            "refusal": None,
        }
        assert body["choices"][0]["finish_reason"] == "stop"
        assert body["usage"]["completion_tokens"] == 15
        assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
        assert body["route_reason"].startswith("auto:")
        assert (await house.chat("Hello", max_tokens=3)).json()["choices"][0]["finish_reason"] == "length"


async def test_a_stream_ends_with_usage_and_done(tmp_path):
    async with serving(tmp_path, fake()) as house:
        response = await house.chat("Hello", stream=True, stream_options={"include_usage": True})
        assert response.headers["content-type"].startswith("text/event-stream")
        *chunks, done = events_of(response.text)
        assert done == "[DONE]"
        trees = [json.loads(chunk) for chunk in chunks]
        assert trees[-1]["usage"]["completion_tokens"] == 15
        assert trees[-1]["choices"] == []
        assert "".join(t["choices"][0]["delta"].get("content", "") for t in trees[:-1]) == "You said: Hello"
        assert len({t["id"] for t in trees}) == 1


async def test_a_bad_request_is_refused_by_field_before_anything_streams(tmp_path):
    async with serving(tmp_path, fake()) as house:
        for stream in (False, True):
            for fields, status, code in BAD_REQUESTS:
                body = {"messages": [{"role": "user", "content": "Hi"}], "stream": stream, **fields}
                response = await house.client.post("/v1/chat/completions", json=body)
                assert (response.status_code, response.json()["error"]["code"]) == (status, code), fields
        assert house.daemon.manager.status("fake").requests == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_does_not_fit_is_400_with_both_numbers(tmp_path, stream):
    async with serving(tmp_path, fake(n_ctx=10)) as house:
        response = await house.chat("x" * 20, stream=stream)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
        assert (error["needed"], error["n_ctx"]) == (20, 10)
        assert "20" in error["message"]
        assert "10" in error["message"]


async def test_an_error_in_mid_stream_is_one_error_event_and_never_a_done(tmp_path):
    workers = WorkersConfig(crash_limit=1)
    async with serving(tmp_path, fake(exit_after_tokens=3), workers=workers) as house:
        response = await house.chat("Hello", stream=True)
        *_, last = events_of(response.text)
        assert "[DONE]" not in response.text
        assert json.loads(last)["error"]["code"] == "unavailable"


async def test_while_a_model_loads_a_stream_is_kept_alive_by_comments(tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(routes_openai, "SSE", replace(routes_openai.SSE, ping_s=0.1))
    async with serving(tmp_path, fake(), fake("slow", "tactical", load_s=0.8)) as house:
        response = await house.chat("Hello", model="slow", stream=True)
        assert response.text.startswith(": ping\n\n")
        assert events_of(response.text)[-1] == "[DONE]"


async def test_past_its_bound_the_queue_answers_429_with_retry_after(tmp_path):
    async with serving(tmp_path, fake(slots=1, **ENDLESS), limits=LimitsConfig(queue_size=1)) as house:
        waiting = [asyncio.create_task(house.chat("Hi")) for _ in range(2)]
        await until(lambda: house.daemon.manager.queue_length == 1)
        response = await house.chat("Hi")
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["error"]["type"] == "rate_limit_error"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await until(lambda: is_idle(house))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_its_slot(tmp_path, stream):
    async with serving(tmp_path, fake(slots=1, **ENDLESS)) as house:
        tasks = [asyncio.create_task(house.chat("Hi", stream=stream)) for _ in range(2)]
        await until(
            lambda: house.daemon.manager.queue_length == 1 and house.daemon.manager.status("fake").active == 1
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: is_idle(house))


async def test_a_deadline_is_504(tmp_path):
    async with serving(tmp_path, fake(**ENDLESS)) as house:
        response = await house.chat("Hi", deadline_s=0.2)
        assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")
        await until(lambda: is_idle(house))


async def test_a_foreign_host_and_a_foreign_origin_are_403_on_every_path(tmp_path):
    async with serving(tmp_path, fake()) as house:
        for path in ("/", "/health", "/metrics", "/v1/models", "/api/tags", "/edge/v1/status"):
            for headers in ({"host": "evil.com"}, {"origin": "http://evil.com"}, {"origin": "null"}):
                response = await house.client.get(path, headers=headers)
                assert response.status_code == 403, (path, headers)
                assert "access-control-allow-origin" not in response.headers


async def test_a_configured_origin_is_named_and_never_a_star(tmp_path):
    access = Access(origins=frozenset({"https://app.example"}))
    async with serving(tmp_path, fake(), access=access) as house:
        for method in ("OPTIONS", "GET"):
            response = await house.client.request(
                method, "/v1/models", headers={"origin": "https://app.example"}
            )
            assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-origin" not in (await house.client.options("/v1/models")).headers


async def test_keys_hold_on_every_path_but_the_probe_and_the_page(tmp_path):
    async with serving(tmp_path, fake(), access=Access(keys=("right-key",))) as house:
        for path in ("/metrics", "/v1/models", "/api/tags", "/edge/v1/status"):
            assert (await house.client.get(path)).status_code == 401
            wrong = {"authorization": "Bearer wrong-key"}
            assert (await house.client.get(path, headers=wrong)).status_code == 401
            assert (
                await house.client.get(path, headers={"authorization": "Bearer right-key"})
            ).status_code == 200
        for path in ("/", "/health"):
            assert (await house.client.get(path)).status_code == 200


async def test_a_body_that_is_too_large_too_deep_or_no_json_is_refused(tmp_path):
    limits = LimitsConfig(body_bytes=10_000, json_depth=10)
    async with serving(tmp_path, fake(), limits=limits) as house:
        deep = '{"a":' * 11 + "1" + "}" * 11
        for body, status in (
            ("x" * 20_000, 413),
            (deep, 400),
            ("[" * 9_000, 400),
            ("{", 400),
            ("[]", 400),
            ("\xff", 400),
        ):
            response = await house.client.post("/v1/chat/completions", content=body.encode("latin-1"))
            assert response.status_code == status, body[:20]

        async def endless():
            while True:
                yield b"x" * 1000

        try:
            status = (await house.client.post("/v1/chat/completions", content=endless())).status_code
        except httpx.TransportError:
            status = "cut off"  # while it was still sending
        assert status in (413, "cut off")


async def test_a_client_that_sends_its_request_too_slowly_is_cut_off(tmp_path):
    async with serving(tmp_path, fake(), limits=LimitsConfig(header_timeout_s=0.3)) as house:
        assert await raw(house, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ") == b""
        assert await raw(house, b"") == b""
        slow_body = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"
        assert b"504" in (await raw(house, slow_body)).partition(b"\r\n")[0]


async def test_headers_without_end_are_refused(tmp_path):
    async with serving(tmp_path, fake()) as house:
        said = await raw(house, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 100_000)
        assert said.startswith(b"HTTP/1.1 4")


async def test_an_unknown_path_is_404_and_a_wrong_method_405(tmp_path):
    async with serving(tmp_path, fake()) as house:
        assert (await house.client.get("/v1/nothing")).status_code == 404
        assert (await house.client.get("/v1/chat/completions")).status_code == 405
        assert (await house.client.head("/health")).status_code == 200


async def test_models_lists_the_operational_one_first(tmp_path):
    async with serving(tmp_path, fake("big", "tactical"), fake("small")) as house:
        assert [model["id"] for model in (await house.client.get("/v1/models")).json()["data"]] == [
            "small",
            "big",
        ]
        assert (await house.client.get("/v1/models/big")).json()["state"] == "unloaded"
        assert (await house.client.get("/v1/models/none")).status_code == 404


async def test_health_is_503_until_the_boot_check_has_passed(tmp_path):
    async with serving(tmp_path, fake()) as house:
        house.daemon.ready = False
        assert (await house.client.get("/health")).status_code == 503
        house.daemon.ready = True
        assert (await house.client.get("/health")).json()["status"] == "ok"


async def test_metrics_are_prometheus_text(tmp_path):
    async with serving(tmp_path, fake()) as house:
        await house.chat("Hello")
        lines = (await house.client.get("/metrics")).text.splitlines()
        assert 'tea_model_requests_total{model="fake"} 1' in lines
        assert 'tea_model_phase{model="fake",phase="ready"} 1' in lines
        assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in lines)


async def test_load_and_unload_change_the_phase_and_stop_needs_the_socket_or_a_key(tmp_path):
    async with serving(tmp_path, fake(), fake("other", "tactical")) as house:
        post = house.client.post
        assert (await post("/edge/v1/load", json={"model": "other"})).json()["phase"] == "ready"
        assert (await post("/edge/v1/unload", json={"model": "other"})).json()["phase"] == "unloaded"
        assert "opens other" in " ".join((await house.client.get("/edge/v1/logs/other")).json()["lines"])
        assert (await post("/edge/v1/load", json={"model": "none"})).status_code == 404
        assert (await post("/edge/v1/stop", json={})).status_code == 403


async def test_the_page_stands_alone_and_forbids_what_it_does_not_need(tmp_path):
    async with serving(tmp_path, fake()) as house:
        response = await house.client.get("/")
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "http://" not in response.text
        assert "https://" not in response.text


async def test_completions_and_responses_answer_and_stream(tmp_path):
    async with serving(tmp_path, fake()) as house:
        post = house.client.post
        assert (await post("/v1/completions", json={"prompt": "Hi"})).json()["choices"][0][
            "text"
        ] == "You said: Hi"
        streamed = await post("/v1/completions", json={"prompt": "Hi", "stream": True})
        assert (
            "".join(json.loads(e)["choices"][0]["text"] for e in events_of(streamed.text)[:-1])
            == "You said: Hi"
        )
        whole = (await post("/v1/responses", json={"input": "Hi", "instructions": "Be kind."})).json()
        assert whole["output"][0]["content"][0]["text"] == "You said: Hi"
        assert whole["status"] == "completed"
        refused = await post("/v1/responses", json={"input": "Hi", "previous_response_id": "r"})
        assert refused.json()["error"]["code"] == "unsupported"


async def test_escalation_over_http_climbs_and_says_so(tmp_path):
    async with serving(tmp_path, fake(text="I can't."), fake("mid", "tactical", text="Paris")) as house:
        body = (await house.chat("Capital?", escalate=True, must_contain="Paris")).json()
        assert body["choices"][0]["message"]["content"] == "Paris"
        assert "mid" in body["model"]
        assert body["notices"] == ["fake answered, but it lacks 'Paris'; tactical is asked"]


async def test_our_own_chunks_carry_ids_and_a_stream_can_be_taken_up_by_them(tmp_path):
    async with serving(tmp_path, fake()) as house:
        request = {"messages": [{"role": "user", "content": "Hi"}]}
        response = await house.client.post("/edge/v1/chat", json={"request": request})
        chunks = [json.loads(line) for line in response.text.splitlines() if line]
        ids = [token for chunk in chunks for token in chunk.get("token_ids", [])]
        again = await house.client.post(
            "/edge/v1/chat", json={"request": {**request, "resume_token_ids": ids[:4]}}
        )
        text = "".join(json.loads(line).get("text", "") for line in again.text.splitlines() if line)
        assert text == "You said: Hi"[4:]
        bad = await house.client.post("/edge/v1/chat", json={"request": {**request, "exec": "rm"}})
        assert bad.status_code == 400


async def test_a_flood_of_requests_of_which_many_leave_ends_with_every_slot_free(tmp_path):
    async with serving(tmp_path, fake(token_s=0.001, slots=4), fake("b", "tactical", token_s=0.001)) as house:

        async def one(number):
            try:
                async with asyncio.timeout(0.05 if number % 3 == 0 else 30):
                    response = await house.chat(
                        str(number), stream=number % 2 == 0, model="fake" if number % 5 else "b"
                    )
            except (TimeoutError, httpx.HTTPError):
                return True
            return f"You said: {number}" in response.text or response.text.endswith("data: [DONE]\n\n")

        assert all(await asyncio.gather(*(one(number) for number in range(60))))
        await until(lambda: is_idle(house) and is_idle(house, "b"))


async def test_accepted_connections_send_at_once():
    """Nagle's algorithm would hold a stream's first event back until the reader's delayed acknowledgement."""
    delays = asyncio.get_running_loop().create_future()

    class Greeter(asyncio.Protocol):
        def connection_made(self, transport):
            taken = transport.get_extra_info("socket")
            delays.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0)
            transport.close()

    listening = bind_tcp("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(Greeter, sock=listening)
    async with server:
        _, writer = await asyncio.open_connection(*listening.getsockname())
        assert not await delays
        writer.close()


async def test_what_is_cut_off_at_the_daemons_end_is_told_and_leaves_no_traceback(tmp_path, caplog):
    async with serving(tmp_path, fake("slow", "tactical", load_s=60)) as house:
        loading = asyncio.create_task(house.client.post("/edge/v1/load", json={"model": "slow"}))
        async with asyncio.timeout(10):
            while house.daemon.manager.status("slow").phase != "loading":  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
    response = await loading
    assert response.status_code == 503
    assert "the daemon is stopping" in response.text
    assert not [record for record in caplog.records if record.exc_info]


def test_a_daemon_takes_more_descriptors_than_the_usual_limit_gives():
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        _allow_descriptors(900)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (900, hard)
        _allow_descriptors(600)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (900, hard), "never fewer"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
