"""Trained networks as graphs that other runtimes can run: tensors in, tensors out, nothing of mm* between.

Each graph is a ``torch.nn.Module`` that can be traced: it holds no Python decisions that depend on an image, and
the number of images is free. The layouts, as rtmlib and other users of exported OpenMMLab models read them:

=========  ============================================  ==============================================
pose       ``input`` (N, 3, H, W) float32, normalised    ``simcc_x`` (N, K, W * r), ``simcc_y`` (N, K, H * r)
detector   ``input`` likewise                            ``boxes`` (N, P, 4), ``scores`` (N, C, P), before NMS
=========  ============================================  ==============================================

End to end, ``input`` is (N, H, W, 3) uint8 BGR, and a pose graph gives ``keypoints`` (N, K, 2) in crop px and
``scores`` (N, K). NMS is added by whoever writes a file, as formats differ in it; r is the SimCC split ratio.
"""
from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor, nn

from pose_tools.console import UserError
from pose_tools.openmmlab.config import embedded_config, kind_of

FORMULA_OF_BOXES = "DistancePointBBoxCoder"


@dataclass(frozen=True)
class Suppression:
    """How boxes of a detector become detections; mmdet's ``test_cfg``.

    Attributes:
        score_threshold: Boxes of this score or less are dropped.
        iou_threshold: Boxes that overlap a better one of their class by more are dropped.
        max_per_image: Most detections of an image.
        class_agnostic: Whether boxes drop those of other classes too.
    """

    score_threshold: float
    iou_threshold: float
    max_per_image: int
    class_agnostic: bool


@dataclass(frozen=True)
class Pixels:
    """How the pixels of an image become what the network takes.

    Attributes:
        input_size: (w, h) of the network input.
        mean: Subtracted from each channel, in the channel order of the network input, in grey values 0 to 255.
        std: Each channel is divided by it, likewise.
        to_rgb: Whether the network takes RGB instead of BGR.
    """

    input_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    to_rgb: bool


def load_network(checkpoint: Path) -> nn.Module:
    """Builds the network of a checkpoint on the CPU, ready to be exported.

    Args:
        checkpoint: A checkpoint of a run, or a published one; it carries its config.

    Returns:
        mmdet's or mmpose's model in evaluation mode; ``.cfg`` is its config.

    Raises:
        UserError: It carries no config, or one of neither kind.
    """
    cfg = embedded_config(checkpoint)
    if cfg is None:
        raise UserError(f"{checkpoint}: carries no config; publish it with tools/publish_model.py --config FILE")
    kind = kind_of(cfg)
    cfg.model.pop("init_cfg", None)
    with contextlib.redirect_stdout(io.StringIO()):  # mmengine tells every file it loads
        if kind == "pose":
            from mmpose.apis import init_model as build
        else:
            from mmdet.apis import init_detector as build
        model = build(cfg, str(checkpoint), device="cpu")
    return model.eval().requires_grad_(False)


class PoseGraph(nn.Module):
    """Backbone, neck and head of a SimCC keypoint model (https://arxiv.org/abs/2107.03332).

    Args:
        model: A ``TopdownPoseEstimator`` of mmpose.
        checkpoint: Named in errors.

    Raises:
        UserError: Its head does not give SimCC vectors.
    """

    output_names = ("simcc_x", "simcc_y")

    def __init__(self, model: nn.Module, checkpoint: Path) -> None:
        """Takes the parts of a model."""
        super().__init__()
        head = getattr(model, "head", None)
        if getattr(getattr(head, "decoder", None), "simcc_split_ratio", None) is None:
            raise UserError(f"{checkpoint}: its head is {type(head).__name__}, and only heads that give SimCC vectors "
                            "(RTMCCHead, RTMWHead, SimCCHead) are exported")
        self.model, self.decoder = model, head.decoder

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the SimCC vectors of normalised crops (N, 3, H, W)."""
        x, y = self.model.head(self.model.extract_feat(crops))
        return x, y


class DecodedPose(nn.Module):
    """SimCC vectors to keypoints, as ``mmpose.codecs.utils.get_simcc_maximum`` and ``SimCCLabel.decode`` do.

    Args:
        plain: The graph that gives the vectors.
        checkpoint: Named in errors.

    Raises:
        UserError: Its codec refines the maxima (``use_dark``) or gives visibilities, which is not in this graph.
    """

    output_names = ("keypoints", "scores")

    def __init__(self, plain: PoseGraph, checkpoint: Path) -> None:
        """Wraps a graph."""
        super().__init__()
        for name in ("use_dark", "decode_visibility"):
            if getattr(plain.decoder, name, False):
                raise UserError(f"{checkpoint}: its codec has {name} set, which --end2end does not do; "
                                "export it without")
        self.plain, self.ratio = plain, float(plain.decoder.simcc_split_ratio)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Gives keypoints (N, K, 2) in crop px and their scores (N, K), the smaller of both maxima.

        Keypoints without a positive score are at -1 bin, as upstream puts them.
        """
        best = [vectors.max(dim=-1) for vectors in self.plain(crops)]
        scores = torch.minimum(best[0].values, best[1].values)
        bins = torch.stack([best[0].indices, best[1].indices], -1).to(scores.dtype)
        bins = bins.masked_fill((scores <= 0).unsqueeze(-1), -1.0)
        return bins / self.ratio, scores


