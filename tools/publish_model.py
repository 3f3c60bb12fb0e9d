"""Makes a release checkpoint of a trained model: weights, config, keypoint set and scores, nothing else.

    python tools/publish_model.py work_dirs/rtmpose-s-carpose/best_coco_AP_epoch_90.pth checkpoint/

writes checkpoint/rtmpose-s-carpose-<first 8 of its SHA-256>_<date>.pth, averaged (EMA) weights where the run
kept them, and checks that it gives exactly the outputs of the original. It can be used alone:
pose_tools/predict.py, mmdet.apis.init_detector and mmpose.apis.init_model take it.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="IN", help="checkpoint of a run: work_dirs/X/best_*.pth")
    parser.add_argument("out", metavar="OUT", help="checkpoint/NAME, or a folder to use the config's name")
    parser.add_argument("--metrics", metavar="FILE", help="JSON file of scores, as tools/test.py writes it")
    parser.add_argument("--config", metavar="FILE", help="the config, where the checkpoint carries none")
    parser.add_argument("--date", metavar="YYYYMMDD", help="date in the name; today by default")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Publishes and prints path and sizes."""
    args = parse_args(argv)

    from pose_tools.weights.release.publish import publish_model

    published = publish_model(args.checkpoint, args.out, args.metrics, args.config, args.date)
    print(published)
    print(f"verified: gives the same outputs as {args.checkpoint} on a fixed input")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
