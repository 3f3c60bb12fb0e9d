"""What git's own words mean, in one clause."""
from __future__ import annotations

import re

from pose_tools.weights.download.jobs import without_password
from pose_tools.weights.entries import Source

# Looked for in this order; {revision} and {address} are the source's.
_REASONS = (
    (r"dubious ownership", "the repository belongs to another user here; if you trust it: "
                           "git config --global --add safe.directory {address}"),
    (r"SSL certificate|certificate verif|local issuer|no alternative cert|UNTRUSTED_ROOT",
     "the server's certificate is not valid"),
    (r"find remote ref|not our ref|no such remote ref", "there is no branch, tag or commit {revision}"),
    (r"could not read (Username|Password)|Authentication failed|terminal prompts disabled|error: 40[13]",
     "the server wants a login for it, or has no such repository"),
    (r"Permission denied \(|Host key verification failed", "the ssh server does not let you in"),
    (r"resolve host", "its host is not known here"),
    (r"resolve proxy|CONNECT tunnel|from proxy|proxy CONNECT", "the proxy did not answer"),
    (r"Failed to connect|Couldn't connect|Connection refused", "its host refuses connections"),
    (r"error: (\d\d\d)", "the server answered {found}"),
    (r"does not appear to be a git repository|[Rr]epository .*not found|not a git repository",
     "there is no git repository"),
    (r"transport '[\w-]+' not allowed|Protocol .* (disabled|not supported)", "it redirects to where git may not go"),
    (r"early EOF|hung up|unexpected disconnect|Connection reset|invalid index-pack|Empty reply",
     "the connection broke off"),
    (r"too slow|timed out", "no answer in time"),
)
_PASSING = re.compile(
    r"early EOF|hung up|unexpected disconnect|Connection reset|Empty reply|resolve host|Failed to connect|"
    r"Couldn't connect|Connection refused|timed out|too slow|error: (408|425|429|5\d\d)")
_UNCONNECTED = re.compile(r"resolve host|Failed to connect|Couldn't connect|Connection refused")
_LASTING = re.compile(r"Permission denied|Host key verification|does not appear to be a git repository|dubious")


def reason_of(text: str, source: Source) -> str:
    """Says in a clause why git failed.

    Args:
        text: What it wrote to stderr.
        source: What it was to have.
    """
    for pattern, reason in _REASONS:
        found = re.search(pattern, text)
        if found:
            groups = [group for group in found.groups() if group]
            return reason.format(revision=source.revision, address=without_password(source.address),
                                 found=groups[0] if groups else "")
    lines = [line for line in text.splitlines() if line.strip()]
    said = [line for line in lines if re.match(r"(fatal|error|remote|ssh):", line)] or lines or ["git failed"]
    return "git: " + without_password(re.sub(r"^(fatal|error): ", "", said[-1]))


def is_passing(text: str) -> bool:
    """Tells from what git wrote whether another attempt may go better."""
    return bool(_PASSING.search(text)) and not _LASTING.search(text)


def is_unconnected(text: str) -> bool:
    """Tells from what git wrote whether there was not even a connection."""
    return bool(_UNCONNECTED.search(text))
