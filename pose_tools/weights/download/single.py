"""One file: its lock, its sources in order, its check, and its final name."""
from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from pose_tools.console import UserError
from pose_tools.weights.addresses import FULL_HASH, is_address, name_of_address
from pose_tools.weights.download import hub
from pose_tools.weights.download.failure import SourceFailed, Stopped
from pose_tools.weights.download.forms import check_form
from pose_tools.weights.download.jobs import Job, Wanted, host_of, is_on_this_machine, what_is_wanted, without_password
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Part, locked_file
from pose_tools.weights.download.space import Space, in_mb
from pose_tools.weights.download.suspects import set_aside
from pose_tools.weights.download.transfer import OnBytes, receive
from pose_tools.weights.entries import WORK_FOLDER, ModelFile, Source
from pose_tools.weights.hashes import SUMS, hash_in_name, read_sums, sha256_of, write_sums


class NotHad(UserError):
    """No source had a file; the text names each and its reason."""


@dataclass
class Run:
    """What the downloads of one command share.

    Attributes:
        limits: Patience with a source.
        offline: Why there is no network, or ``None`` where there is.
        space: Room on the disks.
        say: Takes a line for the user; from any thread.
        report: Takes a job, its bytes so far and all its bytes where known; from any thread.
        stopped: Whether to end.
        unreachable: Hosts that could not be reached, and why; not asked again for another file.
    """

    limits: Limits
    offline: Optional[str] = None
    space: Space = field(default_factory=Space)
    say: Callable[[str], None] = lambda line: None
    report: Callable[[Job, Source, int, Optional[int]], None] = lambda job, source, received, total: None
    stopped: Callable[[], bool] = lambda: False
    unreachable: dict[str, str] = field(default_factory=dict)


def fetch_one(job: Job, part: Part, run: Run) -> bool:
    """Makes sure that a file is in its place, whole and checked.

    Args:
        job: What and where from.
        part: The job's, not locked yet.
        run: What it shares with others.

    Returns:
        Whether it came; else it was in its place already, put there by another process perhaps.

    Raises:
        NotHad: No source has it.
        UserError: It cannot be written or checked here.
        Stopped: ``run.stopped`` answered yes.
    """
    name = job.file.name
    if job.file.path.lower() == SUMS.lower():
        raise UserError(f"hashes of what was fetched are kept in {SUMS}; no model's file can be put there")

    def waiting() -> None:
        run.say(f"another process is fetching {name}; waiting")

    if job.target.is_dir():
        raise UserError(f"{job.target}: is a folder, and a file of that name was to be put there")
    with part.locked(waiting, run.stopped):
        wanted = what_is_wanted(job.file, _sums_that_bind(job))
        if not job.replace and job.target.is_file() and is_right(job.target, wanted.file):
            # Another process has put it there; one that was killed in between has not noted it.
            _remember(job, None, run)
            return False
        reasons = []
        for number, source in enumerate(job.sources, start=1):
            host = source.kind if source.kind == "hf" else host_of(source)
            try:
                if host in run.unreachable:
                    raise SourceFailed(run.unreachable[host])
                _from_source(source, job, part, wanted, run)
                return True
            except SourceFailed as failure:
                if failure.is_unreachable:
                    run.unreachable[host] = failure.reason
                reasons.append(without_password(f"{source}: {failure.reason}"))
                if number < len(job.sources):
                    run.say(f"{name}: {reasons[-1]}; trying the next source")
        kept = f"; {in_mb(part.size)} of it are here, and the next try goes on from there" if part.size else ""
        raise NotHad(("; ".join(reasons) or "no source of it is known") + kept)


def _sums_that_bind(job: Job) -> dict[str, str]:
    """Gives the hashes of what was received before; they do not bind who fetches anew.

    Raises:
        UserError: They cannot be read, and nothing else is known of the file.
    """
    if job.replace or len(job.file.sha256 or "") == FULL_HASH:
        return {}
    try:
        return read_sums(job.folder)
    except UserError:
        if job.file.sha256 or hash_in_name(job.file.name):
            return {}
        raise


