"""YOLO pose files as Ultralytics has them: ``data.yaml`` and one label file an image.

A label line is ``class cx cy w h`` and then ``x y`` or ``x y v`` for each keypoint, all but class and v in
shares of the image's width and height: px = share * side, with no half-pixel shift either way. v is 0 not
labelled, 1 occluded, 2 visible. Where there is no v, a keypoint at (0, 0) or with both shares negative is
not labelled.
Source: the "Pose Estimation Datasets Overview" of the Ultralytics documentation.
"""
from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import yaml

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.formats.coco_structure import is_text
from pose_tools.formats.schema import KeypointSet, Pair

SPLITS = {"train": ("train", ), "val": ("val", "valid", "validation"), "test": ("test", )}
# A box or point may stick out of the image by this many px: labels are rounded.
TOLERANCE = 1.0
_MOST_KEYPOINTS = 10000
# A few lines of YAML can name a list whose text has billions of letters.
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2


@dataclass(frozen=True)
class YoloFacts:
    """What a ``data.yaml`` says.

    Attributes:
        path: The file.
        classes: Class names by index.
        num_keypoints: K.
        dims: Numbers a keypoint, 2 or 3.
        flip_idx: K indices, keypoint i of the mirrored image being ``flip_idx[i]`` of the image; empty when not given.
        keypoints: K names; empty when not given.
        root: The ``path`` entry, as written.
        splits: For ``train``, ``val`` and ``test`` the folders or list files, as written.
    """

    path: Path
    classes: tuple[str, ...]
    num_keypoints: int
    dims: int
    flip_idx: tuple[int, ...] = ()
    keypoints: tuple[str, ...] = ()
    root: str = ""
    splits: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """Numbers in a label line."""
        return 5 + self.num_keypoints * self.dims


@dataclass(frozen=True)
class YoloObject:
    """One line of a label file.

    Attributes:
        class_index: 0-based.
        box: Left, top, right and bottom in image px.
        keypoints: K triples of x, y (image px) and visibility; (0, 0, 0) when not labelled.
    """

    class_index: int
    box: tuple[float, float, float, float]
    keypoints: tuple[tuple[float, float, int], ...]


def _entries(data: Mapping[str, Any], key: str, path: Path, faults: list[Fault]) -> tuple[str, ...]:
    """The folders or list files of a split, or the one text of ``path``."""
    value = data.get(key)
    if value in (None, "", []):
        return ()
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) and is_text(entry) and "\0" not in entry for entry in entries):
        faults.append(Fault(path, f"{key} {_SHORT.repr(value)} is not a path or a list of paths"))
        return ()
    return tuple(entries)


def _is_name(value: Any) -> bool:
    # YAML reads a class called 7 or no as something else than text.
    return isinstance(value, (bool, int, float)) or is_text(value) and bool(value.strip())


def _listed_names(value: Any) -> list[str] | None:
    """Names given as a list, or as a mapping from 0-based indices without gaps."""
    if isinstance(value, dict):
        if not all(type(key) is int for key in value) or sorted(value) != list(range(len(value))):
            return None
        value = [value[i] for i in range(len(value))]
    return [str(name) for name in value] if isinstance(value, list) and all(map(_is_name, value)) else None


def _flip_fault(flip: Any, count: int) -> str:
    if not isinstance(flip, list) or not all(type(i) is int for i in flip) or sorted(flip) != list(range(count)):
        return f"flip_idx is not a list of the numbers 0 to {count - 1}, each once: {_SHORT.repr(flip)}"
    odd = [i for i, j in enumerate(flip) if flip[j] != i]
    if not odd:
        return ""
    return f"flip_idx does not swap pairs: mirrored twice, keypoint {odd[0]} becomes {flip[flip[odd[0]]]}"