class DetectorGraph(nn.Module):
    """Backbone, neck and head of an RTMDet, and its boxes, up to NMS.

    Follows mmdet 3.3.0: ``RTMDetHead.forward``, ``MlvlPointGenerator.grid_priors`` and ``distance2bbox``, with
    boxes clipped to the input. Of a level only the ``nms_pre`` best scores remain; the others become 0.

    Args:
        model: An ``RTMDet`` of mmdet.
        input_size: (w, h) of its input.
        checkpoint: Named in errors.

    Raises:
        UserError: It is another detector, or tested in another way than by NMS.
    """

    output_names = ("boxes", "scores")

    def __init__(self, model: nn.Module, input_size: tuple[int, int], checkpoint: Path) -> None:
        """Takes the parts of a model and computes the points that boxes are measured from."""
        super().__init__()
        self.model = model
        head = self._rtmdet_head(model, checkpoint)
        settings = model.test_cfg
        if settings.get("nms") is None or settings.nms.get("type", "nms") != "nms":
            raise UserError(f"{checkpoint}: its test_cfg asks for {settings.get('nms')} instead of NMS, "
                            "which is not exported")
        self.suppression = Suppression(
            float(settings.get("score_thr", 0)), float(settings.nms.iou_threshold), int(settings.max_per_img),
            bool(settings.nms.get("class_agnostic", False)))
        self.nms_pre, self.least_side = int(settings.get("nms_pre", -1)), settings.get("min_bbox_size", -1)
        w, h = input_size
        with torch.no_grad():
            sizes = [scores.shape[-2:] for scores in head(model.extract_feat(torch.zeros(1, 3, h, w)))[0]]
        points = head.prior_generator.grid_priors(sizes, dtype=torch.float32, device="cpu")
        # Distances go to the left, up, right and down of a point.
        self.register_buffer("points", torch.cat(points).repeat(1, 2), persistent=False)
        self.register_buffer("away", torch.tensor([-1.0, -1.0, 1.0, 1.0]), persistent=False)
        self.register_buffer("far_corner", torch.tensor([w, h, w, h], dtype=torch.float32), persistent=False)

    @staticmethod
    def _rtmdet_head(model: nn.Module, checkpoint: Path) -> nn.Module:
        from mmdet.models.dense_heads import RTMDetHead, RTMDetInsHead

        head = getattr(model, "bbox_head", None)
        coder = type(getattr(head, "bbox_coder", None)).__name__
        if not isinstance(head, RTMDetHead) or isinstance(head, RTMDetInsHead) or coder != FORMULA_OF_BOXES:
            raise UserError(f"{checkpoint}: its head is {type(head).__name__}, and of detectors only RTMDet "
                            "(RTMDetHead, RTMDetSepBNHead) is exported")
        return head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Gives boxes (N, P, 4) x1 y1 x2 y2 in input px and class scores (N, C, P) of normalised images."""
        all_scores, all_distances = self.model.bbox_head(self.model.extract_feat(images))
        scores = torch.cat([self._best(each.sigmoid().flatten(2)) for each in all_scores], -1)
        distances = torch.cat([each.flatten(2) for each in all_distances], -1).transpose(1, 2)
        boxes = torch.minimum((self.points + distances * self.away).clamp(min=0), self.far_corner)
        if self.least_side >= 0:
            sides = boxes[..., 2:] - boxes[..., :2]
            scores = scores * (sides.amin(-1) > self.least_side).unsqueeze(1).to(scores.dtype)
        return boxes, scores

    def _best(self, scores: Tensor) -> Tensor:
        """Sets all but the ``nms_pre`` best scores (N, C, P) of a level to 0; equals of the last one stay."""
        if not 0 < self.nms_pre < scores.shape[1] * scores.shape[2]:
            return scores
        least = scores.flatten(1).topk(self.nms_pre).values[:, -1:]
        return torch.where(scores >= least.unsqueeze(-1), scores, torch.zeros_like(scores))


class FromPixels(nn.Module):
    """A graph that takes (N, H, W, 3) uint8 BGR pixels.

    Channel order and division by the standard deviations go into the weights of the first convolution, which saves
    two passes over the image; the mean cannot, since that convolution pads with zeros after it is subtracted.

    Args:
        graph: Takes normalised (N, 3, H, W); its network is changed.
        network: The model inside, in which the first convolution is found.
        pixels: How pixels are normalised.
        checkpoint: Named in errors.

    Raises:
        UserError: The network does not begin with a convolution of three channels.
    """

    def __init__(self, graph: nn.Module, network: nn.Module, pixels: Pixels, checkpoint: Path) -> None:
        """Wraps a graph."""
        super().__init__()
        order = [2, 1, 0] if pixels.to_rgb else [0, 1, 2]
        first = _first_convolution(network, pixels.input_size)
        if first is None:
            raise UserError(f"{checkpoint}: its network does not begin with a convolution of three channels, "
                            "so --end2end cannot be made; export it without")
        first.weight.data = (first.weight.data / torch.tensor(pixels.std).view(1, 3, 1, 1))[:, order].contiguous()
        self.register_buffer("mean", torch.tensor(pixels.mean)[order].view(1, 3, 1, 1), persistent=False)
        self.graph, self.output_names = graph, graph.output_names

    def forward(self, pixels: Tensor) -> Any:
        """Gives what the wrapped graph gives for these pixels, normalised."""
        return self.graph(pixels.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean)


def _first_convolution(network: nn.Module, input_size: tuple[int, int]) -> Optional[nn.Module]:
    """Finds by a trial run which convolution takes the image itself."""
    image, found = torch.zeros(1, 3, *input_size[::-1]), []

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs[0] is image:
            found.append(module)

    hooks = [module.register_forward_pre_hook(look) for module in network.modules() if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        network.backbone(image)
    for hook in hooks:
        hook.remove()
    plain = len(found) == 1 and found[0].groups == 1 and found[0].in_channels == 3
    return found[0] if plain else None
