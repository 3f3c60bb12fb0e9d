"""One training run, from a config file to a work folder."""
from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import torch
from mmengine import Config
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner, find_latest_checkpoint

from pose_tools.console import UserError
from pose_tools.openmmlab.auto_batch import auto_batch
from pose_tools.openmmlab.config import default_work_dir, embedded_values, kind_of, load_config, use_fold
from pose_tools.openmmlab.device import use_device
from pose_tools.openmmlab.hooks import StopOnInterruptHook
from pose_tools.openmmlab.input_size import set_input_size
from pose_tools.openmmlab.loading import fit_loaders
from pose_tools.openmmlab.log_lines import ReadableRunner
from pose_tools.openmmlab.preflight import Counts, check_before_run
from pose_tools.openmmlab.recipe import apply_schedule, changed_for_trial, derive_schedule
from pose_tools.openmmlab.step.compilation import compile_parts
from pose_tools.openmmlab.step.fast_step import bare_model, make_step_fast
from pose_tools.openmmlab.step.precision import apply_precision, choose_precision, use_fused_optimizer
from pose_tools.openmmlab.step.weight_average import drop_average
from pose_tools.options.training import TrainOptions
from pose_tools.weights.config_sources import weights_in_config
from pose_tools.weights.resolve import resolve_weights

WITHOUT = "or go on without pretrained weights: --no-pretrained"


def _last_checkpoint(work_dir: Path, wanted: str) -> Optional[str]:
    if wanted != "auto":
        if not Path(wanted).is_file():
            raise UserError(f"{wanted}: no such checkpoint to resume from")
        return wanted
    latest = find_latest_checkpoint(str(work_dir)) if (work_dir / "last_checkpoint").is_file() else None
    if latest is None:
        return None
    # The folder may have been moved since; the name stays.
    here = work_dir / Path(latest).name
    return str(here if here.is_file() else latest)


def _start_from(cfg: Config, options: TrainOptions, work_dir: Path) -> list[str]:
    """Decides what the run starts from: a checkpoint of its own, trained weights, or nothing.

    Sets ``cfg.from_scratch``, which a resumed run takes over from the run it goes on with.
    """
    init = cfg.model.pop("init_cfg", None)
    source = (cfg.get("load_from") or (init or {}).get("checkpoint")) if options.pretrained else None
    backbone = cfg.model.get("backbone", {}).get("init_cfg") if options.pretrained else None
    cfg.resume, cfg.from_scratch = False, not (source or backbone)
    if options.resume:
        cfg.load_from = _last_checkpoint(work_dir, options.resume)
        cfg.resume = cfg.load_from is not None
        if cfg.resume:
            before = embedded_values(cfg.load_from)[1] or {}
            cfg.from_scratch = before.get("from_scratch", cfg.from_scratch)
            return [f"resuming {cfg.load_from}"]
    if not options.pretrained:
        cfg.load_from = None
        if cfg.model.get("backbone", {}).get("init_cfg"):
            cfg.model.backbone.pop("init_cfg")
        return ["starting from scratch"]
    cfg.load_from = None
    # What mmengine would fetch in the middle of building the model, now: it fails early, with all sources named.
    parts = [resolve_weights(each, advice=WITHOUT).name for each in weights_in_config({"model": cfg.model.to_dict()})]
    if not source:
        return [f"starting as the config initialises the model{', from ' if parts else ''}{', '.join(parts)}"]
    path = resolve_weights(source, advice=WITHOUT)
    here = os.path.relpath(path)
    path = path if here.startswith("..") else Path(here)
    cfg.custom_hooks = [*cfg.get("custom_hooks", []), dict(type="PretrainedHook", checkpoint=str(path))]
    return [f"starting from {path}"]


