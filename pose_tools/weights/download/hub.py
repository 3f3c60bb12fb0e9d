"""Files of the Hugging Face hub: their addresses, the token, and the hash the hub knows.

The bytes come through our own transfer: huggingface_hub compares no SHA-256, and keeps a second copy of
each file in a cache elsewhere. Of that library we use the addresses, the token and the uploads.
"""
from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Optional

from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.entries import Source

if TYPE_CHECKING:
    import requests

HUB = "https://huggingface.co"
_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


def hub_address(source: Source) -> str:
    """Gives the address of a file on the hub, or on the one that ``HF_ENDPOINT`` names.

    Raises:
        SourceFailed: The source is not one that the hub could have.
    """
    from huggingface_hub import hf_hub_url

    endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    try:
        return hf_hub_url(source.address, source.path, revision=source.revision or None, endpoint=endpoint)
    except ValueError as error:
        raise SourceFailed(f"{source} cannot be on the hub: {error}") from error


def hub_token() -> Optional[str]:
    """Finds the token of the environment (``HF_TOKEN``) or of ``hf auth login``, if there is one that can be had."""
    from huggingface_hub import get_token

    try:
        return get_token()
    except Exception:  # signing in anew may end in any error; most files are public, and of others the hub will say so
        return None


def linked_sha256(response: requests.Response) -> Optional[str]:
    """Finds the SHA-256 the hub has on record for a large file, in what it said before it redirected."""
    for answer in (*response.history, response):
        found = _SHA256.fullmatch(answer.headers.get("X-Linked-Etag", ""))
        if found:
            return found[1]
    return None


def hub_advice(response: requests.Response, has_token: bool) -> str:
    """Says what to do after the hub's refusal, as a continuation of the reason; else nothing.

    Args:
        response: Its answer.
        has_token: Whether a token was sent.
    """
    code = response.headers.get("X-Error-Code", "")
    if code in ("EntryNotFound", "RevisionNotFound"):
        return f" ({code})"
    if response.status_code in (401, 403) or code in ("GatedRepo", "RepoNotFound"):
        return (": accept the licence on the model's page, with the account of the token" if has_token else
                ": if the model is private or gated, set HF_TOKEN or run 'hf auth login'")
    return ""
