"""With which settings and variables ``git`` runs here.

Nothing of a repository may run, ask or stay, and certificates are never skipped. Of the user's own settings those
count that are needed to reach a server: credential helpers, proxies, certificates, trusted folders.
"""
from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from pose_tools.weights.download.limits import Limits

Settings = list[tuple[str, str]]

_TRUSTED = "safe.directory"
_USERS_SETTINGS = re.compile(
    r"credential\..*|safe\.directory|http\.(.+\.)?(proxy|proxyauthmethod|sslcainfo|sslcapath|sslcert|sslkey|sslbackend)")
_USERS_VARIABLES = ("GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAINFO",
                    "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_HTTP_PROXY_AUTHMETHOD")
# One file is sent at a time, and model files are not searched for what they have in common.
_OF_A_SERVER = "[uploadpack]\n\tallowFilter = true\n[core]\n\tbigFileThreshold = 16m\n"
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout={:.0f} -o ServerAliveInterval=15"
_QUIET = {
    "LC_ALL": "C", "LANGUAGE": "", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1", "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never", "GCM_INTERACTIVE": "never"}


def users_settings(git: str, folder: Path) -> Settings:
    """Reads the user's and the system's settings, and keeps those that are needed to reach a server.

    Args:
        git: The command.
        folder: A bare repository of ours, whose own settings are none of these.

    Returns:
        Keys and values, in git's order: a later one counts, and an empty helper forgets those before it.
    """
    # The user's other variables (GIT_DIR, GIT_WORK_TREE, ...) would make git read another repository.
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("GIT_") or name.startswith("GIT_CONFIG_")}
    answer = subprocess.run([git, f"--git-dir={folder}", "config", "--list", "-z"], check=False, env=environment,
                            stdin=subprocess.DEVNULL, capture_output=True)
    pairs = [entry.partition("\n") for entry in os.fsdecode(answer.stdout).split("\x00")]
    return [(key, value) for key, newline, value in pairs if newline and _USERS_SETTINGS.fullmatch(key)]


def write_server_settings(settings: Settings, file: Path) -> None:
    """Writes the settings for the process that serves a repository of this machine; it reads them from a file only.

    Args:
        settings: The user's: which repositories of other people are trusted.
        file: Where to; becomes the only file of settings that counts.
    """
    folders = [value.replace("\\", "\\\\").replace('"', '\\"') for key, value in settings if key == _TRUSTED]
    trusted = "".join(f'\tdirectory = "{folder}"\n' for folder in folders if "\n" not in folder)
    file.write_text(f"{_OF_A_SERVER}[safe]\n{trusted}", encoding="utf-8", errors="surrogateescape")


def our_settings(address: str, redirects: bool) -> Settings:
    """The settings that hold whatever the user's say.

    Args:
        address: The repository.
        redirects: Whether its server may send git to another address.
    """
    return [
        ("remote.origin.url", address), ("remote.origin.promisor", "true"),
        ("remote.origin.partialCloneFilter", "blob:none"), ("http.sslVerify", "true"),
        ("http.schannelUseSSLCAInfo", "true"), ("http.followRedirects", "initial" if redirects else "false"),
        ("credential.interactive", "false"), ("core.hooksPath", os.devnull), ("core.fsmonitor", "false"),
        # Model files are streamed, not held in memory.
        ("core.bigFileThreshold", "16m"), ("fetch.unpackLimit", "1"), ("fetch.recurseSubmodules", "false"),
        ("fetch.negotiationAlgorithm", "noop"), ("fetch.writeCommitGraph", "false"), ("gc.auto", "0"),
        ("maintenance.auto", "false")]


def environment(settings: Settings, of_server: Path, limits: Limits) -> dict[str, str]:
    """Makes the variables git runs with.

    The settings are among them and not in a file or on the command line, because a credential helper may have a
    password in it.

    Args:
        settings: The user's and ours.
        of_server: The file that :func:`write_server_settings` wrote.
        limits: How long ssh may take to connect.
    """
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("GIT_") or name in _USERS_VARIABLES}
    if "GIT_SSH" not in kept:
        kept.setdefault("GIT_SSH_COMMAND", _SSH.format(limits.connect_seconds))
    kept.update(_QUIET, GIT_CONFIG_GLOBAL=str(of_server), GIT_CONFIG_COUNT=str(len(settings)))
    for number, (key, value) in enumerate(settings):
        kept[f"GIT_CONFIG_KEY_{number}"], kept[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return {**_certificates(), **kept}


def _certificates() -> dict[str, str]:
    """What the variables of other programs say of certificates, in git's."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        value = os.environ.get(name)
        if value:
            return {"GIT_SSL_CAPATH" if os.path.isdir(value) else "GIT_SSL_CAINFO": value}
    return {}
