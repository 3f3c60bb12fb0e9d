"""Writes reference values of the compiled mmcv operators, and compares two sets of values.

The reference beside this file was made with mmcv 2.1.0, built from source, and torch 2.13.0:

    python tests/openmmlab/reference/make_reference.py tests/openmmlab/reference

Thousands of random cases instead of the few that are kept, once in each environment, then compared:

    python make_reference.py /tmp/compiled --many 500        # where mmcv is compiled
    python make_reference.py /tmp/ours --many 500 --stand-in # where it is mmcv-lite
    python make_reference.py /tmp/ours --compare /tmp/compiled
"""
from __future__ import annotations

import argparse
import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Case = dict[str, Any]


def boxes_like(rng: np.random.Generator, kind: str, count: int) -> np.ndarray:
    """Boxes (count, 4) x1, y1, x2, y2, float32."""
    centre = rng.uniform(0, 300, (count, 2))
    size = rng.uniform(1, 80, (count, 2))
    if kind == "clustered":
        centre = rng.uniform(0, 300, (max(1, count // 8), 2))[rng.integers(0, max(1, count // 8), count)]
        centre = centre + rng.normal(0, 4, (count, 2))
        size = 40 + rng.normal(0, 4, (count, 2))
    if kind == "identical":
        centre, size = np.full((count, 2), 37.3), np.full((count, 2), 11.7)
    if kind == "zero-area":
        size[rng.random(count) < 0.6, int(rng.integers(0, 2))] = 0
        centre = centre[rng.integers(0, max(1, count // 3), count)]
    if kind == "grid":  # overlaps that meet the threshold exactly
        centre, size = rng.integers(0, 8, (count, 2)) * 5.0, rng.integers(0, 4, (count, 2)) * 10.0
    if kind == "inside-out":
        size = size * rng.choice([-1, 1], size.shape)
    if kind == "far":
        centre = centre * 1e4
    boxes = np.concatenate([centre - size / 2, centre + size / 2], 1)
    if kind == "infinite" and count:
        boxes[rng.random(boxes.shape) < 0.1] = np.inf
        boxes[rng.random(boxes.shape) < 0.1] = -np.inf
        boxes[rng.random(boxes.shape) < 0.05] = np.nan
    return boxes.astype(np.float32)


KINDS = ["random", "clustered", "identical", "zero-area", "grid", "inside-out", "far", "infinite"]


def box_cases(rng: np.random.Generator, count: int, sizes: list[int]) -> Iterator[Case]:
    """Boxes and scores for suppression."""
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        boxes = boxes_like(rng, kind, int(rng.choice(sizes)))
        scores = rng.random(len(boxes)).astype(np.float32)
        if rng.random() < 0.4:
            scores = np.round(scores * 8) / np.float32(8)
        yield {
            "boxes": boxes,
            "scores": scores,
            "labels": rng.integers(0, 4, len(boxes)),
            "threshold": float(rng.choice([0.0, 0.25, 0.3, 0.5, 0.6, 0.65, 0.7, 1.0])),
            "offset": int(rng.integers(0, 2)),
            "sigma": float(rng.choice([0.1, 0.5, 1.3])),
            "min_score": float(rng.choice([0.0, 1e-3, 0.05, 0.5])),
        }


def roi_cases(rng: np.random.Generator, count: int) -> Iterator[Case]:
    """Features and RoIs."""
    for _ in range(count):
        batch, channels, height, width = (int(rng.integers(low, high)) for low, high in
                                          ((1, 4), (1, 5), (1, 14), (1, 14)))
        aligned, number = bool(rng.integers(0, 2)), int(rng.choice([0, 1, 3, 9], p=[0.05, 0.25, 0.4, 0.3]))
        scale = float(rng.choice([1.0, 0.5, 0.25, 0.3]))
        reach = np.array([width, height]) / scale
        start = rng.uniform(-0.5, 1.2, (number, 2)) * reach
        extent = rng.uniform(0, 1.5, (number, 2)) * reach
        extent[rng.random(extent.shape) < 0.15] = 0
        if not aligned:
            extent[rng.random(extent.shape) < 0.1] *= -1
        rois = np.concatenate([rng.integers(0, batch, (number, 1)), start, start + extent], 1)
        if rng.random() < 0.3:
            rois = np.round(rois)
        features = rng.normal(size=(batch, channels, height, width))
        if rng.random() < 0.3:  # equal maxima, as after a ReLU
            features = np.maximum(np.round(features), 0)
        if rng.random() < 0.05:
            features = features - 20000
        size = (int(rng.integers(1, 6)), int(rng.integers(1, 6)))
        dtype = np.float64 if rng.random() < 0.3 else np.float32
        yield {
            "features": features.astype(dtype),
            "rois": rois.astype(dtype),
            "gradient": rng.normal(size=(number, channels, *size)).astype(dtype),
            "size": size,
            "scale": scale,
            "ratio": int(rng.choice([0, 0, 1, 2, 3])),
            "mode": str(rng.choice(["avg", "avg", "max"])),
            "aligned": aligned,
        }


def run_boxes(case: Case) -> Case:
    """What suppression makes of a case."""
    import torch
    from mmcv.ops import batched_nms, nms, nms_match, soft_nms

    boxes, scores = torch.from_numpy(case["boxes"]), torch.from_numpy(case["scores"])
    threshold, offset, found = case["threshold"], case["offset"], {}
    found["order"] = scores.sort(0, True)[1].numpy()
    found["nms"] = nms(boxes, scores, threshold, offset=offset)[1].numpy()
    for method in ("naive", "linear", "gaussian"):
        dets, kept = soft_nms(boxes, scores, threshold, case["sigma"], case["min_score"], method, offset)
        found[f"soft_{method}"], found[f"soft_{method}_dets"] = kept.numpy(), dets.numpy()
    if len(boxes):
        groups = nms_match(torch.cat([boxes, scores[:, None]], 1), threshold)
        found["match"] = np.concatenate([group.numpy() for group in groups])
        found["match_sizes"] = np.array([len(group) for group in groups])
        labels = torch.from_numpy(case["labels"])
        for split in (10000, 1):
            config = {"type": "nms", "iou_threshold": threshold, "offset": offset, "split_thr": split}
            dets, kept = batched_nms(boxes, scores, labels, config)
            found[f"batched_{split}"], found[f"batched_{split}_dets"] = kept.numpy(), dets.numpy()
    return found


def run_rois(case: Case) -> Case:
    """Pooled features of a case and the gradient of the features."""
    import torch
    from mmcv.ops import RoIAlign

    features = torch.from_numpy(case["features"]).requires_grad_()
    layer = RoIAlign(case["size"], case["scale"], case["ratio"], case["mode"], case["aligned"])
    pooled = layer(features, torch.from_numpy(case["rois"]))
    pooled.backward(torch.from_numpy(case["gradient"]))
    return {"pooled": pooled.detach().numpy(), "features_gradient": features.grad.numpy()}


def save(file: Path, cases: list[Case], results: list[Case]) -> None:
    """Writes inputs and outputs of all cases, as a gzipped ``.npz``."""
    flat = {f"{index}/{name}": np.asarray(value)
            for index, (case, result) in enumerate(zip(cases, results))
            for name, value in {**case, **result}.items()}
    stream = io.BytesIO()
    np.savez(stream, **flat)
    file.write_bytes(gzip.compress(stream.getvalue(), mtime=0))


def load(file: Path) -> list[Case]:
    """The cases of a file, inputs and outputs together."""
    cases: dict[int, Case] = {}
    with np.load(io.BytesIO(gzip.decompress(file.read_bytes()))) as flat:
        for key in flat.files:
            index, _, name = key.partition("/")
            cases.setdefault(int(index), {})[name] = flat[key][()]
    return [cases[index] for index in sorted(cases)]


def compare(ours: Path, compiled: Path) -> int:
    """Prints how many values differ; returns the number of cases with a difference that matters."""
    bad = 0
    for name in ("boxes.npz.gz", "rois.npz.gz"):
        worst: dict[str, float] = {}
        different: dict[str, int] = {}
        pairs = list(zip(load(ours / name), load(compiled / name)))
        for index, (mine, theirs) in enumerate(pairs):
            for each in (mine, theirs):  # the scores apart from the coordinates, which are far larger
                each.update({f"{key} scores": each[key][:, 4] for key in list(each) if key.endswith("_dets")})
            for key, value in theirs.items():
                if np.array_equal(mine[key], value, equal_nan=value.dtype.kind == "f"):
                    continue
                different[key] = different.get(key, 0) + 1
                if value.dtype.kind != "f" or mine[key].shape != value.shape:
                    print(f"{name} {index} {key}: {mine[key]} is not {value}")
                    bad += 1
                    continue
                largest = float(np.abs(value[np.isfinite(value)]).max(initial=0))
                step = np.finfo(value.dtype).eps * max(1, largest)
                error = float(np.nanmax(np.abs(mine[key] - value), initial=0)) / step
                worst[key] = max(worst.get(key, 0), error)
                if not np.allclose(mine[key], value, rtol=0, atol=32 * step, equal_nan=True):
                    print(f"{name} {index} {key}: {error:.0f} eps of the largest value")
                    bad += 1
        print(f"{name}: {len(pairs)} cases; not bit-equal: {different or 'none'}; worst, in eps of the "
              f"largest value: { {key: round(value, 2) for key, value in worst.items()} }")
    return bad


def main() -> int:
    """Makes or compares values."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--many", type=int, default=0, help="cases of each sort, not the small reference")
    parser.add_argument("--stand-in", action="store_true", help="use pose_tools.openmmlab.ops")
    parser.add_argument("--compare", type=Path, help="a folder of compiled values")
    args = parser.parse_args()
    if args.compare:
        return min(1, compare(args.folder, args.compare))
    if args.stand_in:
        sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
        from pose_tools.openmmlab.ops import install

        install()
    import mmcv._ext

    assert args.stand_in != hasattr(mmcv._ext, "__file__"), "these are not the operators that were asked for"
    rng = np.random.default_rng(20260)
    sizes = [0, 1, 2, 5, 20, 100, 400, 1500] if args.many else [0, 1, 6, 24, 60]
    boxes = list(box_cases(rng, args.many or 32, sizes))
    rois = list(roi_cases(rng, args.many or 40))
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, cases, run in (("boxes.npz.gz", boxes, run_boxes), ("rois.npz.gz", rois, run_rois)):
        save(args.folder / name, cases, [run(case) for case in cases])
    return 0


if __name__ == "__main__":
    sys.exit(main())
