"""What configs of mmpose and mmdet say of keypoints and classes, which they do otherwise than ours."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet, Rgb, keypoint_set_from_dict
from pose_tools.openmmlab.compat import mmpretrain_parts
from pose_tools.openmmlab.config import load_config

# mmpose sorts its data sets into folders by what has the keypoints, and says it nowhere else.
_CLASSES = {"body": "person", "wholebody": "person", "body3d": "person", "wholebody3d": "person", "hand": "hand",
            "hand3d": "hand", "face": "face", "animal": "animal", "fashion": "clothes"}


def pose_metainfo(cfg: Config, split: str) -> Optional[dict[str, Any]]:
    """The keypoints of one of a config's data sets, as mmpose describes them.

    As ``mmpose/apis/inference.py:22`` finds it, but that a file is taken from the installed mmpose alone when the
    config came out of a checkpoint: such a config must not choose Python files to run.

    Args:
        cfg: Of mmpose.
        split: ``train`` or ``test``.

    Returns:
        ``dataset_name``, ``keypoint_info``, ``skeleton_info``, ``sigmas``, ``joint_weights``; None where there is none.

    Raises:
        UserError: It stands in a file that is not there.
    """
    dataset = (cfg.get(f"{split}_dataloader") or {}).get("dataset") or {}
    info = dataset.get("metainfo") or getattr(_dataset_class(dataset), "METAINFO", None) or {}
    if "from_file" in info:
        info = _metainfo_file(cfg, str(info["from_file"]))
    return dict(info) if "keypoint_info" in info else None


def _metainfo_file(cfg: Config, name: str) -> dict[str, Any]:
    import mmpose

    installed = Path(mmpose.__file__).parent / ".mim" / "configs" / "_base_" / "datasets" / Path(name).name
    if not installed.is_file() and not (Path(name).is_file() and str(cfg.filename).endswith(".py")):
        raise UserError(f"{cfg.filename}: its keypoints are in {name}, which is not there and not in mmpose either")
    return Config.fromfile(str(installed if installed.is_file() else name)).dataset_info


def _dataset_class(dataset: dict[str, Any]) -> Optional[type]:
    import mmpose.datasets.datasets  # noqa: F401  # registers them
    from mmpose.registry import DATASETS

    parts = dataset.get("datasets")
    kind = (parts[0] if parts else dataset).get("type")
    return DATASETS.get(kind) if isinstance(kind, str) else None


def upstream_keypoint_set(cfg: Config) -> Optional[KeypointSet]:
    """The keypoint set of one of mmpose's configs, as far as it is that of what its head gives.

    Args:
        cfg: Of mmpose.

    Returns:
        Names, swaps, links and sigmas; None where no data set of the config has the right number of keypoints.

    Raises:
        UserError: As :func:`pose_metainfo`, or the keypoints contradict themselves.
    """
    wanted = keypoint_count(cfg)
    for split in ("test", "train"):
        info = pose_metainfo(cfg, split)
        if info is not None and wanted in (None, len(info["keypoint_info"])):
            return _keypoint_set(info, _class_name(cfg), str(cfg.filename))
    return None


def keypoint_count(cfg: Config) -> Optional[int]:
    """The number of keypoints a top-down model gives; None where its head does not say."""
    chosen = (cfg.model.get("test_cfg") or {}).get("output_keypoint_indices")
    if chosen is not None:
        return len(chosen)
    head = cfg.model.get("head") or {}
    if (head.get("decoder") or {}).get("heatmap_type") == "combined":  # a map and two of offsets for each
        return int(head["out_channels"]) // 3
    for name in ("num_joints", "out_channels", "num_keypoints"):
        if isinstance(head.get(name), int):
            return head[name]
    shape = head.get("out_shape")
    return int(shape[0]) if shape and head.get("type") == "MSPNHead" else None


def _class_name(cfg: Config) -> str:
    kind = _dataset_class((cfg.get("test_dataloader") or {}).get("dataset") or {})
    folder = kind.__module__.split(".")[-2] if kind else ""
    return _CLASSES.get(folder, "object")


def _keypoint_set(info: dict[str, Any], name: str, file: str) -> KeypointSet:
    points = [each for _, each in sorted(info["keypoint_info"].items(), key=lambda item: int(item[0]))]
    names = [str(each["name"]) for each in points]
    mirror = {own: str(each.get("swap") or own) for own, each in zip(names, points)}
    # One of deepfashion2's points names a partner that names another.
    swaps = {tuple(sorted((own, other), key=names.index)) for own, other in mirror.items()
             if own != other and mirror.get(other) == own}
    links = {tuple(map(str, each["link"])): _rgb(each, (96, 96, 255)) for each in info["skeleton_info"].values()}
    links = {pair: colour for pair, colour in links.items() if pair[0] != pair[1]}
    found = keypoint_set_from_dict({
        "classes": (name, ), "keypoints": names, "swaps": sorted(swaps, key=lambda pair: names.index(pair[0])),
        "links": list(links), "sigmas": [float(each) for each in info["sigmas"]],
    }, file)
    return replace(found, colours=tuple(_rgb(each, (255, 128, 0)) for each in points),
                   link_colours=tuple(links.values()))


def _rgb(described: dict[str, Any], default: Rgb) -> Rgb:
    """The colour of a keypoint or link; mmpose has those defaults (``datasets/datasets/utils.py``)."""
    red, green, blue = (int(part) for part in described.get("color") or default)
    return red, green, blue


def upstream_classes(cfg: Config) -> tuple[str, ...]:
    """The classes of a detector: its config names them, or else its data set does.

    Args:
        cfg: Of mmdet.

    Returns:
        Names in the order of the labels; empty where they are not known, or not as many as the head has.
    """
    dataset = cfg.test_dataloader.dataset
    info = (dataset.get("metainfo") or {}).get("classes") or cfg.get("classes")
    if not info and cfg.get("default_scope") == "mmdet":
        import mmdet.datasets  # noqa: F401  # registers them
        from mmdet.registry import DATASETS

        info = getattr(DATASETS.get(dataset.get("type", "")), "METAINFO", {}).get("classes")
    names = (info,) if isinstance(info, str) else tuple(map(str, info or ()))
    return names if class_count(cfg) in (None, len(names)) else ()


def class_count(cfg: Config) -> Optional[int]:
    """The number of classes of a detector's head; None where it does not say."""
    head = (cfg.model.get("roi_head") or {}).get("bbox_head") or cfg.model.get("bbox_head") or {}
    head = head[-1] if isinstance(head, (list, tuple)) and head else head
    count = head.get("num_classes") if isinstance(head, dict) else None
    return count if isinstance(count, int) else None


def load_upstream_config(path: Path) -> Config:
    """Loads a config of mmdet's or mmpose's, or one of ours.

    Args:
        path: A config file; it is executed, as mmengine does with every config.

    Raises:
        UserError: It is missing or does not load.
    """
    with mmpretrain_parts.deferred():
        return load_config(path)


def prepare_parts(cfg: Config) -> None:
    """Imports what a config builds its network from, beside mmdet and mmpose.

    Args:
        cfg: A config, which need not name its imports.

    Raises:
        UserError: It needs mmpretrain, which is not installed.
    """
    if "mmpretrain." in str(cfg.model):
        mmpretrain_parts.install(Path(str(cfg.filename)).stem)
