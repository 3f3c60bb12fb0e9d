"""The largest batch that fits on a GPU, found by training steps on real samples."""
from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any, Callable

import torch
from mmengine import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope

from pose_tools.console import UserError
from pose_tools.openmmlab.step.precision import apply_precision, choose_precision

SHARE = 0.85  # of the memory that is free; the rest is for fragments, and for samples with more objects
MULTIPLE = 8
LEAST_STEPS = 8  # an epoch keeps at least so many
MOST = 4096


def largest_batch(peak: Callable[[int], int], budget: int, most: int) -> int:
    """Finds the largest multiple of eight whose training step stays within a budget.

    Args:
        peak: Gives the most memory that a step with a batch takes, in bytes; more than ``budget`` where it failed.
            Taken to grow with the batch.
        budget: In bytes.
        most: No batch above is tried.

    Returns:
        A multiple of 8, at least 8 and at most ``most``; 0 where 8 do not fit.
    """
    least, beyond = 0, most // MULTIPLE + 1  # in multiples: what fits, what does not
    trial = 1
    while least + 1 < beyond:
        if peak(trial * MULTIPLE) <= budget:
            least = trial
        else:
            beyond = trial
        # Doubling until something does not fit, then bisection.
        trial = min(2 * least, most // MULTIPLE) if beyond > most // MULTIPLE else (least + beyond) // 2
    return least * MULTIPLE


def _samples(cfg: Config, count: int = MULTIPLE) -> list[dict[str, Any]]:
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    return [dataset[index % len(dataset)] for index in range(count)]


def cuda_peak(cfg: Config, device: str, precision: str) -> Callable[[int], int]:
    """Makes the function that tries a batch on a GPU: forward, backward and an optimiser step.

    Args:
        cfg: Complete; its training set is read.
        device: ``cuda`` or ``cuda:N``.
        precision: As ``--precision`` has it.
    """
    init_default_scope(cfg.get("default_scope", "mmengine"))
    model = MODELS.build(cfg.model).to(device)
    model.train()
    apply_precision(model, choose_precision(precision, device), device)
    samples = _samples(cfg)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    averaged = sum(value.numel() * value.element_size() for value in model.state_dict().values())

    def peak(batch: int) -> int:
        optimizer = torch.optim.AdamW(weights, lr=0.0)
        torch.cuda.reset_peak_memory_stats(device)
        try:
            picked = [samples[index % len(samples)] for index in range(batch)]
            losses = model(**model.data_preprocessor(pseudo_collate(picked), True), mode="loss")
            model.parse_losses(losses)[0].backward()
            optimizer.step()
            return torch.cuda.max_memory_reserved(device) + averaged
        except torch.cuda.OutOfMemoryError:
            return 2**63
        finally:
            optimizer.zero_grad()
            del optimizer
            gc.collect()
            torch.cuda.empty_cache()

    return peak


def fit_batch(cfg: Config, device: str, samples: int, peak: Callable[[int], int], free: int) -> Sequence[str]:
    """Sets the largest batch that fits, in place.

    Args:
        cfg: A complete config.
        device: The GPU, for the line.
        samples: How many there are to train on.
        peak: As for :func:`largest_batch`.
        free: Bytes of memory free on the device.

    Returns:
        A line that says what was chosen.

    Raises:
        UserError: Not even eight samples fit.
    """
    most = min(MOST, max(MULTIPLE, samples // LEAST_STEPS // MULTIPLE * MULTIPLE))
    batch = largest_batch(peak, int(SHARE * free), most)
    if not batch:
        raise UserError(f"--auto-batch: not even {MULTIPLE} samples fit into {SHARE:.0%} of the {free / 2**30:.1f} GiB "
                        f"free on {device}; choose a smaller model or --input-size, or give --batch-size")
    cfg.train_dataloader.batch_size = batch
    why = f"an epoch of {samples} samples keeps {LEAST_STEPS} steps" if batch == most else \
        f"the largest multiple of {MULTIPLE} within {SHARE:.0%} of {free / 2**30:.1f} GiB"
    return [f"batch {batch}: {why}"]


def auto_batch(cfg: Config, device: str, precision: str, samples: int) -> Sequence[str]:
    """Carries out ``--auto-batch``: measures on a GPU; on other devices says why it does not.

    Args:
        cfg: A complete config, changed in place.
        device: What :func:`use_device` gave.
        precision: As ``--precision`` has it.
        samples: How many there are to train on.

    Returns:
        A line that says what was chosen.

    Raises:
        UserError: Not even eight samples fit.
    """
    if not device.startswith("cuda"):
        return [f"--auto-batch: on {device} memory is not what limits; batch {cfg.train_dataloader.batch_size} as the "
                "config has it"]
    torch.cuda.empty_cache()
    free = torch.cuda.mem_get_info(device)[0]
    return fit_batch(cfg, device, samples, cuda_peak(cfg, device, precision), free)
