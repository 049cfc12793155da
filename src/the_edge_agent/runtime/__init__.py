"""The daemon's inside: models as worker processes, who gets them and when. Knows nothing of HTTP or gRPC."""
