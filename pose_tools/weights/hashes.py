"""SHA-256: of files, in file names, and in ``SHA256SUMS``."""
from __future__ import annotations

import contextlib
import datetime
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from pose_tools.console import UserError
from pose_tools.console.atomic import write_whole

BLOCK_BYTES = 1 << 20
SUMS = "SHA256SUMS"

# rtmdet_..._20220902_112414-78e30dcc.pth, rtmpose-...-fcb2599b_20230126.pth, X-<sha8>_<date>.pth
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})(?:_\d{8}(?:_\d{6})?)?\.(?:pth|pt|onnx|safetensors)$")
# OpenMMLab put other bytes under the names it had given RTMPose's first files: m, AIC and COCO, says 63eb25f7 and
# has been 5e55be2a... since 2023-04-18. All five of them that anybody hashed differ from their names; of the files
# named from May 2023 on, all agree.
_NOT_OF_ITS_FILE = re.compile(r"(rtmpose|cspnext)-[a-z]+_(simcc|udp)-.*_2023(0[1-3]\d\d|040\d|041[0-7])\.pth")
_SUMS_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


def hash_in_name(name: str) -> str | None:
    """Finds the leading hex digits of the SHA-256 that a file name carries.

    Args:
        name: A file name without folders.

    Returns:
        8 to 64 lower-case hex digits, or ``None``; eight digits that make a date are taken for a date, and
        those of official names that are known to be of other bytes do not count.
    """
    found = _HASH_IN_NAME.search(name)
    if not found or _NOT_OF_ITS_FILE.fullmatch(name):
        return None
    digits = found[1]
    with contextlib.suppress(ValueError):
        datetime.datetime.strptime(digits, "%Y%m%d")
        return None
    return digits


def is_of_one_file(name: str) -> bool:
    """Tells a name that only one file in the world has, by its digits, from names such as ``config.json``."""
    return bool(_HASH_IN_NAME.search(name))


def sha256_of(file: str | Path) -> str:
    """Computes the SHA-256 of a file as 64 hex digits."""
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read_sums(folder: Path) -> dict[str, str]:
    """Reads a folder's ``SHA256SUMS``, as ``sha256sum`` writes it.

    Args:
        folder: Need not hold one.

    Returns:
        Hashes by path below the folder, forward slashes.

    Raises:
        UserError: It cannot be read, or a line is none of a sum.
    """
    path = folder / SUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _SUMS_LINE.fullmatch(line)
        if not match:
            raise UserError(f"{path}: line {number} is not a SHA-256 and a file name")
        found[match[2]] = match[1].lower()
    return found


def write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """Writes a folder's ``SHA256SUMS`` in one step, in the order of names.

    Args:
        folder: Where.
        sums: 64 hex digits by path below the folder, forward slashes.
    """
    text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    write_whole(folder / SUMS, text.encode("utf-8"))
