"""The facts about a checkpoint, read from the config inside. torch is imported inside functions."""
from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.formats.calibration import Calibration
from pose_tools.inference.runtime.facts import ModelFacts

if TYPE_CHECKING:
    from mmengine import Config

_PUBLISHED = re.compile(r"-[0-9a-f]{8}_\d{8}.*$")
# Whose outputs are SimCC rows, and boxes of one kind, and nothing else.
_POSE_HEADS = ("RTMCCHead", "SimCCHead", "RTMWHead")
_DET_HEADS = ("RTMDetSepBNHead", "RTMDetHead")


class UnknownLayout(FaultsError):
    """A sound checkpoint, but its pictures are prepared or its outputs decoded in a way this runtime does not know."""


def read_checkpoint_config(path: Union[str, Path], config: Optional[Path] = None) -> tuple[Config, str]:
    """Reads the config of a checkpoint.

    Args:
        path: Written by ``tools/publish_model.py``, a checkpoint of a run, or published weights of mmdet or mmpose.
        config: A config file instead of what the checkpoint carries. One that carries none, and has a file name that
            the indexes of the installed packages know, has their config.

    Returns:
        The config, and what it is: ``"detector"`` or ``"pose"``.

    Raises:
        UserError: The file is missing, unsafe, or carries no config; or the config is of no such model.
    """
    from pose_tools.openmmlab.config import embedded_config, kind_of
    from pose_tools.openmmlab.upstream_meta import load_upstream_config

    cfg = load_upstream_config(config) if config is not None else embedded_config(path)
    if cfg is None:
        known = _config_of_known_file(Path(path).name)
        cfg = load_upstream_config(known) if known else None
    if cfg is None:
        raise UserError(f"{path}: carries no config; publish it with tools/publish_model.py, or give its config too "
                        "(--det-config, --pose-config)")
    if not cfg.get("test_dataloader"):
        raise UserError(f"{path}: the config in it does not say how pictures are prepared (test_dataloader); "
                        "publish it again with --config FILE")
    kind = kind_of(cfg)
    cfg.model.pop("init_cfg", None)
    return cfg, kind


def _config_of_known_file(name: str) -> Optional[Path]:
    from pose_tools.weights.catalog import Catalog
    from pose_tools.weights.catalog.config_files import installed_config

    known = Catalog().with_file(name)
    return installed_config(known[0].config) if known else None


def facts_of_checkpoint(path: Union[str, Path]) -> ModelFacts:
    """Reads the facts about a checkpoint.

    Args:
        path: As for :func:`read_checkpoint_config`.

    Raises:
        UserError: The file is missing, unsafe, or carries no config.
        FaultsError: The config does not name classes or keypoints.
        UnknownLayout: Its pictures are prepared, or its outputs decoded, in a way this runtime does not know.
    """
    cfg, kind = read_checkpoint_config(path)
    return facts_of_config(cfg, kind, Path(path))


def facts_of_config(cfg: Config, kind: str, path: Path) -> ModelFacts:
    """Reads the facts out of a config.

    Args:
        cfg: Of a checkpoint.
        kind: ``"detector"`` or ``"pose"``.
        path: Of the checkpoint, for the name and the errors.

    Raises:
        FaultsError: As for :func:`facts_of_checkpoint`; also UnknownLayout.
        UserError: Its calibration is none, or of other keypoints.
    """
    steps = {step["type"].rpartition(".")[2]: step for step in cfg.test_dataloader.dataset.pipeline}
    from pose_tools.openmmlab.config import keypoint_set_of
    from pose_tools.openmmlab.upstream_meta import upstream_classes, upstream_keypoint_set

    keypoint_set = keypoint_set_of(cfg)
    if keypoint_set is None and kind == "pose":
        keypoint_set = upstream_keypoint_set(cfg)
    faults: list[Fault] = []
    values = _preprocessor(cfg.model.get("data_preprocessor") or {}, path, faults)
    values.update(_pose(cfg, steps, path, faults) if kind == "pose" else _detector(cfg, steps, path, faults))
    classes = keypoint_set.classes if keypoint_set else upstream_classes(cfg)
    unnamed = []
    if kind == "pose" and keypoint_set is None:
        unnamed.append(Fault(path, "its config does not name its keypoints"))
    elif not classes:
        unnamed.append(Fault(path, "its config does not name its classes"))
    if unnamed:
        raise FaultsError([*unnamed, *faults])
    if faults:
        raise UnknownLayout(faults)
    calibration = str(cfg.get("calibration") or "") if kind == "pose" else ""
    Calibration.of_model(calibration, keypoint_set, path)  # one of other keypoints must not be used
    return ModelFacts(kind, _name(path), tuple(classes), keypoint_set, source=path.name, calibration=calibration,
                      **values)


