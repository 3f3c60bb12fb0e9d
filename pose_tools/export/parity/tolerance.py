"""How far an exported model may be from its checkpoint.

An export in fp32 computes the same sums in another order, so everything is held to be equal, every keypoint and every
box, but for ties. A tie is an argmax between two bins, or NMS between two boxes, of one height but for rounding; it
can go either way, and then a keypoint moves by any distance with nothing wrong. It is proved by the reference's own
curve: the bin that the export chose is lower than the best one by at most twice what curves may differ by.

Reduced precision moves every curve by more, so there are more ties. They are left out likewise, and what remains is
judged by its 99th percentile (bf16, in which NMS more often keeps a neighbour that is no tie: two boxes of 152 lay
14 px off, and the AP was higher by 0.002: by the 95th), over the keypoints that the reference is sure of; what the
ties are worth, the AP says.
int8 moves curves so far that nothing is left to prove; it is judged by the AP where enough objects are labelled, since
accuracy is what it trades for speed, and else by the 95th percentile.

The limits on curves and scores are about three times what was measured (RTMPose-S and RTMDet-tiny on rendered cars,
largest difference of curves in their height, and 99th percentile of box scores): 4e-4 and 9e-4 in fp16, 7e-3 and 8e-3
in bf16. In fp32 it was 1.5e-6 and 6e-7, and random weights gave twenty times that; what is wrong gives far more. In
int8 the 95th percentile was 1 px in labelled boxes and 2.5 px in boxes laid anywhere, as pictures without labels get
them, and 19% of the detections differed at ties.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Optional

from pose_tools.console import UserError

# Labelled objects from which a change of AP says something: one of 30 matched otherwise moves it by about 0.01.
ENOUGH_LABELLED = 30


@dataclass(frozen=True)
class Tolerance:
    """Limits; ``math.inf`` where there is none.

    Attributes:
        precision: What they are for.
        statistic: Which statistic of the distances and scores they hold for: ``"max"`` (of all that is no tie),
            ``"p99"`` or ``"p95"``.
        px: Of keypoints and of the corners of boxes, in px of the network input, which does not depend on how large
            the photograph is.
        score: Of scores of keypoints and boxes.
        curve: Of SimCC curves, as a share of their height.
        strong: Least score of a detection that must be found by both.
        unmatched: Share of the strong detections that may lack a partner, ties left out.
        nms_ties: Share of the strong detections that may differ at ties; where all seem to, it is no tie.
        max_ap_drop: By how much the AP may be lower.
        ap_decides: Whether distances are only shown where enough objects are labelled.
    """

    precision: str
    statistic: str
    px: float
    score: float
    curve: float
    strong: float
    unmatched: float
    nms_ties: float
    max_ap_drop: float
    ap_decides: bool = False

    @classmethod
    def of(cls, precision: str, px: Optional[float] = None, max_ap_drop: Optional[float] = None) -> Tolerance:
        """The limits for a precision.

        Args:
            precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
            px: Instead of the usual one; distances then decide beside the AP.
            max_ap_drop: Instead of the usual one.

        Raises:
            UserError: A limit is negative or no number.
        """
        found = _DEFAULTS[precision]
        for name, value in (("--tolerance", px), ("--max-ap-drop", max_ap_drop)):
            if value is not None and not value >= 0:
                raise UserError(f"{name} {value:g}: must be a number from 0 on")
        if px is not None:
            found = replace(found, px=px, ap_decides=False)
        return found if max_ap_drop is None else replace(found, max_ap_drop=max_ap_drop)

    def for_labelled(self, count: int) -> Tolerance:
        """The limits on differences where so many objects are labelled: none, if the AP decides."""
        if not self.ap_decides or count < ENOUGH_LABELLED:
            return self
        return replace(self, px=math.inf, score=math.inf, curve=math.inf, unmatched=1.0, nms_ties=1.0)

    @property
    def tie(self) -> float:
        """How much lower than the best a bin may be that rounding can have chosen: both were off by ``curve``."""
        return 0.0 if math.isinf(self.curve) else 2 * self.curve


_DEFAULTS = {each.precision: each for each in (
    Tolerance("fp32", "max", px=0.05, score=1e-3, curve=5e-4, strong=0.05, unmatched=0.0, nms_ties=0.02,
              max_ap_drop=0.002),
    Tolerance("fp16", "p99", px=1.0, score=3e-3, curve=2e-3, strong=0.3, unmatched=0.01, nms_ties=0.05,
              max_ap_drop=0.005),
    Tolerance("bf16", "p95", px=1.0, score=0.03, curve=0.02, strong=0.3, unmatched=0.02, nms_ties=0.05,
              max_ap_drop=0.005),
    Tolerance("int8", "p95", px=3.0, score=0.1, curve=math.inf, strong=0.3, unmatched=0.05, nms_ties=0.4,
              max_ap_drop=0.01, ap_decides=True),
)}
