"""Checkpoints run by PyTorch, through mmdet and mmpose. torch is imported inside functions."""
from __future__ import annotations

import contextlib
import io
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.runtime.backend import check_precision
from pose_tools.inference.runtime.torch_facts import facts_of_config, read_checkpoint_config

if TYPE_CHECKING:
    import torch
    from torch import nn


class TorchBackend:
    """A checkpoint in PyTorch; see :class:`~pose_tools.inference.runtime.backend.Backend`.

    Batch norms are folded into the convolutions before them, and memory is laid out channels last.

    Args:
        path: Written by ``tools/publish_model.py``, or a checkpoint of a run.
        device: ``auto`` (the first GPU, else the CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto`` and ``fp32``; ``bf16`` and, on a GPU, ``fp16`` for backbone and neck only.
        threads: For all of PyTorch in this process; None leaves them as they are.
        meta: Not for checkpoints: they say what they are.
        config: A config file, for weights that carry none.
        seed: Of random weights instead of the checkpoint's; then ``path`` only gives the name.

    Raises:
        UserError: The file is not what it should be, or the device is not there.
    """

    name = "torch"

    def __init__(self, path: Path, device: str = "auto", precision: str = "auto", threads: Optional[int] = None,
                 meta: Optional[Path] = None, config: Optional[Path] = None, seed: Optional[int] = None) -> None:
        """Loads the checkpoint."""
        try:
            import torch

            from pose_tools.openmmlab.device import use_device
        except ImportError as error:
            raise UserError(f"{path}: a checkpoint needs PyTorch and OpenMMLab, and {error.name or error} is not "
                            "installed; files of tools/export.py need neither") from error
        self.path, self.device = path, use_device(device)
        cfg, kind = read_checkpoint_config(path, config)
        self.facts = facts_of_config(cfg, kind, path)
        able = ("fp32", "bf16", "fp16") if self.device.startswith("cuda") else ("fp32", "bf16")
        check_precision(precision, self.facts, able, "PyTorch", path)
        self.precision = "fp32" if precision == "auto" else precision
        if threads:
            torch.set_num_threads(threads)
        network = fold_batch_norms(build_network(cfg, kind, path, self.device, seed))
        self._model = network.to(memory_format=torch.channels_last)

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        """Runs the network; see :meth:`pose_tools.inference.runtime.backend.Backend.run`."""
        import torch

        with torch.inference_mode():
            images = torch.from_numpy(batch).to(self.device).contiguous(memory_format=torch.channels_last)
            features = self._features(images)
            if self.facts.task == "pose":
                return tuple(each.float().cpu().numpy() for each in self._model.head(features))
            return self._detections(features, len(batch))

    def _features(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        import torch

        if self.precision == "fp32":
            return self._model.extract_feat(images)
        reduced = {"bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        # Heads decide by small differences of large sums, so they stay in fp32.
        with torch.autocast(self.device.partition(":")[0], reduced):
            features = self._model.extract_feat(images)
        return tuple(each.float() for each in features)

    def _detections(self, features: tuple[torch.Tensor, ...], count: int) -> tuple[np.ndarray, np.ndarray]:
        width, height = self.facts.input_size
        meta = {"img_shape": (height, width), "pad_shape": (height, width), "scale_factor": (1., 1.)}
        head = self._model.bbox_head
        found = head.predict_by_feat(*head(features), batch_img_metas=[meta] * count, rescale=False)
        most = max((len(each) for each in found), default=0)
        dets, labels = np.zeros((count, most, 5), np.float32), np.full((count, most), -1, np.int64)
        for row, each in enumerate(found):
            dets[row, :len(each), :4] = each.bboxes.cpu().numpy()
            dets[row, :len(each), 4] = each.scores.cpu().numpy()
            labels[row, :len(each)] = each.labels.cpu().numpy()
        return dets, labels


def build_network(cfg: Any, kind: str, path: Path, device: str, seed: Optional[int] = None) -> nn.Module:
    """Builds a network and loads its weights.

    Args:
        cfg: Its config.
        kind: ``"detector"`` or ``"pose"``.
        path: The checkpoint; of random weights it is only named in errors.
        device: Where it goes.
        seed: Of random weights, instead of the checkpoint's.

    Returns:
        The network, ready to predict. Its ``dataset_meta`` is what the checkpoint says of classes or keypoints; empty
        where it says nothing.

    Raises:
        UserError: It cannot be built here, or the weights are not of this config.
    """
    import torch

    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    with contextlib.redirect_stdout(io.StringIO()):  # mmengine tells all it does
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed or 0)
            model = _empty_network(cfg, kind, path)
        model.dataset_meta = {}
        if seed is None:
            checkpoint = load_checkpoint_file(path)
            _load_weights(model, checkpoint, path)
            said = (checkpoint.get("meta") or {}).get("dataset_meta") if isinstance(checkpoint, dict) else None
            model.dataset_meta = {str(key).lower(): value for key, value in (said or {}).items()}
        else:
            _spread_scores(model, seed)
    model.cfg = cfg
    return model.to(device).eval()


def _empty_network(cfg: Any, kind: str, path: Path) -> nn.Module:
    from mmengine.model.utils import revert_sync_batchnorm
    from mmengine.registry import init_default_scope

    from pose_tools.openmmlab.upstream_meta import prepare_parts

    if kind == "detector":
        import mmdet.models  # noqa: F401  # registers them
        from mmdet.registry import MODELS
    else:
        import mmpose.models  # noqa: F401
        from mmpose.registry import MODELS
    prepare_parts(cfg)
    init_default_scope("mmdet" if kind == "detector" else "mmpose")
    try:
        return revert_sync_batchnorm(MODELS.build(cfg.model))
    except UserError:
        raise
    except Exception as error:  # of whatever a config asks for
        raise UserError(f"{path}: its network cannot be built: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _load_weights(model: nn.Module, checkpoint: Any, path: Path) -> None:
    """Loads a state dict that must fill the network; parts that only a loss uses may be missing."""
    from pose_tools.weights.pretrained import state_dict_of

    weights = OrderedDict(state_dict_of(checkpoint, path))
    # Upstream's modules translate what older versions wrote; which version it was stands here.
    weights._metadata = getattr(checkpoint.get("state_dict"), "_metadata", None) or OrderedDict()  # type: ignore
    try:
        missing, _ = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        differ = [line.strip().rstrip(".") for line in str(error).splitlines()[1:]] or [str(error)]
    else:
        needed = {name for name, _ in model.named_parameters()} | {
            name for name, _ in model.named_buffers() if name.endswith(("running_mean", "running_var"))}
        differ = [f"{name} is missing" for name in missing if name in needed and "loss" not in name]
    if differ:
        more = f", and {len(differ) - 1} tensors more" if len(differ) > 1 else ""
        raise UserError(f"{path}: its weights are not of the config they are to be used with: {differ[0]}{more}")


def _spread_scores(model: nn.Module, seed: int) -> None:
    """Lets a two-stage detector with random weights find something: one that was never trained finds background only.

    The others give every place a score of about a half. The first class, COCO's person, is preferred.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.endswith("fc_cls") and isinstance(module, torch.nn.Linear):
                module.weight.normal_(0, 0.6, generator=generator)
                module.bias[0] += 2


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """Folds batch norms into the convolutions before them, which is the same but for rounding.

    RTMDet's heads share convolutions between levels that have norms of their own; each level gets its own here.
    ``mmengine``'s ``fuse_conv_bn`` changes a convolution in place, and would fold several norms into a shared one.

    Args:
        model: In evaluation mode; changed.

    Returns:
        The model.
    """
    from mmcv.cnn import ConvModule
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in model.modules():
        if not isinstance(module, ConvModule) or not module.with_norm or module.order != ("conv", "norm", "act"):
            continue
        if type(module.norm) is nn.BatchNorm2d and type(module.conv) is nn.Conv2d:
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)  # a copy: the other levels keep theirs
            module._modules[module.norm_name] = nn.Identity()
    return model
