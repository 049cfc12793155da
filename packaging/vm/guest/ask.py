"""Ask the daemon one question over gRPC, as a client that knows nothing but the address: messages come from reflection.

    ask.py "What is 2+2?" [ADDRESS]

Waits up to five minutes until the daemon has passed its boot check.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "aios.runtime.AIRuntime"
PATIENCE_S = 300.0


def main() -> int:
    """Run the command line. Returns the exit code."""
    question = sys.argv[1]
    address = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:50051"
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(PATIENCE_S)
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        give_up_s = time.monotonic() + PATIENCE_S
        while not (health := call(channel, pool, "HealthCheck")).healthy:
            if time.monotonic() > give_up_s:
                print(f"TEA not healthy: {health.message}")
                return 1
            time.sleep(0.2)
        print(f"TEA healthy: {health.message}")
        answer = call(
            channel, pool, "Infer", prompt=question, intelligence_level="operational", max_tokens=50
        )
        print(f"TEA answer: {answer.text} [{answer.model_used}]", flush=True)
    return 0


def call(channel: grpc.Channel, pool: DescriptorPool, name: str, **values: Any) -> Any:
    """One unary call, by the names that the server itself gives."""
    method = pool.FindServiceByName(SERVICE).methods_by_name[name]
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    remote = channel.unary_unary(
        f"/{SERVICE}/{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    return remote(request(**values), timeout=PATIENCE_S, wait_for_ready=True)


if __name__ == "__main__":
    sys.exit(main())
