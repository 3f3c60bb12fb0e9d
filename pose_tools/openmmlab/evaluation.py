"""COCO's evaluation with less work and the same numbers, to the last bit.

``pycocotools`` and ``xtcocotools`` compare every detection with every object, at each of ten thresholds and for each
range of areas, in Python. Nearly all of these pairs overlap less than the lowest threshold, so here only the others
are looked at; the similarity of keypoints (OKS) and the curves are computed over arrays. What is compared, in which
order, and every rounding are upstream's, and so are its peculiarities (an object with the id 0 cannot be matched in
pycocotools). The classes take the place of ``COCOeval`` in ``mmdet/evaluation/metrics/coco_metric.py`` and
``mmpose/evaluation/metrics/coco_metric.py``; see :mod:`~pose_tools.openmmlab.compat.coco_evaluation`.
"""
from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

_NEARLY_ONE = 1 - 1e-10  # a threshold of 1 means: as good as 1


class SparseMatching:
    """Mixed into a ``COCOeval``; takes the place of its two slow steps.

    Attributes:
        free: The number that stands for "not matched" in the tables of matches.
        table_type: Their type.
    """

    free = 0
    table_type: Any = np.float64
    params: Any

    def _is_matched(self, matches: np.ndarray) -> np.ndarray:
        """Which entries of a table of matches are matches."""
        return matches != 0

    def _is_taken(self, match: float) -> bool:
        """Whether an object's entry says that a detection has taken it."""
        return match > 0

    def _area(self, annotation: dict[str, Any]) -> float:
        """The area that decides in which range an object falls, px^2."""
        return annotation["area"]

    def _score(self, detection: dict[str, Any]) -> float:
        return detection["score"]

    def evaluateImg(self, imgId: Any, catId: Any, aRng: Sequence[float],
                    maxDet: int) -> Optional[dict[str, Any]]:
        """Matches the detections of an image with its objects, the best first.

        Args:
            imgId: The image.
            catId: The category.
            aRng: Least and greatest area, px^2; objects outside are ignored.
            maxDet: How many detections to look at.

        Returns:
            What upstream's method of this name returns; ``None`` where there is nothing.
        """
        gt, dt = self._of_image(imgId, catId)
        if not gt and not dt:
            return None
        for each in gt:
            area = self._area(each)
            each["_ignore"] = 1 if each["ignore"] or area < aRng[0] or area > aRng[1] else 0
        order = sorted(range(len(gt)), key=lambda index: gt[index]["_ignore"])
        gt = [gt[index] for index in order]
        best_first = np.argsort([-self._score(each) for each in dt], kind="mergesort")
        dt = [dt[index] for index in best_first[:maxDet]]
        overlaps = self.ious[imgId, catId]  # type: ignore[attr-defined]
        shape = len(self.params.iouThrs), len(dt)
        dt_matches = np.full(shape, self.free, self.table_type)
        gt_matches = np.full((shape[0], len(gt)), self.free, self.table_type)
        dt_ignored = np.zeros(shape)
        if len(overlaps):
            self._match(gt, dt, overlaps[:, order], (gt_matches, dt_matches, dt_ignored))
        outside = np.array([each["area"] < aRng[0] or each["area"] > aRng[1] for each in dt], dtype=bool)[None]
        return {
            "image_id": imgId, "category_id": catId, "aRng": aRng, "maxDet": maxDet,
            "dtIds": [each["id"] for each in dt], "gtIds": [each["id"] for each in gt],
            "dtMatches": dt_matches, "gtMatches": gt_matches,
            "dtScores": [self._score(each) for each in dt],
            "gtIgnore": np.array([each["_ignore"] for each in gt]),
            "dtIgnore": np.logical_or(dt_ignored, ~self._is_matched(dt_matches) & outside)}

    def _of_image(self, image: Any, category: Any) -> tuple[list, list]:
        """Objects and detections; of all categories where these do not count."""
        gts, dts = self._gts, self._dts  # type: ignore[attr-defined]
        if self.params.useCats:
            return gts[image, category], dts[image, category]
        return ([each for one in self.params.catIds for each in gts[image, one]],
                [each for one in self.params.catIds for each in dts[image, one]])

    def _match(self, gt: list[dict], dt: list[dict], overlaps: np.ndarray, tables: tuple[np.ndarray, ...]) -> None:
        """Fills the tables: at each threshold a detection takes the object it overlaps most, if that is free.

        Args:
            gt: Objects, the ignored ones last.
            dt: Detections, the best first.
            overlaps: Shape (D, G).
            tables: Matches of objects (T, G), of detections (T, D), and which of these count for nothing (T, D).
        """
        starts = [min([threshold, _NEARLY_ONE]) for threshold in self.params.iouThrs]
        rows, columns = np.nonzero(~(overlaps < min(starts)))  # so that NaN counts as upstream counts it
        if len(set(rows.tolist())) == len(rows) == len(set(columns.tolist())):
            self._match_pairs(gt, dt, (rows, columns, overlaps[rows, columns], np.array(starts)), tables)
            return
        near: dict[int, list[tuple[int, float]]] = {}
        for row, column, value in zip(rows.tolist(), columns.tolist(), overlaps[rows, columns].tolist()):
            near.setdefault(row, []).append((column, value))
        crowd = [int(each["iscrowd"]) for each in gt]
        ignored = [each["_ignore"] for each in gt]
        for position, start in enumerate(starts):
            taken = [self.free] * len(gt)
            for detection, candidates in near.items():
                found = self._best(candidates, start, taken, crowd, ignored)
                if found < 0:
                    continue
                taken[found] = dt[detection]["id"]
                tables[0][position, found] = dt[detection]["id"]
                tables[1][position, detection] = gt[found]["id"]
                tables[2][position, detection] = ignored[found]

    @staticmethod
    def _match_pairs(gt: list[dict], dt: list[dict], pairs: tuple[np.ndarray, ...],
                     tables: tuple[np.ndarray, ...]) -> None:
        """Fills the tables where no two detections want the same object: detections, objects, overlaps, thresholds."""
        rows, columns, overlaps, starts = pairs
        threshold, pair = np.nonzero(~(overlaps[None] < starts[:, None]))
        row, column = rows[pair], columns[pair]
        tables[0][threshold, column] = np.array([each["id"] for each in dt])[row]
        tables[1][threshold, row] = np.array([each["id"] for each in gt])[column]
        tables[2][threshold, row] = np.array([each["_ignore"] for each in gt])[column]

    def _best(self, candidates: list[tuple[int, float]], least: float, taken: list, crowd: list[int],
              ignored: list[int]) -> int:
        """The object that a detection takes, or -1."""
        found = -1
        for index, overlap in candidates:
            if self._is_taken(taken[index]) and not crowd[index]:
                continue
            # Only ignored objects follow, and one that counts has been found.
            if found > -1 and ignored[found] == 0 and ignored[index] == 1:
                break
            if overlap < least:
                continue
            found, least = index, overlap
        return found

    def accumulate(self, p: Any = None) -> None:
        """Makes precision and recall of the matches; results are in ``self.eval``, as upstream's are."""
        if not self.evalImgs:  # type: ignore[attr-defined]
            print("Please run evaluate() first")
        p = self.params if p is None else p
        p.catIds = p.catIds if p.useCats == 1 else [-1]
        counts = [len(p.iouThrs), len(p.recThrs), len(p.catIds) if p.useCats else 1, len(p.areaRng), len(p.maxDets)]
        tables = {"precision": -np.ones(counts), "recall": -np.ones([counts[0], *counts[2:]]),
                  "scores": -np.ones(counts)}
        done = self._paramsEval  # type: ignore[attr-defined]
        categories = set(done.catIds if done.useCats else [-1])
        areas, most, images = set(map(tuple, done.areaRng)), set(done.maxDets), set(done.imgIds)
        chosen = [index for index, image in enumerate(p.imgIds) if image in images]
        step = len(done.imgIds)
        for k, k0 in enumerate([n for n, each in enumerate(p.catIds) if each in categories]):
            for a, a0 in enumerate([n for n, each in enumerate(p.areaRng) if tuple(each) in areas]):
                begin = (k0 * len(done.areaRng) + a0) * step
                found = [self.evalImgs[begin + index] for index in chosen]  # type: ignore[attr-defined]
                found = [each for each in found if each is not None]
                for m, limit in enumerate([each for each in p.maxDets if each in most]):
                    if found:
                        self._curves(found, limit, p.recThrs, tables, (k, a, m))
        self.eval = {"params": p, "counts": counts, "date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
                     **tables}

    def _curves(self, found: list[dict[str, Any]], limit: int, recalls: np.ndarray, tables: dict[str, np.ndarray],
                place: tuple[int, int, int]) -> None:
        """Fills the tables for one category, range of areas and number of detections."""
        counted = np.count_nonzero(np.concatenate([each["gtIgnore"] for each in found]) == 0)
        if counted == 0:
            return
        scores = np.concatenate([each["dtScores"][:limit] for each in found])
        order = np.argsort(-scores, kind="mergesort")
        scores = scores[order]
        matched = self._is_matched(np.concatenate([each["dtMatches"][:, :limit] for each in found], axis=1)[:, order])
        counts = ~np.concatenate([each["dtIgnore"][:, :limit] for each in found], axis=1)[:, order]
        right = np.cumsum(matched & counts, axis=1).astype(np.float64)
        wrong = np.cumsum(~matched & counts, axis=1).astype(np.float64)
        k, a, m = place
        for t, (tp, fp) in enumerate(zip(right, wrong)):
            recall, precision = tp / counted, tp / (fp + tp + np.spacing(1))
            tables["recall"][t, k, a, m] = recall[-1] if len(tp) else 0
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            at = np.searchsorted(recall, recalls, side="left")
            beyond = np.flatnonzero(at >= len(tp))
            reached = int(beyond[0]) if len(beyond) else len(at)
            for name, curve in (("precision", envelope), ("scores", scores)):
                values = np.zeros(len(recalls))
                values[:reached] = curve[at[:reached]]
                tables[name][t, :, k, a, m] = values


