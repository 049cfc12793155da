"""GGUF headers: read within bounds, checked before native code sees the file."""

from the_edge_agent.gguf.header import GgufHeader, MetadataValue, SkippedValue, TensorInfo
from the_edge_agent.gguf.reader import load_value, parse_header_bytes, read_header

__all__ = [
    "GgufHeader",
    "MetadataValue",
    "SkippedValue",
    "TensorInfo",
    "load_value",
    "parse_header_bytes",
    "read_header",
]
