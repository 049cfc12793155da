"""Self-contained distributions: one file or folder with an agent, its model, Python and llama.cpp.

``plan`` decides what goes in (pure), ``lock`` writes down what went in, ``tree`` puts the folder together, ``appimage``
makes one file of it. Around them: checksums, an SBOM, a chunk manifest, signatures, and parts for hosts with a limit.
"""
