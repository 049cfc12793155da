"""The daemon's edges: HTTP (OpenAI, Ollama, its own), gRPC, metrics, the status page. Wire names live here and only here."""