def _name(path: Path) -> str:
    """``rtmpose-s-carpose`` of a published file; of a run's checkpoint its folder, which has the config's name."""
    stem = _PUBLISHED.sub("", path.stem)
    of_run = stem == path.stem and stem.startswith(("best_", "epoch_", "iter_"))
    return (path.resolve().parent.name or stem) if of_run else stem


def _short(kind: Any) -> str:
    return str(kind).rpartition(".")[2]


def _preprocessor(prepared: dict[str, Any], path: Path, faults: list[Fault]) -> dict[str, Any]:
    mean, std = prepared.get("mean") or (0., 0., 0.), prepared.get("std") or (1., 1., 1.)
    if len(mean) != 3 or len(std) != 3:
        faults.append(Fault(path, f"mean {mean} and std {std} are not of three channels", "data_preprocessor"))
    return {"mean": tuple(map(float, mean)), "std": tuple(map(float, std)),
            "to_rgb": bool(prepared.get("bgr_to_rgb") or prepared.get("rgb_to_bgr"))}


def _pose(cfg: Config, steps: dict[str, Any], path: Path, faults: list[Fault]) -> dict[str, Any]:
    head, affine = cfg.model.get("head") or {}, steps.get("TopdownAffine") or {}
    if _short(cfg.model.get("type")) != "TopdownPoseEstimator" or _short(head.get("type")) not in _POSE_HEADS:
        faults.append(Fault(path, f"is {cfg.model.get('type')} with {head.get('type')}; TopdownPoseEstimator with "
                            f"{' or '.join(_POSE_HEADS)} is what runs here", "model.head"))
    if (cfg.model.get("test_cfg") or {}).get("output_keypoint_indices") is not None:
        faults.append(Fault(path, "chooses some of its keypoints", "model.test_cfg.output_keypoint_indices"))
    decoder = head.get("decoder") or {}
    if decoder.get("type") != "SimCCLabel" or decoder.get("use_dark") or decoder.get("decode_visibility"):
        faults.append(Fault(path, f"is decoded by {decoder.get('type')} {dict(decoder)}; "
                            "a plain SimCCLabel is what runs here", "model.head.decoder"))
    if "GetBBoxCenterScale" not in steps or "input_size" not in affine:
        faults.append(Fault(path, f"is {', '.join(steps)}; GetBBoxCenterScale and TopdownAffine are what runs here",
                            "test pipeline"))
    elif tuple(decoder.get("input_size") or ()) != tuple(affine["input_size"]):
        faults.append(Fault(path, f"crops have {affine['input_size']} px, and the head {decoder.get('input_size')}",
                            "input size"))
    return {"input_size": tuple(affine.get("input_size", (0, 0))),
            "bbox_padding": float((steps.get("GetBBoxCenterScale") or {}).get("padding", 1.25)),
            "use_udp": bool(affine.get("use_udp", False)),
            "simcc_split_ratio": float(decoder.get("simcc_split_ratio", 2.0)),
            "flip_test": bool((cfg.model.get("test_cfg") or {}).get("flip_test", False))}


def _detector(cfg: Config, steps: dict[str, Any], path: Path, faults: list[Fault]) -> dict[str, Any]:
    resize, pad = steps.get("Resize") or {}, steps.get("Pad") or {}
    size, scale = tuple(pad.get("size") or ()), resize.get("scale")
    scale = (scale, scale) if isinstance(scale, int) else tuple(scale or ())
    if not resize.get("keep_ratio") or len(size) != 2 or size != scale or resize.get("interpolation", "bilinear") != \
            "bilinear":
        faults.append(Fault(path, f"Resize {dict(resize)}, Pad {dict(pad)}: Resize with keep_ratio and Pad to the same "
                            "size are what runs here", "test pipeline"))
    head = cfg.model.get("bbox_head") or {}
    if _short(cfg.model.get("type")) != "RTMDet" or _short(head.get("type")) not in _DET_HEADS:
        faults.append(Fault(path, f"is {cfg.model.get('type')} with {head.get('type')}; RTMDet with "
                            f"{' or '.join(_DET_HEADS)} is what runs here", "model.bbox_head"))
    test, value = cfg.model.get("test_cfg") or {}, pad.get("pad_val", 0)
    value = value.get("img", 0) if isinstance(value, dict) else value
    if isinstance(value, (list, tuple)):
        if len(set(value)) != 1:
            faults.append(Fault(path, f"{value} is not grey", "test pipeline: pad_val"))
        value = value[0]
    return {"input_size": size if len(size) == 2 else (0, 0), "pad_value": int(value),
            "score_threshold": float(test.get("score_thr", 0.05)),
            "nms_threshold": float((test.get("nms") or {}).get("iou_threshold", 0.65)),
            "nms_pre": int(test.get("nms_pre", 30000)), "max_per_image": int(test.get("max_per_img", 300))}
