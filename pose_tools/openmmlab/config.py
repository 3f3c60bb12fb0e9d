"""Loading configs: ours, the ones dumped into a work folder, and upstream's."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Optional, Union

from mmengine import Config

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet, keypoint_set_from_dict
from pose_tools.openmmlab.compat.collection import collection_paused

ROOT = Path(__file__).resolve().parents[2]


def load_config(path: Union[str, Path], options: Optional[dict[str, Any]] = None) -> Config:
    """Loads a config and merges ``--cfg-options`` into it.

    Args:
        path: A config file.
        options: Dotted keys and values.

    Raises:
        UserError: The file is missing or does not load; says what mmengine said.
    """
    # The configs allow this import to fail, so that upstream can read them without us. Here it must not.
    with collection_paused():
        import pose_tools.openmmlab.plugins  # noqa: F401

    path = Path(path)
    if not path.is_file():
        here = path.parent if path.parent.is_dir() else ROOT / "configs"
        known = ", ".join(sorted(p.name for p in here.glob("*.py"))) or "none"
        raise UserError(f"{path}: no such config; configs in {here.name}/: {known}")
    try:
        cfg = Config.fromfile(str(path))
        cfg.merge_from_dict(options or {})
    except Exception as error:  # a config is Python: it can fail in any way at all
        raise UserError(f"{path}: {type(error).__name__}: {error}") from error
    if cfg.get("mirror") is False and cfg.get("default_scope") == "mmpose":
        _without_mirroring(cfg)
    return cfg


def _without_mirroring(cfg: Config) -> None:
    """Takes ``mirror = False`` of a ``meta.py`` into pipelines and flip test; recipes do not see that file."""
    places = [(cfg.get("train_dataloader") or {}).get("dataset") or {}, *cfg.get("custom_hooks", [])]
    for place in places:
        for name in ("pipeline", "switch_pipeline"):
            if name in place:
                place[name] = [step for step in place[name] if step["type"] != "RandomFlip"]
    cfg.model.test_cfg = dict(cfg.model.get("test_cfg") or {}, flip_test=False)


def embedded_config(path: Union[str, Path]) -> Optional[Config]:
    """Reads the config a checkpoint carries: parsed, not executed, since the file may come from anywhere.

    Args:
        path: A checkpoint of a run, or a published one.

    Returns:
        The config, or ``None`` where there is none. What the file says of its scores, JSON, is in it as
        ``calibration``.

    Raises:
        UserError: The file is missing, unsafe or broken.
    """
    from pose_tools.weights.embedded import check_model_types

    meta = _meta_of(path)
    text, values = _config_in(meta, path)
    if values is None:
        return None
    if isinstance(meta.get("calibration"), str):
        values["calibration"] = meta["calibration"]
    dataset = (values.get("test_dataloader") or {}).get("dataset") or {}
    for built in (values.get("model"), dataset.get("pipeline")):
        check_model_types(built, path)
    return Config(values, cfg_text=text, filename=str(path))


def embedded_values(path: Union[str, Path]) -> tuple[str, Optional[dict[str, Any]]]:
    """Reads what the config inside a checkpoint says, without asking whether its models are known here.

    Args:
        path: A checkpoint.

    Returns:
        The config's text and its values; ``""`` and ``None`` where there is none.

    Raises:
        UserError: The file is missing, unsafe or broken.
    """
    return _config_in(_meta_of(path), path)


def _meta_of(path: Union[str, Path]) -> dict[str, Any]:
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    checkpoint = load_checkpoint_file(path)
    meta = checkpoint.get("meta") if isinstance(checkpoint, dict) else None
    return meta if isinstance(meta, dict) else {}


def _config_in(meta: dict[str, Any], path: Union[str, Path]) -> tuple[str, Optional[dict[str, Any]]]:
    from pose_tools.weights.embedded import parse_config_text

    text = meta.get("cfg")
    return (text, parse_config_text(text, path)) if isinstance(text, str) else ("", None)


def kind_of(cfg: Config) -> str:
    """Says what a config trains.

    Returns:
        ``"detector"`` or ``"pose"``.

    Raises:
        UserError: It is neither.
    """
    scope = cfg.get("default_scope")
    if scope not in ("mmdet", "mmpose") or "model" not in cfg:
        raise UserError(f"{cfg.filename}: is neither an mmdet nor an mmpose config (default_scope = {scope!r})")
    return "detector" if scope == "mmdet" else "pose"


def keypoint_set_of(cfg: Config) -> Optional[KeypointSet]:
    """The keypoint set a config of ours carries; ``None`` for upstream's configs.

    Raises:
        UserError: The facts contradict themselves.
    """
    if "keypoints" not in cfg or "classes" not in cfg:
        return None
    return keypoint_set_from_dict(cfg._cfg_dict.to_dict(), cfg.get("dataset_name") or cfg.filename)


def default_work_dir(config: Union[str, Path], fold: Optional[int] = None) -> Path:
    """Where a run writes: ``work_dirs/X`` for ``X.py``, ``work_dirs/X-fold2`` for its fold 2.

    A config dumped into such a folder belongs there already.
    """
    config = Path(config).resolve()
    if fold is None and re.fullmatch(re.escape(config.stem) + r"(-fold\d+)?", config.parent.name):
        return config.parent
    return Path("work_dirs") / (config.stem if fold is None else f"{config.stem}-fold{fold}")


def use_fold(cfg: Config, fold: int) -> None:
    """Takes the annotation files from ``foldN/`` of the data set, as ``split_coco.py --folds`` makes them.

    Args:
        cfg: A loaded config; changed.
        fold: Which one, from 0.
    """
    for split in ("train", "val", "test"):
        for part in (cfg.get(f"{split}_dataloader", {}).get("dataset"), cfg.get(f"{split}_evaluator")):
            if part and "ann_file" in part:
                file = Path(part["ann_file"])
                part["ann_file"] = (file.parent / f"fold{fold}" / file.name).as_posix()


def annotation_file(dataset: dict[str, Any]) -> Path:
    """Path of a dataset config's ``ann_file``, joined with its ``data_root`` as mmengine does."""
    return Path(os.path.join(dataset.get("data_root") or "", dataset["ann_file"]))


def image_folder(dataset: dict[str, Any]) -> Path:
    """Path of a dataset config's image folder, joined with its ``data_root`` as mmengine does."""
    return Path(os.path.join(dataset.get("data_root") or "", dataset.get("data_prefix", {}).get("img", "")))
