"""A Hugging Face hub on loopback: listings, linked headers, redirects to a content server that may fail on purpose.

::

    with FakeHub({"org/repo": {"m-Q8_0.gguf": data}}) as hub:
        options = PullOptions(endpoint=hub.endpoint)

``hub.content`` is the FaultyServer behind it: its ``faults`` and ``seen`` are there for the test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from the_edge_agent.testing.faulty_server import Answer, Faults, FaultyServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """``repos`` maps ``org/name`` to file names and their bytes."""

    def __init__(
        self,
        repos: Mapping[str, Mapping[str, bytes]],
        *,
        license_name: str = "apache-2.0",
        faults: Faults | None = None,
        linked: bool = True,
    ) -> None:
        blobs = {f"/blobs/{digest(data)}": data for files in repos.values() for data in files.values()}
        self.content = FaultyServer(blobs, faults=faults)
        self.front = FaultyServer({})
        self._license = license_name
        self._linked = linked
        for repo, files in repos.items():
            self.put(repo, files)

    def put(self, repo: str, files: Mapping[str, bytes]) -> None:
        """Publish these files as the repository's ``main``."""
        listing = {
            "sha": COMMIT,
            "siblings": [{"rfilename": name} for name in files],
            "cardData": {"license": self._license},
        }
        self.front.answers[f"/api/models/{repo}/revision/main"] = Answer(body=json.dumps(listing).encode())
        for name, data in files.items():
            sha256 = digest(data)
            self.content.files[f"/blobs/{sha256}"] = data
            headers = {"Location": self.content.url(f"/blobs/{sha256}")}
            if self._linked:
                headers |= {
                    "X-Linked-ETag": f'"{sha256}"',
                    "X-Linked-Size": str(len(data)),
                    "X-Repo-Commit": COMMIT,
                }
            self.front.answers[f"/{repo}/resolve/main/{name}"] = Answer(302, headers)

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT would be."""
        return self.front.url("")

    def __enter__(self) -> Self:
        self.content.__enter__()
        self.front.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.front.close()
        self.content.close()


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
