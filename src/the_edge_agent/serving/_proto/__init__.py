"""``services.binpb``: the compiled ``proto/`` files, written by ``proto/generate.sh``."""