def is_right(file: Path, wanted: ModelFile) -> bool:
    """Tells whether a file on disk is the wanted one, as far as is known what that is.

    Args:
        file: Present.
        wanted: Its size and hash where known; else its form counts.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        if wanted.size is not None and file.stat().st_size != wanted.size:
            return False
        if wanted.sha256:
            return sha256_of(file).startswith(wanted.sha256)
        check_form(file, wanted.name)
    except ValueError:
        return False
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error
    return True


def _from_source(source: Source, job: Job, part: Part, wanted: Wanted, run: Run) -> None:
    if run.offline and not is_on_this_machine(source):
        raise SourceFailed(f"offline ({run.offline})")

    def on_bytes(received: int, total: Optional[int]) -> None:
        if run.stopped():
            raise Stopped
        run.space.on_bytes(part, received, total)
        run.report(job, source, received, total)

    for is_second in (False, True):
        with part:
            _get(source, part, wanted.file, run, on_bytes)
            problem = _problem(part, wanted)
            if problem is None:
                is_on_trust = not wanted.whence and not (part.notes and part.notes.sha256)
                digest = _put_in_place(part, job, run)
                if is_on_trust:
                    run.say(f"{job.file.name}: no SHA-256 of it is published; from now on it is {digest} ({SUMS})")
                return
            if part.resumed and not is_second:
                # The pieces may not belong together, after a power cut or a change on the server.
                run.say(f"{job.file.name}: the pieces do not make the right file; once more from the beginning")
                part.restart()
                continue
            part.close()
            kept = set_aside(part.path, job.target)
            part.remove()
        raise SourceFailed(f"{problem}; what came is kept as {kept.name}")


def _get(source: Source, part: Part, file: ModelFile, run: Run, on_bytes: OnBytes) -> None:
    """Lets the fetcher of the source's kind fill a part."""
    def say(line: str) -> None:
        run.say(f"{file.name}: {line}")

    if source.kind == "url":
        receive(source.address, part, file, run.limits, on_bytes, say=say)
    elif source.kind == "hf":
        receive(hub.hub_address(source), part, file, run.limits, on_bytes, hub.hub_token() or "", say=say)
    elif source.kind == "git":
        from pose_tools.weights.download.git import receive_from_git

        receive_from_git(source, part, file, run.limits, on_bytes)
    elif source.kind == "archive":
        from pose_tools.weights.download.archive import receive_from_archive

        def get_archive(address: str, archive: Part) -> None:
            _get_archive(address, archive, file, run, on_bytes)

        receive_from_archive(source, part, file, run.limits, on_bytes, get_archive)
    else:
        from pose_tools.weights.download.place import receive_from_folder

        receive_from_folder(source, part, file, run.limits, on_bytes)


def _get_archive(address: str, archive: Part, member: ModelFile, run: Run, on_bytes: OnBytes) -> None:
    """Gets the archive that a file is in; what is known of the file says nothing of the archive's own hash."""
    def on_archive_bytes(received: int, total: Optional[int]) -> None:
        run.space.on_bytes(archive, received, total)
        on_bytes(received, total)

    try:
        if is_address(address):
            file = ModelFile(name_of_address(address))
            receive(address, archive, file, run.limits, on_archive_bytes, guard=member.sha256)
        else:
            from pose_tools.weights.download.place import receive_from_folder

            receive_from_folder(Source("file", address), archive, ModelFile(Path(address).name), run.limits,
                                on_archive_bytes)
    finally:
        run.space.done(archive)


def _problem(part: Part, wanted: Wanted) -> Optional[str]:
    """Compares what came with what is wanted; says what is wrong, or ``None``."""
    file = wanted.file
    digits, whence = file.sha256, wanted.whence
    noted = part.notes.sha256 if part.notes else ""
    if len(noted) > len(digits or ""):  # what the hub has on record
        digits, whence = noted, "the source"
    if not digits:
        if file.size is not None and part.size != file.size:
            return f"it has {part.size} bytes and should have {file.size}"
        return _form_problem(part, file.name)
    found = part.digest()
    if found.startswith(digits):
        return None
    what, form = "be" if len(digits) == len(found) else "start with", _form_problem(part, file.name)
    return f"its SHA-256 should {what} {digits} ({whence}) and is {found}" + (f"; {form}" if form else "")


def _form_problem(part: Part, name: str) -> Optional[str]:
    try:
        check_form(part.path, name)
    except ValueError as error:
        return str(error)
    except OSError as error:
        raise UserError(f"{part.path}: cannot be read: {error.strerror or error}") from error
    return None


def _put_in_place(part: Part, job: Job, run: Run) -> str:
    """Gives a checked file its name, and its line in ``SHA256SUMS``; returns its SHA-256."""
    digest, target = part.digest(), job.target
    part.close()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target) and not (target.is_file() and sha256_of(target) == digest):
            kept = set_aside(target, target)
            run.say(f"{target}: another file was there; it is kept as {kept.name}")
        os.replace(part.path, target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from error
    part.remove()
    _remember(job, digest, run)
    return digest


def _remember(job: Job, digest: Optional[str], run: Run) -> None:
    """Notes the hash of a file in its place, computing it if need be; a list that is damaged is no reason to fail."""
    try:
        if digest or job.file.path not in read_sums(job.folder):
            remember(job.folder, job.file.path, digest or sha256_of(job.target))
    except UserError as error:
        run.say(f"{SUMS} was not brought up to date: {error}")


def remember(folder: Path, path: str, digest: str) -> None:
    """Notes the hash of a file in its folder's ``SHA256SUMS``.

    Args:
        folder: Where ``SHA256SUMS`` is, or will be.
        path: The file's path below it, forward slashes.
        digest: 64 hex digits.

    Raises:
        UserError: It cannot be read or written.
    """
    with locked_file(folder / WORK_FOLDER / f"{SUMS}..lock"):  # two dots: no file's own lock is called so
        sums = read_sums(folder)
        if sums.get(path) == digest:
            return
        try:
            # By way of the work folder: a kill leaves its temporary file there, and not among the models.
            write_sums(folder / WORK_FOLDER, {**sums, path: digest})
            os.replace(folder / WORK_FOLDER / SUMS, folder / SUMS)
        except OSError as error:
            raise UserError(f"{folder / SUMS}: cannot be written: {error.strerror or error}") from error
