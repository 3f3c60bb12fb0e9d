"""Renders cars as a labelme folder, or as a video, so that everything can be tried without labelling.

Each picture shows one to four cars. Boxes and the eight keypoints of carpose come from the projection, exact
to a fraction of a pixel; hidden points carry the flag "occluded". The same seed gives the same bytes. A video
shows traffic in a street; the truth about every frame, track ids and poses too, is in the JSON file beside it.

    python pose_tools/make_demo.py work_dirs/demo/labelme --images 240
    python pose_tools/make_demo.py --video work_dirs/demo/street.mp4
    python pose_tools/make_demo.py work_dirs/demo/labelme --unlabelled 12 --unseen work_dirs/demo/unseen
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import UserError, run


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dst", type=Path, nargs="?", metavar="DST", help="labelme folder to make")
    parser.add_argument("--images", type=int, default=240, metavar="N", help="pictures (default: %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, metavar=("W", "H"),
                        help="width and height in pixels (default: 512 384; of a video 640 480)")
    parser.add_argument("--views", choices=("all", "street", "traffic"), nargs="+", default=["all"],
                        help="street: cars pass by, which is learnt sooner; traffic: moments of videos, far and "
                             "half hidden cars that have boxes only; several take turns (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="what the pictures depend on (default: %(default)s)")
    parser.add_argument("--unlabelled", type=int, default=0, metavar="N",
                        help="render N further pictures without labels, to draw predictions on")
    parser.add_argument("--unseen", type=Path, metavar="DIR",
                        help="where those go (default: a folder 'unseen' beside DST)")
    parser.add_argument("--video", type=Path, metavar="FILE", help="render a video, .mp4 or .avi, and FILE.json")
    parser.add_argument("--frames", type=int, default=90, metavar="N", help="of the video (default: %(default)s)")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second (default: %(default)g)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier rendering")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Renders and writes; see the module's text."""
    args = parse_args(argv)
    if args.dst is None and args.video is None:
        raise UserError("nothing to render: give DST, a labelme folder to make, or --video FILE")
    if args.video is not None:
        from pose_tools.dataset.demo.video_files import write_video

        size = tuple(args.size or (640, 480))
        cars = write_video(args.video, args.frames, size, args.seed, args.fps, args.overwrite)
        print(f"{args.video}: {args.frames} frames with {cars} cars; the truth is in {args.video.stem}.json")
    return 0 if args.dst is None else _pictures(args)


def _pictures(args: argparse.Namespace) -> int:
    unseen = args.unseen or args.dst.parent / "unseen"
    if args.unlabelled < 0:
        raise UserError(f"--unlabelled {args.unlabelled}: must not be negative")
    if args.unlabelled and unseen.resolve() == args.dst.resolve():
        raise UserError(f"{unseen}: is DST as well; choose another folder with --unseen")
    from pose_tools.dataset.demo.files import check_folder, write_labelme, write_unlabelled

    if args.unlabelled:
        check_folder(unseen, args.overwrite)
    size = tuple(args.size or (512, 384))
    cars = write_labelme(args.dst, args.images, size, args.seed, args.overwrite, args.views)
    print(f"{args.dst}: {args.images} pictures with {cars} labelled cars")
    if args.unlabelled:
        write_unlabelled(unseen, args.unlabelled, size, args.seed, args.overwrite, args.views)
        print(f"{unseen}: {args.unlabelled} pictures without labels")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
