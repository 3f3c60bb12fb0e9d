"""Area and overlap of boxes, all in one space."""
from __future__ import annotations

import numpy as np


def paired_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union, box by box.

    Args:
        a: (..., 4) xywh.
        b: (..., 4) xywh, same space; the leading axes broadcast.

    Returns:
        (...); 0 where both boxes are empty.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = np.prod(a[..., 2:], axis=-1) + np.prod(b[..., 2:], axis=-1) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def iou_xywh(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs.

    Args:
        a: (N, 4) xywh.
        b: (M, 4) xywh, same space.

    Returns:
        (N, M); 0 where both boxes are empty.
    """
    return paired_iou(np.asarray(a, float).reshape(-1, 1, 4), np.asarray(b, float).reshape(1, -1, 4))


def areas_xyxy(boxes: np.ndarray) -> np.ndarray:
    """(N,) areas of (N, 4) xyxy; 0 for a box that is inside out."""
    return np.asarray(np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1))


def shared_xyxy(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) areas that boxes (N, 4) and (M, 4), xyxy, share."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.prod(np.clip(high - low, 0, None), axis=2))


def iou_xyxy(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs.

    Args:
        a: (N, 4) xyxy.
        b: (M, 4) xyxy, same space.

    Returns:
        (N, M); 0 where both boxes are empty.
    """
    a, b = (np.asarray(boxes, float).reshape(-1, 4) for boxes in (a, b))
    inter = shared_xyxy(a, b)
    union = areas_xyxy(a)[:, None] + areas_xyxy(b)[None] - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
