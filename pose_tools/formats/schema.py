"""The keypoint set: which classes and keypoints there are, what swaps on mirroring, what is drawn.

It is written down once, in ``configs/_base_/NAME/meta.py``, and read here without mmengine or torch.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError

Pair = tuple[str, str]
Rgb = tuple[int, int, int]
Point3d = tuple[float, float, float]


@dataclass(frozen=True)
class KeypointSet:
    """Facts about a keypoint set; everything by name, indices computed.

    Attributes:
        classes: Category names, in the order of their 0-based class indices.
        keypoints: K keypoint names in their order.
        swaps: Pairs of keypoint names that change places when the image is mirrored.
        links: Pairs of keypoint names to join by a line.
        sigmas: K OKS standard deviations as shares of the object scale, or empty when unknown.
        mirror: Whether a mirrored picture of the object could be a real one; ``False`` for a clock face.
        model_points: K points (x, y, z) of a typical object in metres, or empty when unknown: x forward, y to its own
            left, z up, the origin on the ground below its middle. Poses in space are found with them. They are no fact
            by which sets differ.
        colours: K colours in which mmpose draws the keypoints, or empty when unknown; no fact by which sets differ.
        link_colours: One for each link, likewise.
    """

    classes: tuple[str, ...]
    keypoints: tuple[str, ...]
    swaps: tuple[Pair, ...] = ()
    links: tuple[Pair, ...] = ()
    sigmas: tuple[float, ...] = ()
    mirror: bool = True
    model_points: tuple[Point3d, ...] = field(default=(), compare=False)
    colours: tuple[Rgb, ...] = field(default=(), compare=False)
    link_colours: tuple[Rgb, ...] = field(default=(), compare=False)

    @property
    def flip_indices(self) -> tuple[int, ...]:
        """K indices: keypoint ``i`` of the mirrored image is keypoint ``flip_indices[i]`` of the image."""
        partner = {a: b for pair in self.swaps for a, b in (pair, pair[::-1])}
        return tuple(self.keypoints.index(partner.get(name, name)) for name in self.keypoints)

    @property
    def skeleton(self) -> tuple[tuple[int, int], ...]:
        """The links as pairs of 0-based keypoint indices (COCO files hold them 1-based)."""
        return tuple((self.keypoints.index(a), self.keypoints.index(b)) for a, b in self.links)

    def faults(self, file: Union[str, Path] = "keypoint set") -> list[Fault]:
        """Lists everything that contradicts itself; empty when the set is sound.

        Args:
            file: Named in the faults.
        """
        found = []
        for what, names in (("classes", self.classes), ("keypoints", self.keypoints)):
            if not names:
                found.append(Fault(file, "is empty", what))
            found += [Fault(file, f"{n!r} is not a string", what) for n in names if not isinstance(n, str)]
            for name in sorted({n for n in names if names.count(n) > 1}, key=str):
                found.append(Fault(file, f"{name!r} is listed {names.count(name)} times", what))
        for what, pairs in (("swaps", self.swaps), ("links", self.links)):
            for pair in pairs:
                for name in pair:
                    if name not in self.keypoints:
                        known = ", ".join(map(str, self.keypoints))
                        found.append(Fault(file, f"{name!r} is no keypoint; there are: {known}", what))
                if len(pair) != 2 or pair[0] == pair[1]:
                    found.append(Fault(file, f"{pair!r} is not a pair of two different keypoints", what))
        swapped = [name for pair in self.swaps for name in pair]
        for name in sorted({n for n in swapped if swapped.count(n) > 1}, key=str):
            found.append(Fault(file, f"{name!r} stands in more than one pair", "swaps"))
        if self.sigmas and len(self.sigmas) != len(self.keypoints):
            what = f"has {len(self.sigmas)} values for {len(self.keypoints)} keypoints"
            found.append(Fault(file, what, "sigmas"))
        found += [Fault(file, f"{s!r} is not a positive number", "sigmas") for s in self.sigmas
                  if not (isinstance(s, (int, float)) and s > 0)]
        if not isinstance(self.mirror, bool):
            found.append(Fault(file, f"{self.mirror!r} is neither True nor False", "mirror"))
        return found + self._faults_in_space(file)

    def _faults_in_space(self, file: Union[str, Path]) -> list[Fault]:
        """What contradicts itself among the model points."""
        points, what = self.model_points, "model_points"
        found = []
        if points and len(points) != len(self.keypoints):
            found.append(Fault(file, f"has {len(points)} points for {len(self.keypoints)} keypoints", what))
        bad = [point for point in points if not _is_point(point)]
        found += [Fault(file, f"{point!r} is not x, y and z in metres", what) for point in bad]
        if points and not found and np.linalg.matrix_rank(np.subtract(points, points[0]), tol=1e-6) < 2:
            found.append(Fault(file, "all points lie on one line, which no pose can be found from", what))
        return found


def _is_point(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 3 and all(
        isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
        for number in value)


def _pairs(value: Sequence[Sequence[str]]) -> tuple[Pair, ...]:
    return tuple(tuple(pair) for pair in value)  # type: ignore[misc]


def keypoint_set_from_dict(values: dict[str, Any], file: Union[str, Path]) -> KeypointSet:
    """Builds a keypoint set from the names that ``meta.py`` defines, which are those a loaded config has.

    Args:
        values: Holds ``classes`` and ``keypoints``, and perhaps ``swaps``, ``links``, ``sigmas``,
            ``mirror`` and ``model_points``.
        file: Named in the errors.

    Returns:
        A set without faults.

    Raises:
        UserError: A name is missing or not a list of the right kind.
        FaultsError: The set contradicts itself; all faults are listed.
    """
    missing = [name for name in ("classes", "keypoints") if name not in values]
    if missing:
        raise UserError(f"{file}: does not define {' and '.join(missing)}")
    for name in ("classes", "keypoints"):
        if isinstance(values[name], str):
            raise UserError(f"{file}: {name} = {values[name]!r} is a string; "
                            f"write ({values[name]!r}, ) with the comma")
    try:
        found = KeypointSet(
            classes=tuple(values["classes"]),
            keypoints=tuple(values["keypoints"]),
            swaps=_pairs(values.get("swaps", ())),
            links=_pairs(values.get("links", ())),
            sigmas=tuple(values.get("sigmas", ())),
            mirror=values.get("mirror", True),
            model_points=tuple(tuple(point) if isinstance(point, list) else point
                               for point in values.get("model_points") or ()))
    except TypeError as error:
        what = f"classes, keypoints, swaps, links, sigmas and model_points must be lists: {error}"
        raise UserError(f"{file}: {what}") from error
    if faults := found.faults(file):
        raise FaultsError(faults)
    return found


def read_meta(path: Union[str, Path]) -> KeypointSet:
    """Reads ``configs/_base_/NAME/meta.py``.

    Args:
        path: A Python file of plain assignments. It is executed, as mmengine does with every config.

    Returns:
        A set without faults.

    Raises:
        UserError: The file is missing, does not run, or lacks a name.
        FaultsError: The set contradicts itself; all faults are listed.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    values: dict[str, Any] = {}
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), values)
    except Exception as error:  # a user's file can fail in any way at all
        raise UserError(f"{path}: does not run: {type(error).__name__}: {error}") from error
    return keypoint_set_from_dict(values, path)
