"""Upstream's transforms of a detector's pipeline without copies that nothing needs, equal bit for bit.

A mosaic takes each picture at one size, that of the network input, whatever it was: that is what the store keeps of it.
Upstream copies the pictures it remembers, at full size, once when it stores and twice when it uses them.
"""
from __future__ import annotations

from typing import Any, Optional

import mmcv
import numpy as np
from mmcv.image.geometric import rescale_size
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import CachedMixUp, CachedMosaic, Resize
from mmdet.datasets.transforms import transforms as upstream
from mmdet.structures.bbox import autocast_box_type

from pose_tools.openmmlab.image_cache.picture import Opener, Picture

_ANNOTATIONS = ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags")


class LazyLoadImageFromFile(LoadImageFromFile):
    """Loads a :class:`Picture` instead of pixels."""

    opener: Opener

    def transform(self, results: dict[str, Any]) -> Optional[dict[str, Any]]:
        """Sets ``img``, ``img_shape`` and ``ori_shape``; see the base class."""
        path = results["img_path"]
        picture = self.opener.open(path, lambda: LoadImageFromFile.transform(self, {"img_path": path})["img"])
        results["img"], results["img_shape"], results["ori_shape"] = picture, picture.size, picture.size
        return results


class CachedLoadImageFromFile(LazyLoadImageFromFile):
    """Loads all pixels, from the store where they are there."""

    def transform(self, results: dict[str, Any]) -> Optional[dict[str, Any]]:
        """As the base class, with pixels of its own."""
        results = super().transform(results)
        if results is not None:
            results["img"] = np.array(results["img"].whole())
        return results


def size_within(shape: tuple[int, int], scale: tuple[int, int]) -> tuple[int, int]:
    """The size at which a mosaic takes a picture.

    Args:
        shape: (height, width) of the picture, px.
        scale: (w, h) of the network input.

    Returns:
        (w, h), the greatest of the picture's proportions within ``scale``.
    """
    ratio = min(scale[1] / shape[0], scale[0] / shape[1])
    return int(shape[1] * ratio), int(shape[0] * ratio)


class LazyResize(Resize):
    """Takes a picture of the wanted size from the store."""

    def _resize_img(self, results: dict[str, Any]) -> None:
        picture = results["img"]
        if not isinstance(picture, Picture):
            super()._resize_img(results)
            return
        height, width = picture.size
        size = rescale_size((width, height), results["scale"])
        results["img"] = picture.resized(size)
        results["img_shape"] = results["img"].shape[:2]
        results["scale_factor"] = (size[0] / width, size[1] / height)
        results["keep_ratio"] = True


class FastCachedMosaic(CachedMosaic):
    """Remembers pictures at the size that the mosaic takes, and copies nothing but boxes."""

    @autocast_box_type()
    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Makes ``img`` a mosaic of four pictures, twice ``img_scale`` in size; see the base class."""
        entry = self._remember(results)
        enough = len(self.results_cache) > 4
        if not enough or upstream.random.uniform(0, 1) > self.prob:
            image = results["img"]
            results["img"] = np.array(image.whole()) if isinstance(image, Picture) else image
            return results
        chosen = [entry, *(self.results_cache[index] for index in self.get_indexes(self.results_cache))]
        width, height = int(self.img_scale[0] * 2), int(self.img_scale[1] * 2)
        mosaic = np.full((height, width, 3), self.pad_val, dtype=np.uint8)
        centre = tuple(int(upstream.random.uniform(*self.center_ratio_range) * side) for side in self.img_scale)
        boxes = []
        for place, one in zip(("top_left", "top_right", "bottom_left", "bottom_right"), chosen):
            image = one["img"]
            target, source = self._mosaic_combine(place, centre, image.shape[:2][::-1])
            mosaic[target[1]:target[3], target[0]:target[2]] = image[source[1]:source[3], source[0]:source[2]]
            moved = one["gt_bboxes"].clone()
            moved.rescale_([one["ratio"], one["ratio"]])
            moved.translate_([target[0] - source[0], target[1] - source[1]])
            boxes.append(moved)
        joined = boxes[0].cat(boxes, 0)
        if self.bbox_clip_border:
            joined.clip_([height, width])
        inside = joined.is_inside([height, width]).numpy()
        results["img"], results["img_shape"], results["gt_bboxes"] = mosaic, mosaic.shape[:2], joined[inside]
        for key in _ANNOTATIONS[1:]:
            results[key] = np.concatenate([one[key] for one in chosen], 0)[inside]
        return results

    def _remember(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds a sample to those that mosaics are made of, and drops one of too many."""
        image = results["img"]
        shape = image.shape[:2]
        size = size_within(shape, self.img_scale)
        entry = {
            "img": image.resized(size) if isinstance(image, Picture) else mmcv.imresize(image, size),
            "ratio": min(self.img_scale[1] / shape[0], self.img_scale[0] / shape[1]),
            **_copied(results),
        }
        _append(self, entry)
        return entry


