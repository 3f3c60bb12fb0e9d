"""Configs for a new keypoint set: the carpose ones with another name, and a ``meta.py`` with its facts."""
from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.dataset.mirroring import mirrored_poses_occur
from pose_tools.formats.coco import is_link, keypoint_set_from_coco, load_coco, write_text
from pose_tools.formats.labelme import read_folder
from pose_tools.formats.labels import discover_names
from pose_tools.formats.schema import KeypointSet, Pair, keypoint_set_from_dict

TEMPLATE = "carpose"
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
_DERIVED = "# ---- derived"
_SIDES = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("左", "右"))
_LETTERS = (("l", "r"), ("L", "R"))
_DEFAULT_SIGMA = 0.05
_MODEL_POINTS_SAID = "# Where the keypoints of a typical object are, in metres: x forward, y to its own left, z up."


@dataclass(frozen=True)
class Facts:
    """What is known about a keypoint set, and what was assumed.

    Attributes:
        names: The set, with sigmas for each keypoint.
        notes: What was guessed or left out, to be told to the user.
    """

    names: KeypointSet
    notes: tuple[str, ...] = ()


def mirror_name(name: str, known: Iterable[str]) -> str | None:
    """Finds the keypoint on the other side of the body.

    Args:
        name: Such as ``left-eye``, ``l_hand``, ``hand-R`` or ``左眼``.
        known: All keypoint names.

    Returns:
        The name with left and right exchanged when there is such a keypoint, else ``None``.
    """
    known = set(known)
    for a, b in (*_SIDES, *((b, a) for a, b in _SIDES)):
        if name.replace(a, b) != name and name.replace(a, b) in known:
            return name.replace(a, b)
    for a, b in (*_LETTERS, *((b, a) for a, b in _LETTERS)):
        # A letter of its own: at an end, or between - _ . and blanks.
        other = re.sub(rf"(?<![^\W_]){a}(?![^\W_])", b, name)
        if other != name and other in known:
            return other
    return None


def guess_swaps(keypoints: Sequence[str]) -> tuple[Pair, ...]:
    """Guesses from the names which keypoints trade places when the image is mirrored; each pair left before right."""
    pairs: list[Pair] = []
    for name in keypoints:
        other = mirror_name(name, keypoints)
        if other is not None and not any(n in pair for pair in pairs for n in (name, other)):
            pairs.append((other, name) if _is_right(name, other) else (name, other))
    return tuple(pairs)


def _is_right(name: str, other: str) -> bool:
    letters = [re.sub(rf"(?<![^\W_]){b}(?![^\W_])", a, name) for a, b in _LETTERS]
    return other in [*(name.replace(b, a) for a, b in _SIDES), *letters]


def _completed(names: KeypointSet, notes: Sequence[str]) -> Facts:
    told = list(notes)
    if not names.sigmas:
        names = replace(names, sigmas=(_DEFAULT_SIGMA, ) * len(names.keypoints))
        told.append(f"sigmas: {_DEFAULT_SIGMA} for every keypoint, an assumption")
    if not names.swaps:
        names = replace(names, swaps=guess_swaps(names.keypoints))
        listed = ", ".join(f"{a} <-> {b}" for a, b in names.swaps) or "none"
        told.append(f"swaps, guessed from the names: {listed}")
    if not names.links:
        told.append("links: none known; add some to have lines drawn")
    return Facts(names, tuple(told))


def facts_from_coco(path: Path) -> Facts:
    """Reads the facts from a COCO keypoint file.

    Raises:
        UserError: There is no such file, or it names no keypoints.
        FaultsError: It is not COCO or contradicts itself.
    """
    data = load_coco(path)
    names = keypoint_set_from_coco(data, path)
    if not names.keypoints or not names.classes:
        raise UserError(f"{path}: names no {'keypoints' if names.classes else 'categories'}")
    notes = []
    listed = next(c for c in data["categories"] if c.get("keypoints")).get("skeleton") or []
    bad = [pair for pair in listed if not is_link(pair, len(names.keypoints))]
    if bad:
        notes.append(f"skeleton: links left out, which do not join two keypoints by index from 1: {bad}; "
                     "the others may be off by one, so compare them with a picture")
    facts = _completed(names, notes)
    if facts.names.swaps or mirrored_poses_occur(data, facts.names):
        return facts
    told = "mirror: False, for no labelled object looks like a mirrored one and no keypoints change places"
    return Facts(replace(facts.names, mirror=False), (*facts.notes, told))