def read_yolo_facts(path: Union[str, Path]) -> YoloFacts:
    """Reads a ``data.yaml``.

    Args:
        path: The file.

    Returns:
        What it says, consistent in itself.

    Raises:
        UserError: There is no such file.
        FaultsError: It is not YAML, or not of a pose data set; everything wrong with it.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise FaultsError([Fault(path, "is not YAML: nested too deeply")]) from None
    # Dates that are none, numbers without end and keys of a wrong kind come as Python's own errors.
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise FaultsError([Fault(path, "is not YAML: " + " ".join(str(error).split())[:300])]) from None
    if not isinstance(data, dict):
        raise FaultsError([Fault(path, "is not a YOLO data set: it holds no keys")])
    faults = []
    names = _listed_names(data.get("names"))
    if not names:
        faults.append(Fault(path, "names is not a list of class names, nor a mapping from 0, 1, ..."))
    shape = data.get("kpt_shape")
    sound = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape) \
        and 0 < shape[0] <= _MOST_KEYPOINTS and shape[1] in (2, 3)
    if not sound:
        said = "is missing: a set of boxes alone has no keypoints to train on" if shape is None \
            else f"{_SHORT.repr(shape)} is not [number of keypoints, 2 or 3]"
        faults.append(Fault(path, f"kpt_shape {said}"))
        raise FaultsError(faults)
    keypoints = _keypoint_names(data, shape[0], path, faults)
    if data.get("flip_idx") and (what := _flip_fault(data["flip_idx"], shape[0])):
        faults.append(Fault(path, what))
    splits = {split: next((found for key in keys if (found := _entries(data, key, path, faults))), ())
              for split, keys in SPLITS.items()}
    root = _entries(data, "path", path, faults)
    if faults:
        raise FaultsError(faults)
    return YoloFacts(path, tuple(names or ()), shape[0], shape[1], tuple(data.get("flip_idx") or ()), keypoints,
                     root[0] if root else "", {k: v for k, v in splits.items() if v})


def _keypoint_names(data: Mapping[str, Any], count: int, path: Path, faults: list[Fault]) -> tuple[str, ...]:
    """``kpt_names``: a list a class, by index or by name. Ours are the same for every class."""
    given = data.get("kpt_names")
    lists = list(given.values()) if isinstance(given, dict) else [given] if given else []
    if not lists:
        return ()
    if any(not isinstance(names, list) or len(names) != count or not all(map(_is_name, names)) or names != lists[0]
           for names in lists):
        faults.append(Fault(path, f"kpt_names does not list the same {count} names for every class"))
        return ()
    return tuple(map(str, lists[0]))


def parse_labels(text: str, facts: YoloFacts, size: tuple[int, int], path: Union[str, Path],
                 clip: bool = False) -> tuple[list[YoloObject], list[Fault]]:
    """Reads a label file.

    Args:
        text: Its contents; none is an image without objects.
        facts: Of the data set.
        size: Width and height of the image, px.
        path: Named in the faults.
        clip: Cut boxes and drop keypoints outside the image instead of finding fault with them.

    Returns:
        The objects of the sound lines, and the faults of the others, by line from 1.
    """
    objects, faults = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found, wrong = _parse_line(line.split(), facts, size, clip)
        faults += [Fault(path, what, f"line {number}") for what in wrong]
        if found is not None and not wrong:
            objects.append(found)
    return objects, faults


def _parse_line(words: Sequence[str], facts: YoloFacts, size: tuple[int, int],
                clip: bool) -> tuple[YoloObject | None, list[str]]:
    if len(words) != facts.columns:
        return None, [f"has {len(words)} columns; with kpt_shape [{facts.num_keypoints}, {facts.dims}] it must have "
                      f"{facts.columns}"]
    if bad := next((word for word in words if not _is_number(word)), ""):
        return None, [f"{bad[:60]!r} is not a number"]
    values = [float(word) for word in words]
    if not all(map(math.isfinite, values)):
        return None, ["holds NaN or infinity"]
    wrong = []
    if values[0] != int(values[0]) or not 0 <= values[0] < len(facts.classes):
        wrong.append(f"class {words[0][:60]} is not one of 0 to {len(facts.classes) - 1}")
    box = _box(values[1:5], size, clip, wrong)
    triples = []
    for k in range(facts.num_keypoints):
        start = 5 + k * facts.dims
        name = facts.keypoints[k] if facts.keypoints else str(k)
        triples.append(_point(values[start:start + facts.dims], size, clip, f"keypoint {name}", wrong))
    return YoloObject(int(values[0]), box, tuple(triples)), wrong


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return word.isascii() and "_" not in word  # Python reads 1_0 and digits of any script


def _box(values: Sequence[float], size: tuple[int, int], clip: bool,
         wrong: list[str]) -> tuple[float, float, float, float]:
    (cx, cy, w, h), (width, height) = values, size
    if w <= 0 or h <= 0:
        wrong.append(f"box is {w:g} by {h:g}")
        return 0.0, 0.0, 0.0, 0.0
    left, top, right, bottom = (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height
    out = max(-left, -top, right - width, bottom - height)
    cut = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        wrong.append("box lies outside the image")
    elif out > TOLERANCE and not clip:
        wrong.append(f"box sticks {out:.1f} px out of the image")
    # Rounding alone leaves a box as it is, so that writing it again gives the same line.
    return cut if out > TOLERANCE else (left, top, right, bottom)


def _point(values: Sequence[float], size: tuple[int, int], clip: bool, name: str,
           wrong: list[str]) -> tuple[float, float, int]:
    nothing = (0.0, 0.0, 0)
    x, y = values[0] * size[0], values[1] * size[1]
    if len(values) == 3:
        seen = values[2]
        if seen not in (0, 1, 2):
            wrong.append(f"{name} has visibility {seen:g}, not 0, 1 or 2")
            return nothing
    else:
        seen = 0 if (x, y) == (0, 0) or (x < 0 and y < 0) else 2
    if not seen:
        return nothing
    out = max(-x, -y, x - size[0], y - size[1])
    if out > TOLERANCE:
        if not clip:
            wrong.append(f"{name} lies {out:.1f} px outside the image")
        return nothing
    return x, y, int(seen)


def swaps_of(flip_idx: Sequence[int], keypoints: Sequence[str]) -> tuple[Pair, ...]:
    """``flip_idx`` as pairs of keypoint names that change places on mirroring."""
    return tuple((keypoints[i], keypoints[j]) for i, j in enumerate(flip_idx) if i < j)


def format_object(found: YoloObject, size: tuple[int, int]) -> str:
    """Writes a label line with a visibility for each keypoint, 9 decimals: below a millionth of a px.

    Args:
        found: The object, image px.
        size: Width and height of the image, px.
    """
    width, height = size
    left, top, right, bottom = found.box
    values = [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height]
    words = [str(found.class_index), *map(_number, values)]
    for x, y, seen in found.keypoints:
        words += [_number(x / width), _number(y / height), str(seen)] if seen else ["0", "0", "0"]
    return " ".join(words)


def _number(value: float) -> str:
    return f"{round(value, 9) + 0.0:.9f}".rstrip("0").rstrip(".")


def data_yaml(names: KeypointSet, splits: Mapping[str, str]) -> str:
    """Writes a ``data.yaml`` with its images beside it.

    Args:
        names: The keypoint set.
        splits: Image folder of each split, relative to the file.
    """
    # No "path": Ultralytics then takes the file's own folder, wherever it is moved.
    content: dict[str, Any] = dict(splits)
    content["names"] = dict(enumerate(names.classes))
    content["kpt_shape"] = [len(names.keypoints), 3]
    content["flip_idx"] = list(names.flip_indices)
    content["kpt_names"] = {i: list(names.keypoints) for i in range(len(names.classes))}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, default_flow_style=None)