def object_keypoint_similarities(gts: list[dict[str, Any]], dts: list[dict[str, Any]], sigmas: np.ndarray,
                                 areas: Sequence[float]) -> np.ndarray:
    """OKS between all detections and objects of an image, as COCO defines it (cocodataset.org, keypoints-eval).

    Args:
        gts: Objects with ``keypoints`` (x, y, v in image px) and ``bbox`` xywh.
        dts: Detections with ``keypoints``.
        sigmas: Shape (K,).
        areas: Of the objects, px^2.

    Returns:
        Shape (D, G), each from 0 to 1. An object without a labelled point is compared by how far the detection
        lies outside of twice its box.
    """
    variances = (sigmas * 2)**2
    points = np.array([each["keypoints"] for each in dts])
    found_x, found_y = points[:, 0::3], points[:, 1::3]
    result = np.zeros((len(dts), len(gts)))
    for column, (gt, area) in enumerate(zip(gts, areas)):
        true = np.array(gt["keypoints"])
        labelled = true[2::3] > 0
        if labelled.any():
            dx, dy = found_x - true[0::3], found_y - true[1::3]
        else:
            x, y, width, height = gt["bbox"][:4]
            dx = np.maximum(0.0, x - width - found_x) + np.maximum(0.0, found_x - (x + width * 2))
            dy = np.maximum(0.0, y - height - found_y) + np.maximum(0.0, found_y - (y + height * 2))
            labelled = np.ones(len(variances), dtype=bool)
        error = (dx**2 + dy**2) / variances / (area + np.spacing(1)) / 2
        # Rows in one piece: numpy adds them up in the order in which upstream adds up a row alone.
        error = np.ascontiguousarray(error[:, labelled])
        result[:, column] = np.sum(np.exp(-error), axis=1) / error.shape[1]
    return result


