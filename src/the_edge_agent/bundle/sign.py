"""Signatures by minisign: small Ed25519 signatures that one small program checks.

The signature is of the file's BLAKE2b digest (minisign's prehashed form), so a file of gigabytes is no trouble. The secret
key is a file of minisign's own; without a password (``minisign -G -W``) it works unattended.
"""

from __future__ import annotations

from pathlib import Path

from the_edge_agent.bundle.workshop import call
from the_edge_agent.errors import BundleFailed, DigestMismatch

ENDING = ".minisig"


def sign_file(path: Path, secret_key: Path) -> Path:
    """Write ``PATH.minisig``. The same file and key give the same signature. Raises BundleFailed."""
    signature = path.with_name(path.name + ENDING)
    for file in (path, secret_key):
        if not file.is_file():
            raise BundleFailed("there is no such file", place=str(file), fix="check the path")
    comment = f"file:{path.name}"  # minisign's own would hold the time
    call(["minisign", "-S", "-s", secret_key, "-m", path, "-x", signature, "-t", comment])
    return signature


def check_signature(path: Path, public_key: str) -> None:
    """Check ``PATH.minisig`` by a public key (its text, or a file with it). Raises DigestMismatch, BundleFailed."""
    signature = path.with_name(path.name + ENDING)
    if not signature.is_file():
        raise BundleFailed(
            "there is no signature", place=str(signature), fix="fetch it from where the artifact is"
        )
    key = ("-p", public_key) if Path(public_key).is_file() else ("-P", public_key)
    try:
        call(["minisign", "-V", "-q", *key, "-m", path, "-x", signature])
    except BundleFailed as error:
        if "is not installed" in error.what:
            raise
        raise DigestMismatch(
            "the signature isn't of this file by this key",
            place=str(path),
            fix="fetch the file again; don't run it",
        ) from error