class FastCachedMixUp(CachedMixUp):
    """Mixes whole numbers; only for a ``ratio_range`` of (1, 1), where nothing is resized a second time."""

    @autocast_box_type()
    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Averages ``img`` with one of the last pictures; see the base class."""
        image = results["img"]
        _append(self, {"img": image.copy(), **_copied(results)})
        if len(self.results_cache) <= 1 or upstream.random.uniform(0, 1) > self.prob:
            return results
        other = self.results_cache[self.get_indexes(self.results_cache)]
        if other["gt_bboxes"].shape[0] == 0:
            return results
        upstream.random.uniform(*self.ratio_range)  # draws as upstream does; it is 1
        mirrored = upstream.random.uniform(0, 1) > self.flip_ratio
        canvas, ratio = self._canvas(other["img"], mirrored)
        height, width = image.shape[:2]
        cut, (x, y) = self._cut(canvas, height, width)
        boxes = other["gt_bboxes"].clone()
        boxes.rescale_([ratio, ratio])
        if self.bbox_clip_border:
            boxes.clip_(list(canvas.shape[:2]))
        if mirrored:
            boxes.flip_(list(canvas.shape[:2]), direction="horizontal")
        boxes.translate_([-x, -y])
        if self.bbox_clip_border:
            boxes.clip_([height, width])
        joined = boxes.cat((results["gt_bboxes"], boxes), dim=0)
        inside = joined.is_inside([height, width]).numpy()
        results["img"], results["img_shape"] = half_and_half(image, cut), image.shape[:2]
        results["gt_bboxes"] = joined[inside]
        for key in _ANNOTATIONS[1:]:
            results[key] = np.concatenate([results[key], other[key]], 0)[inside]
        return results

    def _canvas(self, image: np.ndarray, mirrored: bool) -> tuple[np.ndarray, float]:
        width, height = self.dynamic_scale
        size = size_within(image.shape[:2], self.dynamic_scale)
        ratio = min(height / image.shape[0], width / image.shape[1])
        canvas = np.empty((height, width, 3), np.uint8)
        canvas[:] = np.asarray(self.pad_val).astype(np.uint8)
        canvas[:size[1], :size[0]] = mmcv.imresize(image, size)
        return (canvas[:, ::-1] if mirrored else canvas), ratio

    def _cut(self, canvas: np.ndarray, height: int, width: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Takes ``height`` x ``width`` px out of the canvas at random, padded where it is smaller."""
        rows, columns = canvas.shape[:2]
        if rows < height or columns < width:
            padded = np.empty((max(rows, height), max(columns, width), 3), np.uint8)
            padded[:] = np.asarray(self.pad_val).astype(np.uint8)
            padded[:rows, :columns] = canvas
            canvas = padded
        y = upstream.random.randint(0, canvas.shape[0] - height) if canvas.shape[0] > height else 0
        x = upstream.random.randint(0, canvas.shape[1] - width) if canvas.shape[1] > width else 0
        return canvas[y:y + height, x:x + width], (x, y)


def half_and_half(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mean of two uint8 arrays of one shape, halves rounded down."""
    return (first & second) + ((first ^ second) >> 1)


def _copied(results: dict[str, Any]) -> dict[str, Any]:
    return {"gt_bboxes": results["gt_bboxes"].clone(), **{key: results[key].copy() for key in _ANNOTATIONS[1:]}}


def _append(transform: Any, entry: dict[str, Any]) -> None:
    cache = transform.results_cache
    cache.append(entry)
    if len(cache) > transform.max_cached_images:
        cache.pop(upstream.random.randint(0, len(cache) - 1) if transform.random_pop else 0)
