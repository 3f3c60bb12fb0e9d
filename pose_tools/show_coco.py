"""Draws the labels of a COCO keypoint data set and shows what is suspicious first.

Examples:
    python pose_tools/show_coco.py data/carpose --html labels.html
    python pose_tools/show_coco.py data/carpose --out work_dirs/carpose_labels
    python pose_tools/show_coco.py data/carpose --sheet sheet.jpg --count 24
    python pose_tools/show_coco.py data/carpose --image a.jpg --out a_drawn.jpg --names --swaps

--out is a folder of drawn pictures, numbered from the worst; --html one page that opens in any browser, without a
network, with filters by class, keypoint, split and finding. A disc is a visible point, a ring an occluded one; orange
and blue points trade places on mirroring. Findings are those of check_coco.py. A picture that cannot be read is grey.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import UserError, run


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("sources", metavar="SRC", type=Path, nargs="+", help="folder with train_coco.json and images/, or COCO files")
    add("--out", metavar="DST", type=Path, help="folder of drawn pictures to make; a picture with --image")
    add("--sheet", metavar="FILE", type=Path, help="contact sheet to make, .jpg or .png")
    add("--html", metavar="FILE", type=Path, help="page to make")
    add("--image", metavar="NAME", help="only this picture: its file_name, or the end of it")
    add("--count", type=int, metavar="N", help="at most N pictures (24 on a sheet, 300 in a page, all in a folder)")
    add("--max-side", type=int, metavar="PX", help="longest side of a picture (640 in a page, 1600 in a folder)")
    words = parser.add_mutually_exclusive_group()
    for kind in ("names", "numbers"):
        words.add_argument(f"--{kind}", dest="words", action="store_const", const=kind, default="",
                           help=f"{kind} beside the keypoints")
    add("--swaps", action="store_true", help="dashed lines between keypoints that trade places on mirroring")
    add("--lang", choices=("en", "zh-TW"), help="language of the page (by the locale)")
    add("--meta", type=Path, help="meta.py with names, links and swaps")
    add("--images", type=Path, metavar="DIR", help="where the images are (images/ beside the COCO file)")
    add("--overwrite", action="store_true", help="replace a DST that has contents")
    args = parser.parse_args(argv)
    for key, least in (("count", 1), ("max_side", 16)):
        if getattr(args, key) is not None and getattr(args, key) < least:
            parser.error(f"--{key.replace('_', '-')} must be at least {least}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Draws and tells what was drawn."""
    from pose_tools.dataset.data_set import find_meta, read_data_set
    from pose_tools.dataset.doctor.examine import examine, own_keypoint_set
    from pose_tools.dataset.doctor.rules import RULES
    from pose_tools.report.gallery_show import Wishes, show

    args = parse_args(argv)
    if not (args.out or args.sheet or args.html):
        raise UserError("say what to make: --out, --sheet or --html; --help shows examples")
    data_set = read_data_set(args.sources, args.images)
    meta, _ = find_meta(data_set, args.meta)
    own, _ = own_keypoint_set(data_set)
    findings = examine(data_set, meta)
    wishes = Wishes(out=args.out, sheet=args.sheet, html=args.html, image=args.image, count=args.count,
                    most=args.max_side, words=args.words, swaps=args.swaps, lang=args.lang, overwrite=args.overwrite)
    print("\n".join(show(data_set, meta, own, findings, RULES, wishes)))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
