"""What ``tools/publish_model.py`` does and prints."""
from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from pose_tools.console import Fault, FaultsError, UserError, table
from pose_tools.console.atomic import write_whole
from pose_tools.formats.calibration import read_calibration
from pose_tools.weights.release.folder import DrawSample, Wishes, check_replaceable, name_fault, write_release
from pose_tools.weights.release.licences import MOST_CHARACTERS
from pose_tools.weights.release.machine_paths import ROOT
from pose_tools.weights.release.metrics import metrics_in_file
from pose_tools.weights.release.publish import Prepared, Published, check_date, folder_and_name, prepare
from pose_tools.weights.release.upload import There, look, repository_of, upload

RELEASES = ROOT / "work_dirs" / "release"


def publish(args: Namespace, faults: Sequence[Fault] = (), draw: Optional[DrawSample] = None) -> int:
    """Publishes as the command line says, and prints what was made.

    Args:
        args: Of ``tools/publish_model.py``.
        faults: What is wrong with the sample pictures.
        draw: Writes the sample picture, where there is to be one.

    Raises:
        UserError: Nothing was written, or what was written is whole and could not be sent; says which.
        FaultsError: Everything that is wrong with the command line's files and names.
    """
    _check(args, faults)
    folder, name = folder_and_name(args.out) if args.out else (None, None)
    prepared = prepare(args.checkpoint, name, args.metrics, args.config, args.date, args.precision,
                       args.calibration)
    _tell_leaks(prepared)
    if not (args.local_dir or args.to):
        _tell(prepared.write(Path(folder or ".")), prepared)
        return 0
    if fault := name_fault(prepared.name):
        raise FaultsError([fault])
    release = Path(args.local_dir or RELEASES / prepared.name)
    wishes = Wishes(args.licence, args.to or "", args.safetensors, draw, args.overwrite)
    published = write_release(prepared, release, wishes)
    _tell(published, prepared)
    if folder is not None:
        write_whole(folder / published.path.name, prepared.data)
        print(f"also written: {folder / published.path.name}")
    if args.to:
        _send(release, args)
    else:
        print(_files_table(release))
    return 0


def _check(args: Namespace, faults: Sequence[Fault]) -> None:
    """Looks for what can be wrong before the checkpoint is read; all of it at once."""
    found = list(faults)
    source = Path(args.checkpoint)
    if not source.is_file():
        found.append(Fault(source, "is a folder, not a checkpoint" if source.is_dir() else "no such file"))
    if args.config and not Path(args.config).is_file():
        found.append(Fault(args.config, "no such config"))
    checks = [(metrics_in_file, args.metrics), (read_calibration, args.calibration), (check_date, args.date),
              (repository_of, args.to)]
    if args.local_dir:
        checks.append((lambda folder: check_replaceable(Path(folder), args.overwrite, [source]), args.local_dir))
    for check, value in checks:
        try:
            if value is not None:
                check(value)
        except UserError as error:
            place, _, what = str(error).partition(": ")
            found.append(Fault(place, what) if what else Fault("--date", place))
    if args.licence and (len(args.licence) > MOST_CHARACTERS or not args.licence.isprintable()):
        found.append(Fault("--licence", f"is its name, of at most {MOST_CHARACTERS} characters on one line"))
    if args.out and (fault := name_fault(folder_and_name(args.out)[1] or "x")) and (args.local_dir or args.to):
        found.append(fault)
    if found:
        raise FaultsError(found, "nothing was written" if len(found) > 1 else "")


def _tell(published: Published, prepared: Prepared) -> None:
    """Says what was written."""
    print(published)
    if prepared.rounding:
        print(prepared.rounding)
    print(f"verified: {published.verified}")


def _tell_leaks(prepared: Prepared) -> None:
    """A file that is published already is not changed, whatever it says."""
    if prepared.leaks:
        more = f" and {len(prepared.leaks) - 1} more" if len(prepared.leaks) > 1 else ""
        print(f"note: {prepared.source} is taken as it is, and names paths of a machine ({prepared.leaks[0]}{more}); "
              "publish the run's own checkpoint to be rid of them", file=sys.stderr)


def _send(release: Path, args: Namespace) -> None:
    """Uploads a release, or says what an upload would do."""
    repository = repository_of(args.to)
    if not args.licence:
        print("note: no licence is stated; --licence NAME states one", file=sys.stderr)
    if args.upload:
        print(upload(release, repository, args.private))
        return
    try:
        there = look(repository)
    except UserError as error:
        print(_files_table(release))
        print(f"dry run, nothing was sent; what is there was not looked up: {error}")
        return
    print(_files_table(release, there.states(release)))
    print(f"dry run, nothing was sent: --upload sends these to {args.to}, {_visibility(there, args.private)}")


def _visibility(there: There, private: bool) -> str:
    if not there.exists:
        return f"which is to be made, {'private' if private else 'public'}"
    if private and there.private is False:
        return "but that is public and --private was asked for, so it will refuse"
    return f"which is {'private' if there.private else 'public'}"


def _files_table(release: Path, states: Optional[Mapping[str, str]] = None) -> str:
    rows = [(path.name, path.stat().st_size, *([states[path.name]] if states else []))
            for path in sorted(release.iterdir())]
    return f"{release}:\n" + table(rows, ("file", "bytes", "there")[:len(rows[0])])
