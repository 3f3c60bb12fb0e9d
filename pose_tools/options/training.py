"""The options of ``tools/train.py``."""
from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from pose_tools.console import key_value


@dataclass(frozen=True)
class TrainOptions:
    """What ``tools/train.py`` was asked for; see its ``--help``."""

    config: Path
    work_dir: Optional[Path] = None
    fold: Optional[int] = None
    resume: Optional[str] = None
    auto_scale_lr: bool = False
    validate: bool = True
    pretrained: bool = True
    input_size: Optional[tuple[int, int]] = None
    epochs: Optional[int] = None
    batch_size: Optional[int] = None
    auto_batch: bool = False
    accumulate: Optional[int] = None
    ema: bool = True
    patience: Optional[int] = None
    recipe: str = "auto"
    precision: str = "auto"
    compile: bool = False
    workers: Optional[int] = None
    cache: bool = True
    cache_gb: Optional[float] = None
    cache_format: str = "raw"
    seed: Optional[int] = None
    device: str = "auto"
    launcher: str = "none"
    show_dir: Optional[str] = None
    options: dict[str, Any] = field(default_factory=dict)


def training_parser(description: Optional[str]) -> argparse.ArgumentParser:
    """Makes the command line of ``tools/train.py``.

    Args:
        description: The script's docstring.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("config", type=Path, help="a file of configs/")
    add("--work-dir", type=Path, help="where to write (default: work_dirs/NAME_OF_CONFIG)")
    add("--fold", type=int, metavar="N", help="train on foldN/ of a data set that split_coco.py --folds made")
    add("--resume", nargs="?", const="auto", metavar="CHECKPOINT", help="go on from the newest or a given checkpoint")
    add("--no-validate", dest="validate", action="store_false", help="do not validate during training")
    add("--show-dir", help="draw validation results into this folder")
    add("--cfg-options", nargs="+", type=key_value, default=[], metavar="KEY=VALUE",
        help="change any entry of the config, e.g. optim_wrapper.optimizer.lr=0.001")
    _add_recipe(parser.add_argument_group("what is trained"))
    _add_speed(parser.add_argument_group("how fast; none of these changes what is learned beyond rounding"))
    _add_machine(parser.add_argument_group("on what"))
    return parser


def _add_recipe(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--epochs", type=int, help="instead of the config's")
    add("--batch-size", type=int, help="per process, instead of the config's")
    add("--auto-batch", action="store_true", help="the largest batch, a multiple of 8, that fits into the GPU's memory")
    add("--accumulate", type=int, metavar="N", help="average the gradients of N batches for every step")
    add("--no-ema", dest="ema", action="store_false", help="do not average the weights over the steps")
    add("--patience", type=int, metavar="N", help="end the run when N validations in a row brought no better score")
    add("--input-size", type=int, nargs=2, metavar=("W", "H"), help="of the network; multiples of 32")
    add("--no-pretrained", dest="pretrained", action="store_false", help="start from scratch")
    add("--recipe", choices=("auto", "config"), default="auto",
        help="auto fits warm-up, intervals and the late switch to the dataset; config takes the file literally")
    add("--auto-scale-lr", action="store_true", help="scale the learning rate with the batch, as upstream does")
    add("--seed", type=int, help="of everything random")


def _add_speed(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto",
        help="default: what the device is good at")
    add("--amp", action="store_true", help="mixed precision whatever the device: fp16 on a GPU, bf16 on a CPU")
    add("--compile", action="store_true",
        help="try torch.compile on backbone and neck, and keep it where a step is faster; minutes at the start")
    add("--workers", type=int, metavar="N", help="loader processes (default: by the cores)")
    add("--no-cache", dest="cache", action="store_false", help="decode every image again for every sample")
    add("--cache-gb", type=float, metavar="GB", help="most that the decoded images in work_dirs/cache may take")
    add("--cache-format", choices=("raw", "jpeg"), default="raw",
        help="jpeg takes a tenth of the room of raw, for large data sets; its pixels differ by JPEG's rounding")


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    add("--launcher", choices=("none", "pytorch", "slurm", "mpi"), default="none", help="for several processes")
    add("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