def _fit_schedule(cfg: Config, options: TrainOptions, counts: dict[str, Counts], processes: int) -> list[str]:
    if options.recipe == "config":
        return ["schedule as the config has it"]
    if cfg.get("schedule_derived"):
        if options.epochs or options.batch_size or options.auto_batch or options.accumulate or options.auto_scale_lr:
            raise UserError(f"{options.config}: is the config of a run, its schedule made for that run's epochs and "
                            "batch; give the config in configs/ to change its epochs, batch or learning rate")
        return ["schedule as the run that wrote this config derived it"]
    if "train" not in counts:
        return ["schedule as the config has it: the training set is not a plain COCO file"]
    samples = counts["train"].images if kind_of(cfg) == "detector" else counts["train"].instances
    stage2 = cfg.get("stage2_num_epochs", 0)
    accumulate = cfg.optim_wrapper.get("accumulative_counts", 1)
    batch, base_lr = cfg.train_dataloader.batch_size * accumulate * processes, cfg.optim_wrapper.optimizer.lr
    base_batch = (cfg.get("auto_scale_lr") or {}).get("base_batch_size", 256)
    schedule = derive_schedule(samples, batch, cfg.train_cfg.max_epochs, base_lr, base_batch,
                               cfg.train_cfg.get("val_interval", 1), stage2, cfg.from_scratch)
    if options.auto_scale_lr:
        # mmengine would scale the learning rate when the run starts, but not the floor of the cosine decay.
        schedule = changed_for_trial(schedule, {"peak": base_lr * batch / base_batch})
        cfg.auto_scale_lr.enable = False
    if "trial" in cfg:
        schedule = changed_for_trial(schedule, cfg.pop("trial"))
    cfg.schedule_derived = True
    return [f"{samples} {'images' if kind_of(cfg) == 'detector' else 'labelled instances'} to train on",
            *apply_schedule(cfg, schedule, accumulate)]


def _without_validation(cfg: Config) -> None:
    # How to test stays in: the checkpoint carries it, and prediction prepares its pictures by it.
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.pop("save_best", None)


def _refuse_nonsense(options: TrainOptions) -> None:
    numbers = {"--epochs": options.epochs, "--batch-size": options.batch_size, "--accumulate": options.accumulate,
               "--patience": options.patience}
    wrong = [f"{name} {number}: must be at least 1" for name, number in numbers.items()
             if number is not None and number < 1]
    wrong += [f"{name} {number:g}: must be a number from 0" for name, number in
              (("--workers", options.workers), ("--cache-gb", options.cache_gb))
              if number is not None and not 0 <= number < math.inf]
    if options.auto_batch and options.batch_size:
        wrong.append("--auto-batch finds the batch: leave --batch-size out")
    if options.auto_batch and options.launcher != "none":
        wrong.append("--auto-batch measures one process: with --launcher give --batch-size")
    if options.patience and not options.validate:
        wrong.append("--patience counts validations: leave --no-validate out")
    if wrong:
        raise UserError("; ".join(wrong))


def _add_patience(cfg: Config, patience: int) -> None:
    monitor = cfg.default_hooks.checkpoint.get("save_best")
    if not isinstance(monitor, str) or monitor == "auto" or cfg.default_hooks.checkpoint.get("rule") != "greater":
        raise UserError("--patience needs to know what is better: the config's checkpoint hook has no save_best with "
                        "rule='greater'")
    others = [hook for hook in cfg.get("custom_hooks", []) if hook["type"] != "PatienceHook"]
    cfg.custom_hooks = [*others, dict(type="PatienceHook", patience=patience, monitor=monitor)]


def _find_batch(cfg: Config, options: TrainOptions, counts: dict[str, Counts]) -> list[str]:
    """Carries out ``--auto-batch``."""
    if not options.auto_batch or cfg.get("schedule_derived"):
        return []
    if "train" not in counts:
        raise UserError("--auto-batch: the training set is not a plain COCO file; give --batch-size")
    samples = counts["train"].images if kind_of(cfg) == "detector" else counts["train"].instances
    return list(auto_batch(cfg, use_device(options.device), options.precision, samples))


