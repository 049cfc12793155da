"""Edges that answer a ChatRequest; imported one by one, so that a missing extra hurts nobody else."""
