"""Asks llama.cpp's own header reader about many files: run as a process, since it ends the process where it asserts.

``python against_llama_cpp.py LIBRARY SEED COUNT FOLDER`` prints, a line each, the index of every mutated file that our
reader takes and llama.cpp's refuses.
"""

from __future__ import annotations

import ctypes
import random
import sys
from pathlib import Path

from tests.gguf.test_reader_fuzz import SEED_FILE, mutate

from the_edge_agent.errors import GgufInvalid
from the_edge_agent.gguf import read_header


class InitParams(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


def main() -> None:
    library = ctypes.CDLL(sys.argv[1])
    library.gguf_init_from_file.argtypes = [ctypes.c_char_p, InitParams]
    library.gguf_init_from_file.restype = ctypes.c_void_p
    library.gguf_free.argtypes = [ctypes.c_void_p]
    chance, path = random.Random(int(sys.argv[2])), Path(sys.argv[4]) / "mutated.gguf"
    taken = 0
    for index in range(int(sys.argv[3])):
        path.write_bytes(SEED_FILE if index == 0 else mutate(SEED_FILE, chance))
        try:
            read_header(path)
        except GgufInvalid:
            continue
        taken += 1
        context = library.gguf_init_from_file(str(path).encode(), InitParams(True, None))
        if not context:
            print("refused", index, flush=True)
            continue
        library.gguf_free(context)
    print("taken", taken, flush=True)


main()