def prepare(options: TrainOptions) -> tuple[Config, list[str]]:
    """Makes the config a run will use, complete, and checks the data. Touches the network for weights only.

    Returns:
        The config, and lines that say what was decided.

    Raises:
        UserError: Something the user can put right; data faults come all together.
    """
    _refuse_nonsense(options)
    cfg = load_config(options.config, options.options)
    kind_of(cfg)
    if options.fold is not None:
        use_fold(cfg, options.fold)
    own = None if options.fold is not None else cfg.get("work_dir")
    work_dir = options.work_dir or Path(own or default_work_dir(options.config, options.fold))
    cfg.work_dir, cfg.launcher = str(work_dir), options.launcher
    if options.input_size:
        set_input_size(cfg, options.input_size)
    if options.epochs:
        cfg.train_cfg.max_epochs = cfg.max_epochs = options.epochs
    if options.batch_size:
        cfg.train_dataloader.batch_size = options.batch_size
    if options.accumulate:
        cfg.optim_wrapper.accumulative_counts = options.accumulate
    if not options.ema:
        drop_average(cfg)
    if options.patience:
        _add_patience(cfg, options.patience)
    if options.seed is not None:
        cfg.randomness = dict(cfg.get("randomness", {}), seed=options.seed)
    if options.auto_scale_lr:
        cfg.auto_scale_lr = dict(cfg.get("auto_scale_lr") or {"base_batch_size": 256}, enable=True)
    if options.show_dir and "visualization" in cfg.default_hooks:
        cfg.default_hooks.visualization.update(
            {"draw": True} if kind_of(cfg) == "detector" else {"enable": True, "out_dir": options.show_dir})
        if kind_of(cfg) == "detector":
            cfg.default_hooks.visualization.test_out_dir = options.show_dir
    if not options.validate:
        _without_validation(cfg)
    counts = check_before_run(cfg, ("train", "val") if options.validate else ("train", ))
    processes = int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", 1))) \
        if options.launcher != "none" else 1
    start = _start_from(cfg, options, work_dir)
    lines = _find_batch(cfg, options, counts)
    lines += _fit_schedule(cfg, options, counts, processes)
    if counts.get("train") and counts["train"].mirror_in_vain:
        lines.append("no labelled object looks like a mirrored one and meta.py has no swaps: if a mirrored picture "
                     "can be no real one, write mirror = False there")
    return cfg, [*lines, *start]


def build_runner(cfg: Config, options: TrainOptions, lines: list[str]) -> Runner:
    """Builds a runner that trains in the chosen precision, and says what was decided.

    Args:
        cfg: From :func:`prepare`.
        options: The same options.
        lines: From :func:`prepare`.
    """
    device = use_device(options.device)
    new_detector = kind_of(cfg) == "detector" and cfg.get("from_scratch", False)
    precision = choose_precision(options.precision, device, new_detector)
    cfg.precision, parts = precision.name, cfg.pop("reduced_parts", None)  # for who reads the checkpoint; for trials
    lines = [*lines, *fit_loaders(cfg, device, options)]
    if options.launcher != "none" and device.startswith("cuda"):
        cfg.setdefault("sync_bn", "torch")  # several GPUs share a batch
    if precision.name == "fp16":
        cfg.optim_wrapper.update(type="ScaledOptimWrapper", loss_scale="dynamic")
    use_fused_optimizer(cfg.optim_wrapper, device)
    torch.backends.cudnn.benchmark = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        runner = ReadableRunner.from_cfg(cfg)
    make_step_fast(runner, device)
    apply_precision(bare_model(runner), precision, device, parts)
    if options.compile:
        lines.append(compile_parts(bare_model(runner), cfg.train_dataloader.batch_size, _input_size(cfg), device))
    for line in [*lines, f"on {device} in {precision.name}: {precision.reason}", f"writing to {cfg.work_dir}"]:
        runner.logger.info(line)
    return runner


def _input_size(cfg: Config) -> tuple[int, int]:
    """Width and height of the network input, px."""
    if "input_size" not in cfg:
        raise UserError("--compile needs the size of the network input: the config has no input_size")
    return tuple(cfg.input_size)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        work_dir: Where everything is.
        best: The checkpoint with the best validation score, where there was a validation.
        last: The newest checkpoint.
        interrupted: Whether Ctrl-C ended it.
    """

    work_dir: Path
    best: Optional[Path]
    last: Optional[Path]
    interrupted: bool


def train(options: TrainOptions) -> Outcome:
    """Runs a training.

    Raises:
        UserError: Something the user can put right, before the first step.
    """
    cfg, lines = prepare(options)
    runner = build_runner(cfg, options, lines)
    runner.train()
    best = next((hook.best_ckpt_path for hook in runner.hooks if isinstance(hook, CheckpointHook)
                 and getattr(hook, "best_ckpt_path", None)), None)
    last = find_latest_checkpoint(cfg.work_dir)
    return Outcome(
        Path(cfg.work_dir), Path(best) if best else None, Path(last) if last else None,
        any(isinstance(hook, StopOnInterruptHook) and hook.interrupted for hook in runner.hooks))