def facts_from_labelme(folder: Path) -> Facts:
    """Reads the names used in a labelme folder.

    Raises:
        UserError: There is no such folder, or nothing in it has keypoints and boxes.
        FaultsError: Files that are not labelme.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    files, faults = read_folder(folder)
    if faults:
        raise FaultsError(faults)
    names = discover_names(files)
    if not names.keypoints:
        raise UserError(f"{folder}: no labelme file in this folder or below has a point")
    notes = ["order of the keypoints: sorted by name; put them into the order you like before converting"]
    if not names.classes:
        names = replace(names, classes=("object", ))
        notes.append("class: 'object', for there is no rectangle, polygon or circle; convert with "
                     "--bbox-from-points")
    return _completed(names, notes)


def _listing(name: str, values: Sequence[object], per_line: int = 1) -> str:
    if not values:
        return f"{name} = ()"
    texts = [f"{value!r}," for value in values]
    lines = [" ".join(texts[i:i + per_line]) for i in range(0, len(texts), per_line)]
    return "\n".join([f"{name} = (", *(f"    {line}" for line in lines), ")"])


def _sigma_lines(sigmas: Sequence[float]) -> str:
    if len(set(sigmas)) == 1:
        return f"sigmas = ({sigmas[0]!r}, ) * len(keypoints)"
    return _listing("sigmas", sigmas, 8)


def meta_text(name: str, names: KeypointSet, data_root: str, template: str) -> str:
    """Writes a ``meta.py``.

    Args:
        name: The data set's name.
        names: Its facts.
        data_root: Where its data will be, relative to the repository.
        template: Text of carpose's ``meta.py``; everything from its derived part on is kept as it is.

    Raises:
        UserError: The template has no derived part.
    """
    start = template.find(_DERIVED)
    if start < 0:
        raise UserError(f"{CONFIGS}/_base_/{TEMPLATE}/meta.py: has no line starting with {_DERIVED!r}")
    parts = [
        f"# {name}: the facts about this keypoint set; the only file to edit.",
        f"dataset_name = {name!r}",
        _listing("classes", names.classes),
        "\n# Names and order of the keypoints, exactly as they are labelled.",
        _listing("keypoints", names.keypoints, 4),
        "# Pairs that change places when the picture is mirrored; () when the object has no left and right.",
        _listing("swaps", names.swaps),
        "# Whether a mirrored picture could be a real one; False, for a clock face say, trains and tests without "
        "mirroring.",
        f"mirror = {names.mirror}",
        "# Lines to draw.",
        _listing("links", names.links),
        "# OKS sigma of each keypoint: how far annotators differ, as a share of the object's scale "
        "(sqrt of its area).",
        _sigma_lines(names.sigmas),
        *([_MODEL_POINTS_SAID, _listing("model_points", names.model_points, 4)] if names.model_points else ()),
        f"\ndata_root = {data_root.rstrip('/') + '/'!r}",
        "train_ann_file = 'train_coco.json'",
        "val_ann_file = 'val_coco.json'",
        "image_dir = 'images/'",
    ]
    return "\n".join(parts) + "\n\n" + template[start:]


def check_name(name: str) -> None:
    """Refuses names that would break file names or ``_base_`` paths.

    Raises:
        UserError: It is not lower-case letters, digits, - and _, starting with a letter; or it is the
            template's own.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise UserError(f"{name!r} cannot be a name here: use lower-case letters, digits, - and _, "
                        "starting with a letter")
    if name == TEMPLATE:
        raise UserError(f"{name!r} is what new configs are copied from; choose another name")


def default_data_root(name: str, coco: Path | None) -> str:
    """Where a data set is: the folder of its ``train_coco.json``, else ``data/NAME``.

    Args:
        name: The data set's name.
        coco: The COCO file its facts are from, if they are from one.

    Returns:
        A path relative to the repository where it lies inside, which is what configs go by; else an absolute one.
    """
    if coco is None or coco.name != "train_coco.json":
        return f"data/{name}"
    folder, root = coco.absolute().parent, CONFIGS.parent
    return (folder.relative_to(root) if root in folder.parents else folder).as_posix()


def missing_data(data_root: str) -> list[str]:
    """What a training needs and does not find in a data set's folder."""
    folder = CONFIGS.parent / data_root
    return [part for part in ("train_coco.json", "val_coco.json", "images/") if not (folder / part).exists()]


def render(name: str, facts: Facts, data_root: str) -> dict[str, str]:
    """Writes all files of a keypoint set in memory.

    Args:
        name: The data set's name.
        facts: Its facts.
        data_root: Where its data will be.

    Returns:
        File contents by path relative to ``configs/``.
    """
    base = CONFIGS / "_base_" / TEMPLATE
    sources = [*sorted(base.glob("*.py")), *sorted(CONFIGS.glob(f"*-{TEMPLATE}.py"))]
    texts = {path.relative_to(CONFIGS).as_posix().replace(TEMPLATE, name):
             path.read_text(encoding="utf-8").replace(TEMPLATE, name) for path in sources}
    meta = (base / "meta.py").read_text(encoding="utf-8")
    texts[f"_base_/{name}/meta.py"] = meta_text(name, facts.names, data_root, meta)
    return texts


def new_dataset(name: str, facts: Facts, data_root: str, configs: Path, force: bool = False) -> list[Path]:
    """Writes the configs of a new keypoint set.

    Args:
        name: Lower-case letters, digits, - and _.
        facts: What goes into its ``meta.py``.
        data_root: Where its data will be.
        configs: Folder to write to; recipes that are missing there are copied.
        force: Replace files that exist.

    Returns:
        The files written.

    Raises:
        UserError: The name cannot be used.
        FaultsError: Files exist and ``force`` is off; nothing is written.
    """
    check_name(name)
    texts = render(name, facts, data_root)
    present = [configs / path for path in texts if (configs / path).exists()]
    if present and not force:
        raise FaultsError([Fault(path, "exists") for path in present],
                          "nothing was written; replace these with --force")
    # What was made must be readable as a config before anything is written.
    values: dict[str, object] = {}
    exec(texts[f"_base_/{name}/meta.py"], values)
    keypoint_set_from_dict(values, configs / "_base_" / name / "meta.py")
    for recipe in (CONFIGS / "_base_").glob("*.py"):
        if not (configs / "_base_" / recipe.name).exists():
            (configs / "_base_").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(recipe, configs / "_base_" / recipe.name)
    for path, text in texts.items():
        write_text(configs / path, text)
    return [configs / path for path in texts]
