"""What the doctor looks for: every rule's name, how grave it is, what it means and what to do."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pose_tools.console import UserError
from pose_tools.dataset.findings import ERROR, WARNING


@dataclass(frozen=True)
class Rule:
    """A kind of finding.

    Attributes:
        level: ``"error"``: it breaks or ruins a training; ``"warning"``: a person should look at it.
        title: What is wrong, in a few words.
        advice: What it does to a training and what to do about it.
        mended: Whether ``--fix`` puts it right, at least where only one answer is possible.
    """

    level: str
    title: str
    advice: str
    mended: bool = False


def _error(title: str, advice: str, mended: bool = False) -> Rule:
    return Rule(ERROR, title, advice, mended)


def _warning(title: str, advice: str) -> Rule:
    return Rule(WARNING, title, advice)


RULES: dict[str, Rule] = {
    # The file
    "duplicate-id": _error("ids that are not unique", "the later entry hides the earlier; number them anew", True),
    "dangling-id": _error("annotations of an image or category that is not there", "they are lost without a word"),
    "class-name": _error("category names that differ from the config's",
                         "a detector matches by name and drops the rest; rename in the file or in meta.py"),
    "keypoint-names": _error("keypoints that differ from the config's",
                             "the model would learn one point under another's name"),
    "sigmas": _error("sigmas that do not fit the keypoints", "evaluation stops with a broadcast error"),
    "skeleton-base": _error("links that count from 0", "COCO counts from 1: each link would join other points", True),
    # Images
    "image-missing": _error("images that are not there", "training stops at the first of them"),
    "image-size": _error("images without a sound size", "width and height are needed to draw and to evaluate", True),
    "image-broken": _error("images that cannot be read", "training stops at the first of them"),
    "size-mismatch": _error("images of another size than the file says",
                            "the labels were made on another picture, or on a larger or smaller copy of it"),
    "exif": _error("images that a camera's orientation flag turns",
                   "the labels belong to the unturned pixels; convert again, or turn the files"),
    "leak": _error("the same picture in two splits", "scores come out too good; split again with split_coco.py"),
    # Annotations
    "box": _error("boxes that are none", "training stops, or drops the object", True),
    "box-outside": _error("boxes outside of their image", "the crop shows something else"),
    "xyxy": _error("boxes that are corners, not x, y, width, height", "every box reaches too far", True),
    "area": _error("areas that cannot be", "OKS divides by the area: AP would be 0 or nonsense", True),
    "keypoint-count": _error("a wrong number of keypoints", "training stops with a reshape error"),
    "not-a-number": _error("coordinates that are not numbers", "the loss becomes NaN", True),
    "visibility": _error("visibility outside of 0, 1 and 2", "the point may or may not be learned"),
    "num-keypoints": _error("a wrong num_keypoints", "evaluation leaves out or counts the wrong objects", True),
    "hidden-coordinates": _error("unlabelled points (v = 0) with coordinates",
                                 "tools disagree whether they count; COCO wants 0, 0, 0", True),
    # What a person should look at
    "swapped": _warning("left and right probably exchanged",
                        "seen from the rest of the points and the other objects, the exchanged labels fit far better"),
    "odd-point": _warning("points that are not where the others put them",
                          "likely label errors: the shape of the other objects says so"),
    "far-point": _warning("points far outside of their box", "a point of another object, or a box drawn too small"),
    "outside-image": _warning("points outside of their image", "nobody can have seen them there"),
    "same-place": _warning("different keypoints in the same place", "often a double click"),
    "loose-box": _warning("boxes much larger than their points suggest",
                          "the object is small in its crop; other boxes of the set are tighter"),
    "tight-box": _warning("boxes much smaller than their points suggest", "the crop cuts the object off"),
    "tiny": _warning("objects too small to see points on", "their points cannot be told apart at this size"),
    "aspect": _warning("boxes of another shape than the model's input",
                       "most of the input is background; see dataset_stats.py for a better size"),
    "twice": _warning("objects that are labelled twice", "they count double, and a detector is told to find two"),
    "odd-area": _warning("areas that do not fit their boxes", "OKS is measured by the area"),
    "copies": _warning("the same picture more than once in a split", "it counts double"),
    "similar": _warning("nearly the same picture in two splits",
                        "scores come out too good; split again with split_coco.py"),
    "links": _warning("links that join no two keypoints", "they cannot be drawn and are left out"),
    "rare-keypoint": _warning("keypoints that are hardly ever labelled", "the model will not learn them"),
    "rare-class": _warning("classes with few objects", "the model will hardly learn them"),
    "missing-in-split": _warning("classes or keypoints that a split lacks",
                                 "they are not validated, or not learned; split again with split_coco.py"),
    "no-keypoints": _warning("objects without a labelled keypoint", "a keypoint model passes over them silently"),
    "swaps-missing": _warning("left and right that do not change places on mirroring",
                              "flipping teaches the wrong sides; list the pairs as swaps in meta.py"),
    "no-mirror": _warning("mirroring where nothing looks mirrored",
                          "half of the training would show what never occurs; set mirror = False in meta.py"),
}


def check_rule_names(names: Iterable[str]) -> None:
    """Refuses names of rules that do not exist.

    Raises:
        UserError: There are some.
    """
    unknown = [name for name in names if name not in RULES]
    if unknown:
        raise UserError(f"no such rule: {', '.join(unknown)}; there are: {', '.join(RULES)}")
