"""A network of mmpose's or mmdet's in memory, and what its config says of its pictures."""
from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.calibration import Calibration
from pose_tools.inference.runtime.facts import ModelFacts
from pose_tools.inference.source import ModelSource

if TYPE_CHECKING:
    import torch

_TOP_DOWN = ("TopdownPoseEstimator", )
_STEPS = ("LoadImage", "GetBBoxCenterScale", "TopdownAffine", "PackPoseInputs")


class Network:
    """Config and network of a model.

    Memory is laid out channels last, and batch norms are folded where that is known to be right.

    Args:
        source: Its weights, and its config where they do not carry it.
        kind: ``"pose"`` or ``"detector"``: what is wanted.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto`` and ``fp32``; ``bf16`` and, on a GPU, ``fp16`` for backbone and neck.

    Attributes:
        cfg: The config.
        codec: What decodes a keypoint model's outputs, such as ``UDPHeatmap``.
        model: The network, ready to predict.
        source: As given.

    Raises:
        UserError: It is another kind of model, its parts are not here, or a file is not what it should be.
    """

    def __init__(self, source: ModelSource, kind: str, device: str, precision: str) -> None:
        """Loads it."""
        import torch

        from pose_tools.inference.runtime.torch_backend import build_network, fold_batch_norms
        from pose_tools.inference.runtime.torch_facts import read_checkpoint_config
        from pose_tools.openmmlab.device import use_device

        self.source, self.kind = source, kind
        self.cfg, found = read_checkpoint_config(source.path, source.config)
        if found != kind:
            raise UserError(f"{source.path}: is a {found} model, not a {kind} model")
        self.codec = str(((self.cfg.model.get("head") or {}).get("decoder") or {}).get("type", ""))
        self.device = use_device(device)
        able = {"auto": None, "fp32": None, "bf16": torch.bfloat16}
        if self.device.startswith("cuda"):
            able["fp16"] = torch.float16
        if precision not in able:
            raise UserError(f"{source.path}: PyTorch does not compute in {precision} here; it can be asked for: "
                            f"{', '.join(able)}")
        self._reduced = able[precision]
        model = fold_batch_norms(build_network(self.cfg, kind, source.path, self.device, source.seed))
        self.model = model.to(memory_format=torch.channels_last)
        if self._reduced is not None:
            self.model.extract_feat = functools.partial(self._extract_reduced, self.model.extract_feat)

    def _extract_reduced(self, extract: Callable[[torch.Tensor], Any], inputs: torch.Tensor) -> Any:
        import torch

        # Heads decide by small differences of large sums, so they stay in fp32.
        with torch.autocast(self.device.partition(":")[0], self._reduced):
            return _to_float(extract(inputs))

    def to_device(self, rows: np.ndarray) -> torch.Tensor:
        """Takes a batch (N, 3, H, W) to where the network is."""
        import torch

        return torch.from_numpy(rows).to(self.device).contiguous(memory_format=torch.channels_last)

    def pose_sample(self, input_size: tuple[int, int]) -> Any:
        """What heads ask a crop about: its size, and which keypoints change places in a mirrored one."""
        from mmpose.datasets.datasets.utils import parse_pose_metainfo
        from mmpose.structures import PoseDataSample

        from pose_tools.openmmlab.upstream_meta import pose_metainfo

        flips = self.model.dataset_meta.get("flip_indices")
        if flips is None:
            info = pose_metainfo(self.cfg, "train") or pose_metainfo(self.cfg, "test")
            flips = parse_pose_metainfo(info)["flip_indices"] if info else None
        return PoseDataSample(metainfo={"input_size": input_size, "flip_indices": flips})


def _to_float(features: Any) -> Any:
    if isinstance(features, (list, tuple)):
        return type(features)(_to_float(each) for each in features)
    return features.float()


def pose_facts(network: Network, flip_test: Optional[bool]) -> ModelFacts:
    """What the runtime must know of a top-down model to prepare its crops.

    Args:
        network: Of mmpose.
        flip_test: None does as the config says.

    Raises:
        UserError: It is not top-down, its crops are prepared in another way, or its calibration is of other keypoints.
    """
    from pose_tools.openmmlab.config import keypoint_set_of
    from pose_tools.openmmlab.upstream_meta import upstream_keypoint_set

    cfg, path, kind = network.cfg, network.source.path, type(network.model).__name__
    if kind not in _TOP_DOWN:
        raise UserError(f"{path}: is a {kind}; only top-down models, which take a box, run here ({_TOP_DOWN[0]})")
    steps = {step["type"].rpartition(".")[2]: step for step in cfg.test_dataloader.dataset.pipeline}
    prepared = network.model.data_preprocessor
    channels = len(prepared.mean) if hasattr(prepared, "mean") else 0
    if tuple(steps) != _STEPS or prepared.pad_size_divisor != 1 or channels != 3:
        raise UserError(f"{path}: prepares its crops by {', '.join(steps)}; what runs here is "
                        f"{', '.join(_STEPS)}, with the mean of three channels")
    affine = steps["TopdownAffine"]
    keypoint_set = keypoint_set_of(cfg) or upstream_keypoint_set(cfg)
    calibration = str(cfg.get("calibration") or "")
    Calibration.of_model(calibration, keypoint_set, path)  # one of other keypoints must not be used
    flip = (cfg.model.get("test_cfg") or {}).get("flip_test", False) if flip_test is None else flip_test
    return ModelFacts(
        "pose", path.stem, keypoint_set.classes if keypoint_set else (), keypoint_set, tuple(affine["input_size"]),
        tuple(prepared.mean.flatten().tolist()), tuple(prepared.std.flatten().tolist()),
        bool(prepared._channel_conversion), float(steps["GetBBoxCenterScale"].get("padding", 1.25)),
        flip_test=bool(flip), use_udp=bool(affine.get("use_udp", False)), source=path.name,
        calibration=calibration)
