"""Putting a release folder on the Hugging Face hub: what is there, what would change, and sending it in one commit."""
from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from pose_tools.console import UserError
from pose_tools.weights.addresses import is_encrypted_or_local
from pose_tools.weights.download.jobs import offline_variable
from pose_tools.weights.entries import parse_source
from pose_tools.weights.hashes import sha256_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

NEW, SAME, OTHER = "new", "already there", "replaces another"
LOOK_SECONDS = 15


@dataclass(frozen=True)
class There:
    """What a repository of the hub holds.

    Attributes:
        exists: Whether there is one that the token can see.
        private: Whether only its owner sees it, where that is known.
        hashes: By path, the SHA-256 of large files and the git hash of others.
    """

    exists: bool = False
    private: Optional[bool] = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    def states(self, folder: Path) -> dict[str, str]:
        """Compares a folder with the repository: by file name :data:`NEW`, :data:`SAME` or :data:`OTHER`."""
        return {path.name: self._state(path) for path in sorted(folder.iterdir())}

    def _state(self, path: Path) -> str:
        known = self.hashes.get(path.name)
        if known is None:
            return NEW
        return SAME if known == (sha256_of(path) if len(known) == 64 else _git_hash(path)) else OTHER


def repository_of(text: str) -> str:
    """Reads ``hf:USER/REPO``.

    Returns:
        ``USER/REPO``.

    Raises:
        UserError: It is something else, or no name that the hub allows.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        source = parse_source(text)
        if source.kind != "hf" or source.path or source.revision or not text.startswith("hf:"):
            raise ValueError("write it as hf:USER/REPO")
        validate_repo_id(source.address)
    except (ValueError, HFValidationError) as error:
        raise UserError(f"--to {text}: is no repository of the hub: {error}") from error
    return source.address


def look(repository: str, commit: Optional[str] = None) -> There:
    """Asks the hub what a repository holds; changes nothing.

    Args:
        repository: ``USER/REPO``.
        commit: Which of its commits; the newest by default.

    Raises:
        UserError: Offline mode is on, the hub cannot be reached, or does not answer; in one line.
    """
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    with _in_words(repository):
        try:
            found = _api().model_info(repository, revision=commit, files_metadata=True, timeout=LOOK_SECONDS)
        except RepositoryNotFoundError as error:
            if isinstance(error, GatedRepoError):
                raise
            return There()
    hashes = {each.rfilename: each.lfs.sha256 if each.lfs else str(each.blob_id) for each in found.siblings or ()}
    return There(True, found.private, hashes)


def upload(folder: Path, repository: str, private: bool = False) -> str:
    """Sends a release folder, all of it in one commit, and compares what is there then.

    Files that the repository has already, and large ones that the hub has, are not sent again. Files there
    that the folder does not have are left alone.

    Args:
        folder: The release.
        repository: ``USER/REPO``; made where there is none.
        private: Whether a new one is to be seen by its owner only.

    Returns:
        A line that says what was done.

    Raises:
        UserError: Offline mode is on, there is no token or it does not suffice, the hub cannot be reached or
            refuses, in one line that says what to do; or the repository is public and a private one was asked for.
    """
    from huggingface_hub import CommitOperationAdd

    there = look(repository)
    if private and there.exists and there.private is False:
        raise UserError(f"hf:{repository} is public, and --private was asked for; make it private in its settings, or "
                        "choose another; nothing was sent")
    api = _api(needs_token=True)
    checkpoint = next(path.name for path in sorted(folder.iterdir()) if path.suffix == ".pth")
    with _in_words(repository):
        if not there.exists:
            api.create_repo(repository, private=private or None, exist_ok=True)
        states, commit = there.states(folder), None
        if set(states.values()) != {SAME}:
            # Not upload_folder, which may make several commits: a card without its weights would be seen.
            files = [CommitOperationAdd(name, str(folder / name)) for name in states]
            commit = api.create_commit(repository, files, commit_message=f"Release {checkpoint}").oid
    after = look(repository, commit)
    wrong = [name for name, state in after.states(folder).items() if state != SAME]
    if wrong:
        raise UserError(f"hf:{repository}: what is there now is not what was sent: {', '.join(wrong)}")
    sent = sum(state != SAME for state in states.values())
    done = f"{sent} of {len(states)} files sent" if sent else "everything was there already, nothing was sent"
    return f"hf:{repository} ({'private' if after.private else 'public'}): {done}, all compared"


def _api(needs_token: bool = False) -> HfApi:
    """Opens the hub of the environment as it is now; the library reads it once, when it is imported."""
    from huggingface_hub import HfApi, get_token

    endpoint = (os.environ.get("HF_ENDPOINT") or "").rstrip("/") or None
    if variable := offline_variable():
        raise UserError(f"{variable}, so the hub is not asked; the folder can be sent later, by the same command")
    if endpoint and not is_encrypted_or_local(endpoint):
        raise UserError(f"HF_ENDPOINT is {endpoint}: a token is not sent without encryption; use https")
    token = get_token()
    if needs_token and not token:
        raise UserError("there is no token for the hub; make one with write access in your settings there, then set "
                        "HF_TOKEN or run: hf auth login")
    return HfApi(endpoint=endpoint, token=token or False)


@contextmanager
def _in_words(repository: str) -> Iterator[None]:
    """Turns whatever the library raises into one line."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    quiet = not sys.stderr.isatty() and not are_progress_bars_disabled()
    try:
        if quiet:
            disable_progress_bars()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Warnings while validating metadata")
            yield
    except UserError:
        raise
    except Exception as error:  # of two HTTP libraries, of the operating system, of its own
        raise UserError(f"hf:{repository}: {_reason(error)}") from error
    finally:
        if quiet:
            enable_progress_bars()


def _reason(error: Exception) -> str:
    status, cause = None, error
    while status is None and cause is not None:
        status, answered = getattr(getattr(cause, "response", None), "status_code", None), cause
        cause = cause.__cause__
    told = {
        401: "the hub does not accept the token; make one with write access in your settings there, then set HF_TOKEN "
             "or run: hf auth login",
        403: "the token may not write there; it needs write access, and USER must be you or an organisation of yours",
        404: "there is none that this token can see; it needs write access, and USER must be you or an organisation "
             "of yours",
        409: "it is being changed by somebody else; try again",
        413: "the hub says that a file is too large", 429: "the hub asks to wait; try again later"}
    if status in told:
        return told[status]
    if status is not None and status >= 500:
        return f"the hub answered {status}; try again later"
    if status is not None:
        return f"the hub answered {status}: {_short(getattr(answered, 'server_message', None) or answered)}"
    text = _short(error)
    if _is_of_network(error):
        return f"the hub cannot be reached ({text or type(error).__name__}); try again, or send the folder later"
    return f"{type(error).__name__}: {text}"


def _is_of_network(error: Any) -> bool:
    names = {base.__module__.split(".")[0] for base in type(error).__mro__}
    return isinstance(error, OSError) or bool(names & {"requests", "urllib3", "httpx", "httpx2", "httpcore"})


def _short(text: Any) -> str:
    return " ".join(str(text).split())[:200]


def _git_hash(path: Path) -> str:
    """The SHA-1 that git gives a file, which the hub tells of small ones."""
    import hashlib

    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
