"""Tracking and smoothing on rendered streets with known truth: MOTA, IDF1, id switches, jitter.

Examples:
    python benchmarks/tracking.py --short                       # one video, the main ways
    python benchmarks/tracking.py --seeds 71 72 73 --json work_dirs/tracking.json
    python benchmarks/tracking.py --det checkpoint/rtmdet-X.pth --pose checkpoint/rtmpose-X.pth

Cars pass, cross and hide each other for a second and more. Two sources of boxes and keypoints: the truth with seeded
noise, one box in ten missing and wrong boxes among them, which is a good detector; and, where files are given or lie in
checkpoint/, a trained pair of models. Cars of which less than 30 % can be seen need not be found. Defaults were chosen
on seeds 0 to 5 and 30 to 53, results on 11 to 15 and 21 to 23 were looked at while it was made; 61 to 68 were not.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Optional

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.benchmarking.machine import describe_machine, machine_line
from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import UserError, progress, run
from pose_tools.dataset.demo.video import VideoFrame, render_video
from pose_tools.formats.schema import KeypointSet, read_meta
from pose_tools.inference.tracking import Smoother, SmoothOptions, Tracker, TrackOptions
from pose_tools.report.tracking_metrics import TrackFrame, keypoint_motion, tracking_score

RATE, SIZE, THRESHOLD = 30.0, (640, 480), 0.3
LEAST_SEEN = 0.3  # share of a car that must be seen for it to have to be found
SEEDS = (61, 62, 63, 64, 65, 66, 67, 68)

Boxes = tuple[np.ndarray, np.ndarray, np.ndarray]
Points = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Way:
    """A way of tracking: every how many frames a detector runs, whether what it missed is looked for, the options."""

    interval: int = 1
    options: TrackOptions = TrackOptions()
    low_score: Optional[float] = 1.0  # no boxes below the threshold, as predict.py has it; None is ByteTrack's way
    smooth: Optional[SmoothOptions] = None
    again: bool = True


WAYS = {
    "boxes alone (ByteTrack)": Way(options=TrackOptions(keypoint_share=0.0, colour=0.0), low_score=None, again=False),
    "keypoints as well": Way(options=TrackOptions(colour=0.0), again=False),
    "and colours": Way(again=False),
    "and looking for what was missed": Way(),
    "the same, with a second stage": Way(low_score=None),
    "the same, births not confirmed": Way(options=TrackOptions(confirm=1)),
    "smoothed": Way(smooth=SmoothOptions()),
    "smoothed, the paper's filter": Way(smooth=SmoothOptions(follow=False)),
    "detector every 3rd frame": Way(interval=3),
    "detector every 3rd frame, smoothed": Way(interval=3, smooth=SmoothOptions()),
    "detector every 5th frame": Way(interval=5),
    "detector every 5th frame, smoothed": Way(interval=5, smooth=SmoothOptions()),
}
SHORT = ("boxes alone (ByteTrack)", "and looking for what was missed", "smoothed",
         "detector every 3rd frame, smoothed")


def _boxes_of(frame: VideoFrame) -> np.ndarray:
    return np.array([car.box for car in frame.scene.cars]).reshape(-1, 4)


def _sizes(boxes: np.ndarray) -> np.ndarray:
    return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


class NoisyTruth:
    """Detector and keypoint model made of the truth; noise in shares of the size, the same for every way.

    Args:
        seed: Of the noise; a frame's depends on its number alone.
    """

    name, threshold = "noisy truth", THRESHOLD

    def __init__(self, seed: int) -> None:
        """Keeps the seed."""
        self.seed = seed

    def detect(self, frame: VideoFrame) -> Boxes:
        """Boxes off by 3 % of the size, one in ten missing, and a wrong one in every twentieth frame."""
        rng = np.random.default_rng((self.seed, frame.number, 0))
        boxes, share = _boxes_of(frame), np.array([car.visible_share for car in frame.scene.cars])
        noisy = boxes + rng.normal(0, 0.03, boxes.shape) * _sizes(boxes)[:, None]
        scores = np.clip(0.3 + 0.7 * share + rng.normal(0, 0.1, len(boxes)), 0.05, 1)
        kept = (rng.uniform(size=len(boxes)) > 0.1) & (share >= LEAST_SEEN)
        wrong = np.zeros((int(rng.uniform() < 0.05), 4)) + [*rng.uniform((0, 100), (500, 300)), 0, 0]
        wrong[:, 2:] = wrong[:, :2] + rng.uniform(40, 150)
        found = np.concatenate([noisy[kept], wrong])
        return found, np.append(scores[kept], np.full(len(wrong), 0.45)), np.zeros(len(found), int)

    def look(self, frame: VideoFrame, boxes: np.ndarray) -> Points:
        """Keypoints of the car that a box fits best, off by 2 % of the size; of none, a heap with low scores."""
        from pose_tools.formats.boxes import iou_xyxy

        rng = np.random.default_rng((self.seed, frame.number, 1))
        truth = _boxes_of(frame)
        noise, wobble = rng.normal(0, 0.02, (len(truth), 8, 2)), rng.normal(0, 0.05, (len(truth), 8))
        points, scores = np.zeros((len(boxes), 8, 2)), np.full((len(boxes), 8), 0.1)
        overlap = iou_xyxy(boxes, truth) if len(truth) else np.zeros((len(boxes), 1))
        for n, box in enumerate(boxes):
            i = int(overlap[n].argmax())
            if overlap[n, i] < 0.3:
                points[n] = (box[:2] + box[2:]) / 2 + rng.normal(0, 0.2, (8, 2)) * (box[2:] - box[:2])
                continue
            car = frame.scene.cars[i]
            points[n] = car.keypoints + noise[i] * _sizes(truth)[i]
            scores[n] = np.where(car.visibility == 2, 0.8, 0.4) * min(1, car.visible_share / LEAST_SEEN) + wobble[i]
        return points, scores


class Models:
    """A trained pair; every frame is detected once, for all ways."""

    def __init__(self, det: Path, pose: Path, threads: Optional[int], threshold: float = THRESHOLD) -> None:
        """Loads both."""
        from pose_tools.inference.runtime import DetectorModel, PoseModel, open_backend

        self.name, self.threshold = f"{det.stem} and {pose.stem}, boxes from {threshold:g} on", threshold
        self.detector = DetectorModel(open_backend(det, threads=threads), threshold / 2)
        self.pose = PoseModel(open_backend(pose, threads=threads))
        self._detected: dict[int, tuple[VideoFrame, Boxes, Points]] = {}

    def _of(self, frame: VideoFrame) -> tuple[VideoFrame, Boxes, Points]:
        if id(frame) not in self._detected:
            boxes = self.detector(frame.scene.image)
            self._detected[id(frame)] = frame, boxes, self.pose(frame.scene.image, boxes[0])
        return self._detected[id(frame)]

    def detect(self, frame: VideoFrame) -> Boxes:
        """Boxes, scores and labels."""
        return self._of(frame)[1]

    def look(self, frame: VideoFrame, boxes: np.ndarray) -> Points:
        """Keypoints and scores in boxes."""
        known = self._detected.get(id(frame))
        if known is not None and boxes is known[1][0]:
            return known[2]
        return self.pose(frame.scene.image, boxes)


def _cars() -> KeypointSet:
    return read_meta(ROOT / "configs/_base_/carpose/meta.py")


def track(frames: Sequence[VideoFrame], models: Any, way: Way) -> list[TrackFrame]:
    """Tracks one video, as :class:`pose_tools.inference.predictor.PosePredictor` does."""
    tracker = Tracker(_cars(), RATE, high_score=models.threshold, low_score=way.low_score, image_size=SIZE,
                      options=way.options)
    smoother = Smoother(RATE, options=way.smooth)
    tracked = []
    for frame in frames:
        detected = frame.number % way.interval == 0
        if detected:
            boxes, scores, labels = models.detect(frame)
        else:
            ahead = tracker.boxes_ahead(frame.time)
            boxes, scores, labels = ahead.boxes, ahead.scores, ahead.labels
        points, point_scores = models.look(frame, boxes)
        if detected:
            known = scores >= tracker.detector_threshold
            boxes, scores, labels, points, point_scores = (
                each[known] for each in (boxes, scores, labels, points, point_scores))
        image = frame.scene.image
        found = [tracker.update(boxes, scores, labels, points, point_scores, detected, frame.time, image)]
        missed = tracker.missed().boxes if detected and way.again else ()
        if len(missed):
            more, more_scores = models.look(frame, missed)
            found.append(tracker.update_missed(more, more_scores, image))
            points, point_scores = np.concatenate([points, more]), np.concatenate([point_scores, more_scores])
        ids, keep, shown = (np.concatenate([getattr(each, name) for each in found])
                            for name in ("ids", "keep", "boxes"))
        ids, shown, points = ids[keep], shown[keep], points[keep]
        if way.smooth:
            points, shown = smoother(ids, points, point_scores[keep], shown, frame.time)
        cars = frame.scene.cars
        truth = np.array([np.c_[car.keypoints, car.visibility] for car in cars]).reshape(-1, 8, 3)
        tracked.append(TrackFrame(frame.track_ids, _boxes_of(frame), ids, shown,
                                  np.array([car.visible_share < LEAST_SEEN for car in cars], bool), truth, points))
    return tracked


def _row(videos: Sequence[list[TrackFrame]]) -> dict[str, float]:
    score = reduce(add, map(tracking_score, videos))
    motions = [keypoint_motion(video) for video in videos]
    triples, points = (np.array([getattr(m, name) for m in motions], float) for name in ("triples", "points"))
    return {"mota": score.mota, "motp": score.motp, "idf1": score.idf1, "switches": score.switches,
            "fragmentations": score.fragmentations, "false_positives": score.false_positives,
            "misses": score.misses, "truths": score.truths,
            "jitter": float(np.nansum([m.jitter for m in motions] * triples) / max(1, triples.sum())),
            "error": float(np.nansum([m.error for m in motions] * points) / max(1, points.sum()))}


def measure(seeds: Sequence[int], frames: int, det: Optional[Path], pose: Optional[Path],
            threads: Optional[int] = None, ways: Sequence[str] = tuple(WAYS),
            threshold: float = THRESHOLD) -> dict[str, Any]:
    """Renders videos and tracks them in all ways.

    Args:
        seeds: Of the videos.
        frames: Of each.
        det: Detector; None for the noisy truth alone.
        pose: Keypoint model, the same.
        threads: Of the models.
        ways: Names of those to try.
        threshold: The models' boxes from this score on begin objects.
    """
    videos = [list(render_video(seed, frames, SIZE, RATE)) for seed in progress(seeds, "rendering")]
    result: dict[str, Any] = {"machine": describe_machine(), "seeds": list(seeds), "frames": frames, "tables": {}}
    sources: list[Any] = [NoisyTruth(0)] + ([Models(det, pose, threads, threshold)] if det and pose else [])
    for source in sources:
        result["tables"][source.name] = {
            name: _row([track(video, source, way) for video in videos])
            for name, way in progress([(name, WAYS[name]) for name in ways], source.name)}
    return result


def as_markdown(result: dict[str, Any]) -> str:
    """Lays out what :func:`measure` gave."""
    head = ["", "MOTA", "IDF1", "id switches", "fragmentations", "false boxes", "missed", "keypoint error", "jitter"]
    parts = [f"{machine_line(result['machine'])}; videos of seeds {', '.join(map(str, result['seeds']))}, "
             f"{result['frames']} frames each. Error and jitter in % of the size of a car."]
    for name, rows in result["tables"].items():
        cells = [(way, f"{row['mota']:.3f}", f"{row['idf1']:.3f}", row["switches"], row["fragmentations"],
                  row["false_positives"], f"{row['misses']} of {row['truths']}", f"{100 * row['error']:.2f}",
                  f"{100 * row['jitter']:.2f}") for way, row in rows.items()]
        parts += [f"Boxes and keypoints: {name}.", markdown_table(cells, head)]
    return "\n\n".join(parts)


def _newest(pattern: str) -> Optional[Path]:
    return max((ROOT / "checkpoint").glob(pattern), key=lambda path: path.stat().st_mtime, default=None)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command = parser.add_argument
    command("--short", action="store_true", help="one video, the main ways")
    command("--seeds", type=int, nargs="+", default=list(SEEDS), help="of the videos (61 to 68)")
    command("--frames", type=int, default=90, help="of a video (90)")
    command("--det", type=Path, help="detector (the newest rtmdet-*-carpose-*.pth in checkpoint/)")
    command("--pose", type=Path, help="keypoint model (the newest rtmpose-*-carpose-*.pth in checkpoint/)")
    command("--bbox-thr", type=float, default=THRESHOLD, help="least score of the models' boxes (%(default)s)")
    command("--truth-only", action="store_true", help="no models")
    command("--threads", type=int, help="of the models")
    command("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints the tables."""
    args = parse_args(argv)
    if (args.det is None) != (args.pose is None):
        raise UserError("--det and --pose belong together")
    det = args.det or _newest("rtmdet-*-carpose-*.pth")
    pose = args.pose or _newest("rtmpose-*-carpose-*.pth")
    if args.truth_only:
        det = pose = None
    result = measure(args.seeds[:1] if args.short else args.seeds, args.frames, det, pose, args.threads,
                     SHORT if args.short else tuple(WAYS), args.bbox_thr)
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
