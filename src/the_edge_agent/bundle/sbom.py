"""A software bill of materials in CycloneDX 1.5: every package, library and model of a bundle, with its digest.

Made from the lock alone, without a clock or a random number, so that equal bundles have equal bills.
"""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

from the_edge_agent.bundle.lock import BundleLock
from the_edge_agent.bundle.variants import ARCHITECTURES

_NAMESPACE = uuid.UUID("5e1d7b3e-64c0-5f4e-9c7f-0b7a54c1e3a9")


def build_sbom(lock: BundleLock, artifact_sha256: str) -> str:
    """The bill's text."""
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, artifact_sha256)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": lock.name,
                "name": lock.name,
                "version": lock.version,
                "hashes": [_hash(artifact_sha256)],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [*_debs(lock), *_wheels(lock), *_llama(lock), *_model(lock), *_agents(lock)],
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _debs(lock: BundleLock) -> list[dict[str, Any]]:
    arch = ARCHITECTURES[lock.arch].debian
    return [
        _component(
            "library",
            deb.name,
            deb.version,
            f"pkg:deb/debian/{quote(deb.name)}@{quote(deb.version, safe='')}?arch={arch}",
            deb.sha256,
        )
        for deb in lock.debs
    ]


def _wheels(lock: BundleLock) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for file, sha256 in lock.wheels:
        name, version = file.split("-")[:2]
        name = name.replace("_", "-").lower()
        found.append(_component("library", name, version, f"pkg:pypi/{quote(name)}@{quote(version)}", sha256))
    return found


def _llama(lock: BundleLock) -> list[dict[str, Any]]:
    version = lock.llama.get("bindings_version", "")
    purl = f"pkg:pypi/llama-cpp-python@{quote(version)}"
    return [_component("library", "llama-cpp-python", version, purl, lock.llama.get("source_sha256", ""))]


def _model(lock: BundleLock) -> list[dict[str, Any]]:
    if lock.model is None:
        return []
    entries: list[dict[str, Any]] = []
    for file in lock.model.files:
        entry = _component("machine-learning-model", file.name, lock.model.name, "", file.sha256)
        if lock.model.license:
            entry["licenses"] = [{"license": {"name": lock.model.license}}]
        entries.append(entry)
    return entries


def _agents(lock: BundleLock) -> list[dict[str, Any]]:
    return [_component("file", agent.path, lock.version, "", agent.sha256) for agent in lock.agents]


def _component(kind: str, name: str, version: str, purl: str, sha256: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": kind,
        "bom-ref": purl or f"{kind}:{name}",
        "name": name,
        "version": version,
    }
    if purl:
        entry["purl"] = purl
    if sha256:
        entry["hashes"] = [_hash(sha256)]
    return entry


def _hash(sha256: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256}
