"""Checkpoints run by PyTorch, through mmdet and mmpose. torch is imported inside functions."""
from __future__ import annotations

import contextlib
import io
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

    Raises:
        UserError: The file is not what it should be, or the device is not there.
    """

    name = "torch"

    def __init__(self, path: Path, device: str = "auto", precision: str = "auto", threads: Optional[int] = None,
                 meta: Optional[Path] = None) -> None:
        """Loads the checkpoint."""
        try:
            import torch

            from pose_tools.openmmlab.device import use_device
        except ImportError as error:
            raise UserError(f"{path}: a checkpoint needs PyTorch and OpenMMLab, and {error.name or error} is not "
                            "installed; files of tools/export.py need neither") from error
        self.path, self.device = path, use_device(device)
        cfg, kind = read_checkpoint_config(path)
        self.facts = facts_of_config(cfg, kind, path)
        able = ("fp32", "bf16", "fp16") if self.device.startswith("cuda") else ("fp32", "bf16")
        check_precision(precision, self.facts, able, "PyTorch", path)
        self.precision = "fp32" if precision == "auto" else precision
        if threads:
            torch.set_num_threads(threads)
        network = fold_batch_norms(build_network(cfg, kind, path, self.device))
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


def build_network(cfg: Any, kind: str, path: Path, device: str) -> nn.Module:
    """Builds the network of a checkpoint and loads its weights.

    Args:
        cfg: The config inside.
        kind: ``"detector"`` or ``"pose"``.
        path: The checkpoint.
        device: Where it goes.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # mmengine tells every file it loads
        if kind == "detector":
            from mmdet.apis import init_detector

            return init_detector(cfg, str(path), device=device)
        from mmpose.apis import init_model

        return init_model(cfg, str(path), device=device)


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
