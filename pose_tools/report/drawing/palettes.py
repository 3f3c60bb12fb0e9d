"""Colours of keypoints, links and tracks, all BGR."""
from __future__ import annotations

import colorsys
from dataclasses import dataclass

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.drawing.strokes import LEFT, MIDDLE, RIGHT, Colour

STYLES = ("sides", "mmpose", "openpose")
COCO_PERSON = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
               "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
               "right_knee", "left_ankle", "right_ankle")
# Of OpenPose's COCO body of 18 (https://arxiv.org/abs/1812.08008): its points and limbs in their order, by which they
# get their colours.
NECK = "neck"
OPENPOSE_POINTS = ("nose", NECK, "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
                   "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
                   "right_eye", "left_eye", "right_ear", "left_ear")
OPENPOSE_LIMBS = ((NECK, "right_shoulder"), (NECK, "left_shoulder"), ("right_shoulder", "right_elbow"),
                  ("right_elbow", "right_wrist"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
                  (NECK, "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
                  (NECK, "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"), (NECK, "nose"),
                  ("nose", "right_eye"), ("right_eye", "right_ear"), ("nose", "left_eye"), ("left_eye", "left_ear"))


@dataclass(frozen=True)
class Palette:
    """Colours of a keypoint set.

    Attributes:
        points: K colours, BGR.
        links: One for each of the set's links, BGR.
    """

    points: tuple[Colour, ...]
    links: tuple[Colour, ...]


def keypoint_colours(keypoint_set: KeypointSet) -> list[Colour]:
    """One BGR colour for each keypoint: a side's colour for what has a partner, green for what has none.

    The first of a pair counts as left unless the names say otherwise.

    Args:
        keypoint_set: Names and swaps.
    """
    colours = dict.fromkeys(keypoint_set.keypoints, MIDDLE)
    for first, second in keypoint_set.swaps:
        if "right" in first.lower() and "left" in second.lower():
            first, second = second, first
        colours[first], colours[second] = LEFT, RIGHT
    return [colours[name] for name in keypoint_set.keypoints]


def palette_of(style: str, keypoint_set: KeypointSet) -> Palette:
    """Colours in a style.

    ``sides`` has those of :func:`keypoint_colours`; a link has its ends' colour, or green where they differ. ``mmpose``
    has those of the set; where it does not carry any, mmpose's for the 17 points of COCO's persons, else those that
    ``dataset_info`` in a ``meta.py`` gives to pairs, or a hue for each point where there are no pairs. ``openpose`` has
    OpenPose's; its links are its own.

    Args:
        style: One of :data:`STYLES`.
        keypoint_set: Names, swaps and links.

    Raises:
        UserError: There is no such style, or it is OpenPose's and these are not COCO's persons.
    """
    if style == "sides":
        points = keypoint_colours(keypoint_set)
        links = [points[a] if points[a] == points[b] else MIDDLE for a, b in keypoint_set.skeleton]
        return Palette(tuple(points), tuple(links))
    if style == "mmpose":
        return _mmpose(keypoint_set)
    if style == "openpose":
        if not is_coco_person(keypoint_set):
            raise UserError("skeleton style openpose: is for the 17 keypoints of COCO's persons, and these are "
                            f"{len(keypoint_set.keypoints)}: {_shortened(keypoint_set.keypoints)}")
        hues = hue_circle(len(OPENPOSE_POINTS))
        named = dict(zip(OPENPOSE_POINTS, hues))
        return Palette(tuple(named[plain_name(name)] for name in keypoint_set.keypoints), hues[:len(OPENPOSE_LIMBS)])
    raise UserError(f"no skeleton style {style!r}; there are: {', '.join(STYLES)}")


def plain_name(name: str) -> str:
    """A keypoint's name as COCO writes names: ``Left-Eye`` is ``left_eye``."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def is_coco_person(keypoint_set: KeypointSet) -> bool:
    """Whether these are the 17 keypoints of COCO's persons, in any order."""
    return sorted(map(plain_name, keypoint_set.keypoints)) == sorted(COCO_PERSON)


def hue_circle(count: int) -> tuple[Colour, ...]:
    """That many colours at equal distances around the circle of hues, from red over yellow and green, BGR."""
    return tuple(_hue(number / max(count, 1)) for number in range(count))


def track_colour(track_id: int) -> Colour:
    """A track's own colour, BGR: the same for the same id, and far from those of the ids before and after.

    Args:
        track_id: Any whole number.
    """
    # The golden ratio's multiples leave the widest gaps on a circle.
    return _hue(int(track_id) * 0.618033988749895 % 1, 0.75)


def _hue(turn: float, saturation: float = 1.0) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(turn, saturation, 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)


def _mmpose(keypoint_set: KeypointSet) -> Palette:
    own = keypoint_set.colours, keypoint_set.link_colours
    if [len(each) for each in own] == [len(keypoint_set.keypoints), len(keypoint_set.links)]:
        return Palette(*(tuple(colour[::-1] for colour in each) for each in own))
    if is_coco_person(keypoint_set):
        # Of mmpose's configs/_base_/datasets/coco.py: face and trunk blue, left green, right orange.
        green, orange, blue = (0, 255, 0), (0, 128, 255), (255, 153, 51)
        sides = {name: blue if name.split("_")[-1] in ("nose", "eye", "ear") else
                 green if name.startswith("left") else orange for name in COCO_PERSON}
        points = [sides[plain_name(name)] for name in keypoint_set.keypoints]
        limbs = {"elbow", "wrist", "knee", "ankle"}  # one of which each limb has
        links = [points[a] if points[a] == points[b] and limbs & {_joint(keypoint_set, a), _joint(keypoint_set, b)}
                 else blue for a, b in keypoint_set.skeleton]
        return Palette(tuple(points), tuple(links))
    if keypoint_set.swaps:
        colours = dict.fromkeys(keypoint_set.keypoints, (80, 220, 100))
        for first, second in keypoint_set.swaps:
            colours[first], colours[second] = (51, 153, 255), (255, 153, 51)
        return Palette(tuple(colours[name] for name in keypoint_set.keypoints),
                       ((0, 255, 0), ) * len(keypoint_set.links))
    points = hue_circle(len(keypoint_set.keypoints))
    return Palette(points, tuple(points[a] for a, _ in keypoint_set.skeleton))


def _joint(keypoint_set: KeypointSet, index: int) -> str:
    return plain_name(keypoint_set.keypoints[index]).split("_")[-1]


def _shortened(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
