"""Files that are not what they should be: kept, under a name nobody loads."""
from __future__ import annotations

import itertools
import os
from pathlib import Path

from pose_tools.console import UserError
from pose_tools.weights.hashes import sha256_of


def set_aside(file: Path, target: Path) -> Path:
    """Moves a file that is not what it should be to ``NAME.suspect`` beside the place it was for.

    Args:
        file: What to move; on the same disk as the target.
        target: The place it has, or was meant to have.

    Returns:
        Where it lies now. An earlier suspect is never overwritten (``NAME.suspect-2`` and so on); where one
        has the same bytes already, the file is not kept twice.

    Raises:
        UserError: It cannot be moved.
    """
    try:
        for number in itertools.count(1):
            place = target.with_name(f"{target.name}.suspect" + (f"-{number}" if number > 1 else ""))
            if _take(place):
                os.replace(file, place)
                break
            if _are_equal(file, place):
                file.unlink()
                break
    except OSError as error:
        raise UserError(f"{file}: cannot be set aside as {target.name}.suspect: {error.strerror or error}") from error
    return place


def _take(place: Path) -> bool:
    """Takes a name that nothing has yet, so that nobody else can."""
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    return True


def _are_equal(one: Path, other: Path) -> bool:
    return other.is_file() and one.stat().st_size == other.stat().st_size and sha256_of(one) == sha256_of(other)