def fast_box_evaluation(upstream: type) -> type:
    """Makes ``pycocotools.cocoeval.COCOeval`` fast.

    Args:
        upstream: That class.
    """
    return type("COCOeval", (SparseMatching, upstream), {"__doc__": upstream.__doc__})


class _Keypoints(SparseMatching):
    """What differs in ``xtcocotools``."""

    free, table_type = -1, np.int64

    def _is_matched(self, matches: np.ndarray) -> np.ndarray:
        return matches >= 0

    def _is_taken(self, match: float) -> bool:
        return match >= 0

    def _area(self, annotation: dict[str, Any]) -> float:
        if "area" in annotation and self.use_area:  # type: ignore[attr-defined]
            return annotation["area"]
        return annotation["bbox"][2] * annotation["bbox"][3] * 0.53

    def _score(self, detection: dict[str, Any]) -> float:
        return detection[self.score_key]  # type: ignore[attr-defined]

    def computeOks(self, imgId: Any, catId: Any) -> Any:
        """OKS of an image, shape (D, G), detections in the order of their scores; ``[]`` where there is nothing."""
        if self.params.iouType not in ("keypoints", "keypoints_crowd"):  # those with points in several places
            return super().computeOks(imgId, catId)  # type: ignore[misc]
        gts, dts = self._gts[imgId, catId], self._dts[imgId, catId]  # type: ignore[attr-defined]
        if not gts or not dts:
            return []
        order = np.argsort([-self._score(each) for each in dts], kind="mergesort")[:self.params.maxDets[-1]]
        areas = [each["area"] if self.use_area else each["bbox"][3] * each["bbox"][2] * 0.53  # type: ignore
                 for each in gts]
        return object_keypoint_similarities(gts, [dts[index] for index in order], np.asarray(self.sigmas), areas)


def fast_keypoint_evaluation(upstream: type) -> type:
    """Makes ``xtcocotools.cocoeval.COCOeval`` fast.

    Args:
        upstream: That class.
    """
    return type("COCOeval", (_Keypoints, upstream), {"__doc__": upstream.__doc__})
