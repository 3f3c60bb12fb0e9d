"""From command-line values to the options of a conversion."""
from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.dataset.convert.conversion import ConvertOptions
from pose_tools.formats.ownership import Pad
from pose_tools.formats.schema import read_meta


def parse_pad(text: str) -> Pad:
    """Reads ``20`` (px) or ``10%`` (of the points' longer side).

    Raises:
        argparse.ArgumentTypeError: It is neither, or negative.
    """
    share = text.endswith("%")
    try:
        amount = float(text.rstrip("%"))
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError(f"expected px such as 20 or a share such as 10%, got {text!r}")
    return Pad(amount / 100, True) if share else Pad(amount)


def parse_suffix(text: str) -> tuple[str, int]:
    """Reads ``_occ=1``.

    Raises:
        argparse.ArgumentTypeError: It is not a suffix, an equals sign and 0, 1 or 2.
    """
    suffix, _, value = text.rpartition("=")
    if not suffix or value not in ("0", "1", "2"):
        raise argparse.ArgumentTypeError(f"expected SUFFIX=0, =1 or =2, such as _occ=1, got {text!r}")
    return suffix, int(value)


def read_names(path: Path) -> tuple[str, ...]:
    """Reads names, one a line; empty lines and lines that start with # are comments.

    Raises:
        UserError: The file is missing, empty or not UTF-8.
        FaultsError: Names are listed twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text") from None
    names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not names:
        raise UserError(f"{path}: holds no names")
    twice = [Fault(path, f"is listed {n} times", name) for name, n in Counter(names).items() if n > 1]
    if twice:
        raise FaultsError(twice)
    return tuple(names)


def make_options(args: argparse.Namespace) -> ConvertOptions:
    """Builds the options from parsed arguments, reading the files they name.

    Raises:
        UserError: ``--meta`` is combined with a names file, or a file cannot be used.
    """
    if args.meta and (args.keypoints or args.classes):
        raise UserError("--meta already names the classes and keypoints; leave out --keypoints and --classes")
    return ConvertOptions(
        names=read_meta(args.meta) if args.meta else None,
        keypoints=read_names(args.keypoints) if args.keypoints else None,
        classes=read_names(args.classes) if args.classes else None,
        image_folders=tuple(args.images),
        ignored=frozenset(args.ignore_labels),
        suffixes=dict(args.visibility_suffixes),
        pad=args.bbox_from_points,
        split=args.split,
        seed=args.seed,
        group_by=args.group_by,
        skip_faulty=args.skip_faulty,
        keep_empty=args.keep_empty,
        overwrite=args.overwrite,
        verify_images=args.verify_images,
        workers=args.workers)
