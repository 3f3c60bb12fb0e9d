"""The network's input size, which a text config holds in a dozen places, moved in all of them together."""
from __future__ import annotations

from typing import Any

from mmengine import Config

from pose_tools.console import UserError

Size = tuple[int, int]
# Each transform's argument that is the input size (w, h).
_SAME = {
    "TopdownAffine": "input_size",
    "Mosaic": "img_scale",
    "CachedMosaic": "img_scale",
    "MixUp": "img_scale",
    "CachedMixUp": "img_scale",
    "RandomCrop": "crop_size",
    "Pad": "size",
    "Resize": "scale",
}
STRIDE = 32


def set_input_size(cfg: Config, size: Size) -> None:
    """Moves codec, head, decoder and all pipelines of a config to another input size, in place.

    SimCC's sigma grows with the square root of the side, as in the RTMPose configs for 256x192 and 384x288.

    Args:
        cfg: A loaded RTMDet or RTMPose config.
        size: (w, h) in px of the network input; crop px for a keypoint model.

    Raises:
        UserError: A side is not a positive multiple of 32, or the config does not say its input size.
    """
    size = (size[0], size[1])  # the command line gives a list, and mmdet insists on tuples
    if any(side <= 0 or side % STRIDE for side in size):
        nearest = tuple(max(STRIDE, round(side / STRIDE) * STRIDE) for side in size)
        raise UserError(f"--input-size {size[0]} {size[1]}: both must be multiples of {STRIDE}; "
                        f"the nearest is {nearest[0]} {nearest[1]}")
    if "input_size" not in cfg:
        raise UserError(f"{cfg.filename}: has no input_size, so it cannot be changed by --input-size")
    _Mover(tuple(cfg.input_size), size).walk(cfg._cfg_dict)
    cfg.input_size = size


class _Mover:
    """Walks a config once, changing each dict at most once even where two keys share it."""

    def __init__(self, old: Size, new: Size) -> None:
        self.old, self.new = old, new
        self.seen: set[int] = set()

    def walk(self, node: Any) -> None:
        if isinstance(node, dict):
            if id(node) in self.seen:
                return
            self.seen.add(id(node))
            self.move(node)
            for key in list(node):
                self.walk(node[key])
        elif isinstance(node, (list, tuple)):
            for item in node:
                self.walk(item)

    def scaled(self, pair: Any, power: float = 1.0) -> tuple:
        return tuple(value * (new / old)**power for value, old, new in zip(pair, self.old, self.new))

    def move(self, node: dict) -> None:
        kind = str(node.get("type", "")).split(".")[-1]
        if kind in _SAME and _SAME[kind] in node:
            node[_SAME[kind]] = self.new
        elif kind == "RandomResize":
            node["scale"] = tuple(round(side) for side in self.scaled(node["scale"]))
        elif kind == "SimCCLabel":
            node["input_size"] = self.new
            node["sigma"] = tuple(round(value, 3) for value in self.scaled(node["sigma"], 0.5))
        elif kind == "RTMCCHead":
            node["input_size"] = self.new
            node["in_featuremap_size"] = tuple(side // STRIDE for side in self.new)
