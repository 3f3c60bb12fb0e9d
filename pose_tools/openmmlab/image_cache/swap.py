"""Puts our transforms into a built pipeline in the place of upstream's, instance for instance."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import mmdet.datasets.transforms as det
import mmpose.datasets.transforms as pose
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmpose.codecs import SimCCLabel

from pose_tools.openmmlab.image_cache import augmentation, detector_transforms, pose_transforms
from pose_tools.openmmlab.image_cache.picture import Opener
from pose_tools.openmmlab.image_cache.reach import affine_steps

_SIMPLE = {
    det.YOLOXHSVRandomAug: augmentation.FastHSVOfDetector,
    pose.YOLOXHSVRandomAug: augmentation.FastHSVOfPose,
    pose.RandomBBoxTransform: augmentation.FastRandomBBoxTransform,
    pose.PackPoseInputs: augmentation.FastPackPoseInputs,
    det.PackDetInputs: augmentation.FastPackDetInputs,
}
_LAZY = {
    pose.LoadImage: pose_transforms.LazyLoadImage,
    pose.RandomFlip: pose_transforms.LazyRandomFlip,
    pose.TopdownAffine: pose_transforms.LazyTopdownAffine,
}
_LOADERS = (pose_transforms.LazyLoadImage, detector_transforms.LazyLoadImageFromFile)


def swap(transforms: Sequence[Any], opener: Opener) -> list[Any]:
    """Makes a pipeline of ours from upstream's; classes that somebody derived from upstream's stay.

    Args:
        transforms: Of a built pipeline; not changed.
        opener: For transforms that load pictures.

    Returns:
        Transforms that give the same samples.
    """
    made = [_like(step, _SIMPLE[type(step)]) if type(step) in _SIMPLE else step for step in transforms]
    made = [_with_fast_codec(step) if type(step) is pose.GenerateTarget else step for step in made]
    made = _fast_mixing(made)
    if affine_steps(transforms) is not None:
        end = next(i for i, step in enumerate(made) if isinstance(step, pose.TopdownAffine)) + 1
        made[:end] = [_like(step, _LAZY[type(step)], opener) if type(step) in _LAZY else step for step in made[:end]]
        return made
    return [_loading(step, opener, takes_lazily(transforms)) for step in made]


def takes_lazily(transforms: Sequence[Any]) -> Any:
    """The step of a detector's pipeline that takes a picture at one size, straight from loading.

    Args:
        transforms: Of a pipeline of upstream's.

    Returns:
        None where there is no such step.
    """
    steps = list(transforms)
    start = next((i for i, step in enumerate(steps) if isinstance(step, LoadImageFromFile)), None)
    after = [] if start is None else [step for step in steps[start + 1:] if not _boxes_only(step)]
    first = after[0] if after else None
    if type(first) is det.CachedMosaic and _no_masks(steps):
        return first
    if type(first) is det.Resize:
        plain = first.keep_ratio and first.scale and first.backend == "cv2" and first.interpolation == "bilinear"
        return first if plain else None
    return None


def plainly_loaded(step: Any) -> bool:
    """Whether a loading step gives uint8 BGR of shape (H, W, 3), whatever the picture."""
    return not step.to_float32 and step.color_type == "color" and step.imdecode_backend == "cv2" \
        and not step.ignore_empty


def _boxes_only(step: Any) -> bool:
    return type(step) is det.LoadAnnotations and not (step.with_mask or step.with_seg)


def _no_masks(steps: Sequence[Any]) -> bool:
    return all(_boxes_only(step) for step in steps if isinstance(step, det.LoadAnnotations))


def _loading(step: Any, opener: Opener, taker: Any) -> Any:
    if type(step) is LoadImageFromFile and plainly_loaded(step):
        lazy = taker is not None
        kind = detector_transforms.LazyLoadImageFromFile if lazy else detector_transforms.CachedLoadImageFromFile
        return _like(step, kind, opener)
    if type(step) is pose.LoadImage and plainly_loaded(step):
        return _like(step, pose_transforms.CachedLoadImage, opener)
    return _like(step, detector_transforms.LazyResize) if type(step) is det.Resize and step is taker else step


def _fast_mixing(steps: list[Any]) -> list[Any]:
    """Mosaic and mix-up remember samples: as soon as one is ours, what it remembers is ours too."""
    if not _no_masks(steps):
        return steps
    made = []
    for step in steps:
        if type(step) is det.CachedMosaic:
            step = _like(step, detector_transforms.FastCachedMosaic)
        elif type(step) is det.CachedMixUp and tuple(step.ratio_range) == (1, 1) and np.ptp(step.pad_val) == 0:
            step = _like(step, detector_transforms.FastCachedMixUp)
        if isinstance(step, (detector_transforms.FastCachedMosaic, detector_transforms.FastCachedMixUp)):
            step.results_cache = []
        made.append(step)
    return made


def _with_fast_codec(step: Any) -> Any:
    if type(step.encoder) is not SimCCLabel or step.encoder.smoothing_type != "gaussian":
        return step
    made = _like(step, type(step))
    made.encoder = _like(step.encoder, augmentation.FastSimCCLabel)
    return made


def _like(step: Any, kind: type, opener: Optional[Opener] = None) -> Any:
    """An instance of ``kind`` with the settings of ``step``, an instance of its base class."""
    made = kind.__new__(kind)
    made.__dict__.update(step.__dict__)
    if opener is not None and issubclass(kind, _LOADERS):
        made.opener = opener
    return made
