#!/bin/sh
# Compiles the .proto files into the descriptors that serving/messages.py builds its classes from. Needs grpcio-tools.
set -eu
cd "$(dirname "$0")"
"${PYTHON:-../.venv/bin/python}" -m grpc_tools.protoc -I. --include_imports \
    --descriptor_set_out=../src/the_edge_agent/serving/_proto/services.binpb aios_runtime.proto edge_agent_inference.proto
