"""What a published checkpoint says of its training, row by row; what it does not say is not guessed."""
from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping
from typing import Any, Optional

from pose_tools.console import UserError
from pose_tools.formats.coco import load_coco
from pose_tools.weights.addresses import is_address
from pose_tools.weights.release.facts import POSE, Facts
from pose_tools.weights.release.machine_paths import ROOT

NOT_RECORDED = "not recorded"
Values = Mapping[str, Any]


def training_rows(meta: Values, config: Values, facts: Facts, counts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Summarises a training.

    Args:
        meta: Of the published checkpoint.
        config: Values of its config, without paths of a machine.
        facts: Of the model.
        counts: From :func:`data_counts`.

    Returns:
        What, and what is recorded of it.
    """
    rows = [
        ("data set", facts.dataset or NOT_RECORDED),
        ("trained on", _data(config, "train", counts)),
        ("validated on", _data(config, "val", counts)),
        ("input size", _input_size(config)),
        ("length", _length(meta, config)),
        ("batch size", _in(config, "train_dataloader", "batch_size")),
        ("optimiser", _optimiser(config)),
        ("learning-rate schedule", _schedule(config)),
        ("averaged weights", _averaging(config)),
        ("precision", _precision(config)),
        ("seed", _seed(meta, config)),
        ("started from", _start(config)),
        ("saved on", _day(meta)),
        ("trained with", _mmengine(meta)),
        ("published with", ", ".join(f"{name} {version}" for name, version in _dict(meta.get("versions")).items())),
    ]
    return [(what, value or NOT_RECORDED) for what, value in rows]


def data_counts(meta: Values, config: Values, facts: Facts) -> dict[str, str]:
    """Counts what the training and validation files hold, where they are on this machine.

    A data set of the same name may have been made anew since. So the counts are only given where the training
    file holds as many samples as the steps of the run and its batch size say.

    Args:
        meta: Of the checkpoint.
        config: Values of its config as the run had them.
        facts: Of the model.

    Returns:
        Texts under ``train`` and ``val``; empty where there is nothing to count, or it is not what was used.
    """
    found = {split: _counted(config, split) for split in ("train", "val")}
    if found["train"] is None:
        return {}
    images, objects, labelled = found["train"]
    loader = _dict(config.get("train_dataloader"))
    epoch, steps, batch = meta.get("epoch"), meta.get("iter"), loader.get("batch_size")
    if not all(isinstance(value, int) and value > 0 for value in (epoch, steps, batch)):
        return {}
    samples = (labelled if facts.task == POSE else images) / batch
    if steps != epoch * (math.floor(samples) if loader.get("drop_last") else math.ceil(samples)):
        return {}
    what = "objects with keypoints" if facts.task == POSE else "objects"
    return {split: f"{counts[0]} images, {counts[2] if facts.task == POSE else counts[1]} {what}"
            for split, counts in found.items() if counts is not None}


def _counted(config: Values, split: str) -> Optional[tuple[int, int, int]]:
    """Images, objects, and objects with a labelled keypoint, of a COCO file on this machine."""
    dataset = _dict(_dict(config.get(f"{split}_dataloader")).get("dataset"))
    name = dataset.get("ann_file")
    if not isinstance(name, str) or not name.endswith(".json"):
        return None
    try:
        data = load_coco(ROOT / str(dataset.get("data_root") or "") / name)
        objects = [each for each in data["annotations"] if not each.get("iscrowd")]
        labelled = sum(1 for each in objects if any(v > 0 for v in each.get("keypoints", ())[2::3]))
        return len(data["images"]), len(objects), labelled
    except (UserError, OSError, KeyError, TypeError, AttributeError):
        return None


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _in(config: Values, *keys: str) -> str:
    value: Any = config
    for key in keys:
        value = _dict(value).get(key)
    return "" if value is None else _number(value)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _data(config: Values, split: str, counts: Mapping[str, str]) -> str:
    dataset = _dict(_dict(config.get(f"{split}_dataloader")).get("dataset"))
    name = posixpath.basename(str(dataset.get("ann_file") or ""))
    return ": ".join(filter(None, (name, counts.get(split))))


def _input_size(config: Values) -> str:
    head = _dict(_dict(config.get("model")).get("head"))
    size = head.get("input_size") or _dict(config.get("codec")).get("input_size") or config.get("input_size")
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        return ""
    return f"{size[0]} x {size[1]} px (width x height)"


def _length(meta: Values, config: Values) -> str:
    epoch, steps = meta.get("epoch"), meta.get("iter")
    most = _dict(config.get("train_cfg")).get("max_epochs")
    told = f"epoch {epoch}{f' of {most}' if most else ''}" if epoch is not None else ""
    return ", ".join(filter(None, (told, f"{steps} steps" if steps is not None else "")))


def _optimiser(config: Values) -> str:
    optimiser = _dict(_dict(config.get("optim_wrapper")).get("optimizer"))
    details = [f"{words} {_number(optimiser[key])}" for key, words in (
        ("lr", "learning rate"), ("weight_decay", "weight decay"), ("momentum", "momentum")) if key in optimiser]
    return ", ".join([str(optimiser["type"]), *details]) if optimiser.get("type") else ""


def _schedule(config: Values) -> str:
    steps = config.get("param_scheduler")
    return "; ".join(_scheduler(each) for each in ([steps] if isinstance(steps, dict) else steps or ())
                     if isinstance(each, dict))


def _scheduler(each: Values) -> str:
    unit = "epoch" if each.get("by_epoch", True) else "step"
    to = f" to {unit} {each['end']}" if each.get("end") is not None else ""
    lowest = f", down to {_number(each['eta_min'])}" if "eta_min" in each else ""
    return f"{each.get('type')} from {unit} {each.get('begin', 0)}{to}{lowest}"


def _hooks(config: Values, kind: str) -> list[Values]:
    hooks = config.get("custom_hooks")
    return [each for each in (hooks if isinstance(hooks, (list, tuple)) else ())
            if isinstance(each, dict) and str(each.get("type")).rpartition(".")[2] == kind]


def _averaging(config: Values) -> str:
    hooks = _hooks(config, "EMAHook")
    if not hooks:
        return "no"
    momentum = f", momentum {_number(hooks[0]['momentum'])}" if "momentum" in hooks[0] else ""
    return f"yes: {hooks[0].get('ema_type', 'ExponentialMovingAverage')}{momentum}"


def _precision(config: Values) -> str:
    if isinstance(config.get("precision"), str):
        return config["precision"]
    wrapper = _dict(config.get("optim_wrapper"))
    kind = str(wrapper.get("type")).rpartition(".")[2]
    return "fp16" if kind == "ScaledOptimWrapper" else f"mixed, {wrapper.get('dtype', 'float16')}" \
        if kind == "AmpOptimWrapper" else ""


def _seed(meta: Values, config: Values) -> str:
    seed = meta.get("seed")
    return str(seed) if seed is not None else _in(config, "randomness", "seed")


def _start(config: Values) -> str:
    if config.get("from_scratch") is True:
        return "nothing (from scratch)"
    for hook in _hooks(config, "PretrainedHook"):
        return _weights_name(hook.get("checkpoint"))
    model = _dict(config.get("model"))
    for part, words in ((model, ""), (_dict(model.get("backbone")), " (backbone)")):
        init = _dict(part.get("init_cfg"))
        if init.get("type") == "Pretrained":
            return _weights_name(init.get("checkpoint")) + words
    return ""


def _weights_name(checkpoint: Any) -> str:
    text = str(checkpoint or "")
    return text.partition("?")[0] if is_address(text) else posixpath.basename(text.replace("\\", "/"))


def _day(meta: Values) -> str:
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)_\d{6}", str(meta.get("time")))
    return "-".join(found.groups()) if found else ""


def _mmengine(meta: Values) -> str:
    # mmengine puts the hash of a git commit right behind its version.
    found = re.fullmatch(r"(.+?)(?:[0-9a-f]{40})?", str(meta.get("mmengine_version") or ""))
    return f"mmengine {found[1]}" if found else ""
