"""How much of a header is believed at most. Far above any real model, far below what could hurt the reader."""

from __future__ import annotations

#: The metadata and tensor table together. The largest known (two tokenizers inside) is about 40 MB.
HEADER_BYTES = 128 * 1024 * 1024
KEYS = 16_384
TENSORS = 65_536
#: llama.cpp's own limit is 2^16 - 1 for a key; tensor names end below 64 bytes there.
KEY_BYTES = 65_535
TENSOR_NAME_BYTES = 63
DIMENSIONS = 4
#: A string or an array longer than this isn't kept, only its place is.
KEPT_STRING_BYTES = 1024 * 1024
KEPT_ARRAY_ELEMENTS = 1024
#: All that is kept of one header's values; what comes after it is skipped over.
KEPT_BYTES = 8 * 1024 * 1024
