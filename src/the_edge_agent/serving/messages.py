"""gRPC's message classes, made from the compiled ``proto/`` files at import.

Descriptors rather than generated code: they work with every protobuf release, where generated code demands a runtime at
least as new as its compiler. ``aios`` and ``edge`` are namespaces of classes by message name.
"""

from __future__ import annotations

from importlib import resources
from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def _load_namespaces() -> dict[str, Any]:
    raw = resources.files("the_edge_agent.serving._proto").joinpath("services.binpb").read_bytes()
    pool = descriptor_pool.Default()  # the one that reflection answers from
    namespaces: dict[str, Any] = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(raw).file:
        described: Any = pool.Add(file) or pool.FindFileByName(file.name)
        classes = {
            name: message_factory.GetMessageClass(message)
            for name, message in described.message_types_by_name.items()
        }
        namespaces[file.package] = SimpleNamespace(**classes)
    return namespaces


_NAMESPACES = _load_namespaces()
aios: Any = _NAMESPACES["aios.runtime"]
edge: Any = _NAMESPACES["edge_agent.inference.v1"]
