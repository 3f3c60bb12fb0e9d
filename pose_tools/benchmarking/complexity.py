"""How large a model is: its operations and its numbers, counted alike in every format.

What is counted are the multiplications with an addition (MACs) of convolutions and matrix products, of one pass over
one picture or crop. Nothing else is: no bias, normalisation, activation, pooling, resizing, no decoding and NMS. One
MAC is two floating-point operations, so FLOPs = 2 * MACs. Papers and README tables of mmdet and mmpose call MACs
"FLOPs", and count normalisation, pooling and resizing as well, which exported files fold or do otherwise: RTMDet-tiny
at 640 px is published with 8.1 G and has 8.04 G MACs in its convolutions and 0.05 G of the rest; RTMPose-S at 256x192
is published with 0.68 G, which are 0.676 G and 0.006 G.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pose_tools.inference.runtime.facts import ModelFacts


@dataclass(frozen=True)
class Complexity:
    """Size of a model.

    Attributes:
        macs: Multiply-accumulates of one pass over one input.
        parameters: Numbers in the file: the learned parameters of a checkpoint, the constants of a graph. There
            normalisation is folded into the convolutions, which leaves somewhat fewer; but RTMDet's levels share the
            convolutions of their heads with a normalisation each, which gives each level a copy: 5.5 M for 4.9 M.
        by_operator: MACs by kind of operator.
        uncounted: Operators whose MACs could not be told, such as those in branches.
    """

    macs: int
    parameters: int
    by_operator: dict[str, int] = field(default_factory=dict)
    uncounted: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For JSON: ``gmacs``, ``gflops`` (twice as many), ``parameters_m`` in millions, and what they are made of."""
        return {"gmacs": self.macs / 1e9, "gflops": 2 * self.macs / 1e9, "parameters_m": self.parameters / 1e6,
                "gmacs_by_operator": {name: macs / 1e9 for name, macs in sorted(self.by_operator.items())},
                "uncounted_operators": self.uncounted}


def input_shape(facts: ModelFacts, batch: int = 1) -> tuple[int, ...]:
    """Shape of the network input: (N, 3, H, W), or (N, H, W, 3) where the graph decodes by itself."""
    width, height = facts.input_size
    return (batch, height, width, 3) if facts.end_to_end else (batch, 3, height, width)


def complexity_of(path: Path, facts: ModelFacts) -> Complexity:
    """Counts the operations of a model file.

    Args:
        path: ``.onnx``, ``.xml``, or a checkpoint that carries its config.
        facts: What is known of it.

    Raises:
        UserError: The file cannot be read.
        ImportError: The library that reads this format is not installed (torch and mm*, onnx, openvino).
    """
    if path.suffix == ".onnx":
        from pose_tools.benchmarking.count_onnx import complexity_of_onnx

        found = complexity_of_onnx(path, input_shape(facts, facts.batch or 1))
    elif path.suffix == ".xml":
        from pose_tools.benchmarking.count_openvino import complexity_of_openvino

        found = complexity_of_openvino(path, input_shape(facts, facts.batch or 1))
    else:
        from pose_tools.benchmarking.count_torch import complexity_of_checkpoint

        return complexity_of_checkpoint(path, facts.input_size)
    # A file for batches of one size alone has to be counted with it; what is told is for one input.
    return _share(found, facts.batch or 1)


def _share(found: Complexity, batch: int) -> Complexity:
    by_operator = {name: macs // batch for name, macs in found.by_operator.items()}
    return Complexity(found.macs // batch, found.parameters, by_operator, found.uncounted)
