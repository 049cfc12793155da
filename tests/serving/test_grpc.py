"""gRPC as a client meets it that knows nothing but the address: everything from reflection."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

AIOS, EDGE = "aios.runtime.AIRuntime", "edge_agent.inference.v1.InferenceService"


@contextmanager
def serving(tmp_path, models=None, **orders):
    """The address of a process that serves these fake models."""
    given = {"home": str(tmp_path), "models": models or {"fake": {}}, **orders}
    script = Path(__file__).with_name("serve_fake.py")
    process = subprocess.Popen(
        [sys.executable, str(script), json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()
            process.wait(20)


class Reflected:
    """A client built from reflection: ``call(service, method, **fields)``."""

    def __init__(self, address, metadata=()):
        self.channel = grpc.insecure_channel(address)
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.services = set(database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        self._described = {name: pool.FindServiceByName(name) for name in (AIOS, EDGE)}
        self._metadata = metadata

    def begin(self, service, method, streams=False, **fields):
        described = self._described[service].FindMethodByName(method)
        request = message_factory.GetMessageClass(described.input_type)
        response = message_factory.GetMessageClass(described.output_type)
        make = self.channel.unary_stream if streams else self.channel.unary_unary
        stub = make(f"/{service}/{method}", request.SerializeToString, response.FromString)
        begin = stub if streams else stub.future
        return begin(request(**fields), metadata=self._metadata, timeout=20)

    def call(self, service, method, **fields):
        return self.begin(service, method, **fields).result()

    def stream(self, service, method, **fields):
        return list(self.begin(service, method, streams=True, **fields))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()


def until(condition):
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_client_built_from_reflection_infers_streams_lists_loads_and_checks(tmp_path):
    with (
        serving(tmp_path, {"fake": {}, "other": {"level": "tactical"}}) as address,
        Reflected(address) as client,
    ):
        assert {AIOS, EDGE, "grpc.health.v1.Health"} <= client.services
        asked = {"prompt": "What is 2+2?", "max_tokens": 50, "intelligence_level": "operational"}
        answer = client.call(AIOS, "Infer", **asked)
        assert answer.text == "You said: What is 2+2?"
        assert answer.model_used == "fake"
        assert answer.tokens_used == 34
        assert answer.finish_reason == "stop"
        assert "operational" in answer.route_reason
        chunks = client.stream(AIOS, "StreamInfer", prompt="Hi", system_prompt="s")
        assert "".join(chunk.text for chunk in chunks) == "You said: Hi"
        assert [chunk.done for chunk in chunks[-2:]] == [False, True]
        assert [m.model_name for m in (client.call(AIOS, "ListModels")).models] == ["fake", "other"]
        loaded = client.call(AIOS, "LoadModel", model_name="other")
        assert (loaded.status, loaded.port) == ("ready", 0)
        assert loaded.loaded_at > 0
        assert (client.call(AIOS, "UnloadModel", model_name="other")).success
        health = client.call(AIOS, "HealthCheck")
        assert (health.healthy, health.details["fake"]) == (True, "ready")


def test_the_inference_service_completes_streams_and_reports(tmp_path):
    with serving(tmp_path) as address, Reflected(address) as client:
        messages = [{"role": "user", "content": "Hi"}]
        whole = client.call(EDGE, "Complete", messages=messages, system_prompt="s")
        assert (whole.content, whole.stop_reason) == ("You said: Hi", "end_turn")
        assert whole.usage.completion_tokens == 12
        assert (client.call(EDGE, "Complete", messages=messages, max_tokens=3)).stop_reason == "max_tokens"
        chunks = client.stream(EDGE, "StreamComplete", messages=messages)
        assert "".join(chunk.content for chunk in chunks) == "You said: Hi"
        assert chunks[-1].usage.completion_tokens == 12
        status = client.call(EDGE, "GetStatus")
        assert status.ready
        assert status.models[0].name == "fake"


def test_errors_have_the_tables_codes_and_figures(tmp_path):
    with serving(tmp_path, {"fake": {"n_ctx": 5}}) as address, Reflected(address) as client:
        for method, fields, code in (
            ("Infer", {"prompt": "far too long"}, "INVALID_ARGUMENT"),
            ("Infer", {"prompt": "x", "model": "tyni"}, "NOT_FOUND"),
            ("Infer", {"prompt": "x", "intelligence_level": "cosmic"}, "INVALID_ARGUMENT"),
            ("Infer", {"prompt": "x", "json_schema": "{"}, "INVALID_ARGUMENT"),
            ("Infer", {"prompt": "x", "temperature": float("nan")}, "INVALID_ARGUMENT"),
            ("Infer", {"prompt": "x", "deadline_s": -1}, "INVALID_ARGUMENT"),
            ("LoadModel", {"model_name": "m", "model_path": "/etc/passwd"}, "PERMISSION_DENIED"),
            ("LoadModel", {"model_name": "../m"}, "NOT_FOUND"),
            ("LoadModel", {"model_name": "fake", "port": 7}, "INVALID_ARGUMENT"),
            ("UnloadModel", {"model_name": "none"}, "NOT_FOUND"),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                client.call(AIOS, method, **fields)
            assert caught.value.code().name == code, (method, fields)
        with pytest.raises(grpc.RpcError) as caught:
            client.stream(AIOS, "StreamInfer", prompt="far too long")
        assert ("tea-n_ctx", "5") in tuple(caught.value.trailing_metadata())


def test_a_full_queue_is_resource_exhausted_and_a_cancelled_call_frees_its_slot(tmp_path):
    slow = {"fake": {"slots": 1, "text": "x" * 20_000, "token_s": 0.01}}
    with serving(tmp_path, slow, limits={"queue_size": 1}) as address, Reflected(address) as client:
        calls = [client.begin(AIOS, "Infer", prompt="x") for _ in range(2)]
        until(lambda: client.call(EDGE, "GetStatus").queue_length == 1)
        with pytest.raises(grpc.RpcError) as caught:
            client.call(AIOS, "Infer", prompt="x")
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "retry-after" in dict(caught.value.trailing_metadata())
        for call in calls:
            call.cancel()
        until(lambda: client.call(EDGE, "GetStatus").queue_length == 0)
        until(lambda: client.call(EDGE, "GetStatus").models[0].active == 0)


def test_keys_hold_over_grpc_and_shutdown_needs_one(tmp_path):
    with serving(tmp_path, keys=["right-key"]) as address:
        with Reflected(address) as client:
            with pytest.raises(grpc.RpcError) as caught:
                client.call(AIOS, "Infer", prompt="x")
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.RpcError) as caught:
                client.stream(AIOS, "StreamInfer", prompt="x")
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        with Reflected(address, metadata=(("authorization", "Bearer right-key"),)) as client:
            assert (client.call(AIOS, "Infer", prompt="x")).text == "You said: x"
            assert (client.call(EDGE, "Shutdown", graceful=True)).accepted
    with serving(tmp_path) as address, Reflected(address) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.call(EDGE, "Shutdown")
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_the_standard_health_service_answers(tmp_path):
    with serving(tmp_path) as address, grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=AIOS))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_the_standard_health_service_says_when_the_boot_check_has_passed(tmp_path):
    passed = tmp_path / "passed"
    with serving(tmp_path, ready_file=str(passed)) as address, grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        heard = stub.Watch(health_pb2.HealthCheckRequest(service=AIOS), timeout=30)
        assert next(heard).status == health_pb2.HealthCheckResponse.NOT_SERVING
        passed.touch()
        assert next(heard).status == health_pb2.HealthCheckResponse.SERVING
        heard.cancel()


@pytest.mark.parametrize(
    ("service", "method", "streams"), [(AIOS, "Infer", False), (EDGE, "StreamComplete", True)]
)
def test_bytes_that_are_no_message_are_the_callers_mistake(tmp_path, service, method, streams):
    with serving(tmp_path) as address, grpc.insecure_channel(address) as channel:
        make = channel.unary_stream if streams else channel.unary_unary
        with pytest.raises(grpc.RpcError) as caught:
            list(make(f"/{service}/{method}")(b"\xff" * 10, timeout=20))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "these bytes are no" in caught.value.details()
