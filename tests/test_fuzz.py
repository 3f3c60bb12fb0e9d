"""No input, however broken, gives a traceback or half a result.

Every command gets valid input with one file spoiled. It must end with exit code 0 and a sound result, or with exit code
1, a message that names the spoiled file, and nothing written; and it must not touch its input.

The seeds are fixed. FUZZ_ROUNDS=2000 runs it longer, FUZZ_ONLY=merge_coco:17 one round again, with its traceback.
"""
import hashlib
import importlib
import importlib.util
import io
import json
import os
import random
import shutil
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import pytest
import yaml
from fuzz_mutations import YAMLS, mutate

from pose_tools.console import run
from pose_tools.dataset.checks import coco_faults
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, load_coco, save_coco, write_text
from pose_tools.formats.labelme import read_folder
from pose_tools.formats.labelme_write import labelme_content, labelme_shape, labelme_text
from pose_tools.formats.schema import KeypointSet, read_meta
from pose_tools.formats.yolo import parse_labels, read_yolo_facts

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "60"))
ONLY = os.environ.get("FUZZ_ONLY", "")
SIZE = (48, 32)
NAMES = KeypointSet(("car", "bus"), ("left-nose", "right-nose", "tail"), (("left-nose", "right-nose"), ),
                    (("left-nose", "tail"), ), (0.05, 0.05, 0.1))
BOXES = [((4, 5, 30, 25), [(6, 7, 2), (20, 9, 1), (0, 0, 0)]), ((10, 2, 44, 30), [(12, 4, 2), (40, 5, 2), (30, 28, 1)])]


def picture(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    cv2.imwrite(str(path), rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8))


def make_coco(folder, first, shift=0):
    """Two splits of two pictures; another shift is another annotator."""
    points = [(box, [(x + shift, y + shift * (v - 1), v) if v else (0, 0, 0) for x, y, v in found])
              for box, found in BOXES]
    for number, split in enumerate(("train", "val")):
        names = [f"{split}/a.jpg", f"{split}/b.png"]
        for i, name in enumerate(names):
            picture(folder / "images" / name, first + 2 * number + i)
        outlines = [], [[10, 2, 44, 2, 44, 30, 10, 30]]
        annotations = [coco_annotation(4 * number + 2 * i + j + 1, 2 * number + i + 1, j + 1, *points[j], outlines[j],
                                       952) for i in (0, 1) for j in (0, 1)]
        save_coco(folder / f"{split}_coco.json", {
            "info": {}, "images": [coco_image(2 * number + i + 1, name, SIZE) for i, name in enumerate(names)],
            "annotations": annotations, "categories": coco_categories(NAMES)})


def make_labelme(folder):
    for number, name in enumerate(("a.jpg", "b.png", "deep/c.jpg")):
        picture(folder / name, 20 + number)
        shapes = []
        for group, (box, points) in enumerate(BOXES, 1):
            shapes.append(labelme_shape(NAMES.classes[group - 1], [box[:2], box[2:]], group, "rectangle"))
            shapes += [labelme_shape(word, [point[:2]], group, "point")
                       for word, point in zip(NAMES.keypoints, points) if point[2]]
        shapes.append(labelme_shape("car", [[1, 1], [9, 1], [9, 8]], 3, "polygon"))
        write_text((folder / name).with_suffix(".json"), labelme_text(labelme_content(shapes, Path(name).name, SIZE)))


def make_yolo(folder):
    for number, (split, name) in enumerate((("train", "a"), ("train", "b"), ("val", "c"))):
        picture(folder / f"images/{split}/{name}.jpg", 30 + number)
        write_text(folder / f"labels/{split}/{name}.txt", "0 0.5 0.5 0.4 0.4 0.45 0.45 1 0.55 0.55 2 0 0 0\n" * 2)
    write_text(folder / "data.yaml", yaml.safe_dump({
        "train": "images/train", "val": "images/val", "names": {0: "car", 1: "bus"}, "kpt_shape": [3, 3],
        "flip_idx": [1, 0, 2], "kpt_names": {0: list(NAMES.keypoints), 1: list(NAMES.keypoints)}}))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """Valid input of every kind."""
    folder = tmp_path_factory.mktemp("pristine")
    make_coco(folder / "coco", 1)
    make_coco(folder / "more", 11, 1)
    make_labelme(folder / "labelme")
    make_yolo(folder / "yolo")
    results = [{"image_id": i, "file_name": f"val/{name}", "category_id": 1 + i % 2, "bbox": [4, 5, 20, 20],
                "score": 0.9, "keypoints": [6, 7, 0.9, 20, 9, 0.2, 10, 10, 1.1]}
               for i, name in ((3, "a.jpg"), (4, "b.png"))]
    write_text(folder / "results/results.json", json.dumps(results))
    write_text(folder / "results/meta.py", f"classes = {NAMES.classes!r}\nkeypoints = {NAMES.keypoints!r}\n")
    return folder


def sound_coco(out):
    for path in out.glob("*_coco.json"):
        data = load_coco(path)
        assert coco_faults(data, path, image_dir=out / "images") == []
        assert all(type(a["id"]) is int and a["id"] > 0 for a in [*data["annotations"], *data["images"]])
        for image in data["images"]:
            found = cv2.imread(str(out / "images" / image["file_name"]))
            assert found is None or found.shape[1::-1] == (image["width"], image["height"]), image
    assert list(out.glob("*_coco.json"))


def sound_yolo(out):
    facts = read_yolo_facts(out / "data.yaml")
    for path in (out / "labels").rglob("*.txt"):
        assert parse_labels(path.read_text(encoding="utf-8"), facts, SIZE, path, clip=True)[1] == []


def sound_labelme(out):
    files, faults = read_folder(out)
    assert faults == []
    for file in files:
        assert [shape.problem for shape in file.shapes if shape.problem] == []
        assert (file.path.parent / file.image_path).is_file()


def sound_configs(out):
    assert read_meta(out / "_base_/new/meta.py").keypoints
    assert len(list(out.glob("*-new.py"))) == 8


def something(out):
    assert out.exists()


def anything(out):
    pass


def nothing(out):
    assert not out.exists()


@dataclass(frozen=True)
class Command:
    """What to run.

    Attributes:
        module: Of the script.
        words: Its arguments; IN and OUT stand for the input's folder and for what is to be made.
        spoiled: Folders of the input of which a file is spoiled.
        sound: Raises when what was made is not sound.
        reports: It tells of faults on standard output, and exits with 1 when there are some.
    """

    module: str
    words: str
    spoiled: str
    sound: Callable[[Path], None]
    reports: bool = False


COMMANDS = {
    "labelme2coco": Command("pose_tools.labelme2coco", "IN/labelme OUT", "labelme", sound_coco),
    "labelme2coco-skip": Command("pose_tools.labelme2coco", "IN/labelme OUT --skip-faulty --keep-empty "
                                 "--bbox-from-points", "labelme", sound_coco),
    "yolo2coco": Command("pose_tools.yolo2coco", "IN/yolo OUT", "yolo", sound_coco),
    "yolo2coco-skip": Command("pose_tools.yolo2coco", "IN/yolo OUT --skip-faulty --keep-empty --clip", "yolo",
                              sound_coco),
    "coco2yolo": Command("pose_tools.coco2yolo", "IN/coco OUT", "coco", sound_yolo),
    "coco2labelme": Command("pose_tools.coco2labelme", "IN/coco/train_coco.json OUT", "coco", sound_labelme),
    "coco2labelme-results": Command("pose_tools.coco2labelme", "IN/results/results.json OUT --coco "
                                    "IN/coco/val_coco.json", "results coco", sound_labelme),
    "coco2labelme-meta": Command("pose_tools.coco2labelme", "IN/results/results.json OUT --meta IN/results/meta.py "
                                 "--images IN/coco/images", "results", sound_labelme),
    "merge_coco": Command("pose_tools.merge_coco", "IN/coco IN/more --out OUT", "coco more", sound_coco),
    "crop_instances": Command("pose_tools.crop_instances", "IN/coco OUT", "coco", sound_coco),
    "new_dataset-coco": Command("tools.new_dataset", "new --coco IN/coco/train_coco.json --configs OUT", "coco",
                                sound_configs),
    "new_dataset-labelme": Command("tools.new_dataset", "new --labelme IN/labelme --configs OUT", "labelme",
                                   sound_configs),
    "split_coco": Command("pose_tools.split_coco", "IN/coco OUT", "coco", something),
    "check_coco": Command("pose_tools.check_coco", "IN/coco", "coco", nothing, True),
    "check_coco-fix": Command("pose_tools.check_coco", "IN/coco --json --fix-to OUT", "coco", anything, True),
    "show_coco": Command("pose_tools.show_coco", "IN/coco --out OUT", "coco", something),
    "show_coco-page": Command("pose_tools.show_coco", "IN/coco --html OUT", "coco", something),
    "dataset_stats": Command("pose_tools.dataset_stats", "IN/coco", "coco", nothing),
    "estimate_sigmas": Command("pose_tools.estimate_sigmas", "IN/coco IN/more --min-pairs 1", "coco more", nothing),
}


def snapshot(folder):
    """What is in a folder, by content."""
    return {str(path.relative_to(folder)): "link" if path.is_symlink() else
            "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))}


@contextmanager
def terminal():
    """Standard output and error as a UTF-8 terminal has them."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace")]
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams
    try:
        yield streams
    finally:
        sys.stdout, sys.stderr = before


def text_of(stream):
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8")


def one_round(command, number, pristine, folder):
    """Spoils one file and runs the command.

    Returns:
        What is wrong with how it ended, and what was done to the input; "" when nothing is.
    """
    module, words, spoiled = COMMANDS[command].module, COMMANDS[command].words, COMMANDS[command].spoiled
    rng = random.Random(f"{command}:{number}")
    for name in {word.split("/")[1] for word in words.split() if word.startswith("IN/")}:
        shutil.copytree(pristine / name, folder / "in" / name)
    files = [path for name in spoiled.split() for path in sorted((folder / "in" / name).rglob("*")) if path.is_file()]
    notes = [path for path in files if path.suffix not in (".jpg", ".png", ".py")]
    target = rng.choice(notes if rng.random() < 0.8 else [path for path in files if path.suffix != ".py"])
    done = f"{target.relative_to(folder / 'in')}: {mutate(target, rng)}"
    before, out = snapshot(folder / "in"), folder / "result/out"
    main = importlib.import_module(module).main
    argv = [word.replace("IN", str(folder / "in")).replace("OUT", str(out)) for word in words.split()]
    with terminal() as (said, complained):
        try:
            code = run(main, argv)
        except BaseException:
            if ONLY:
                raise
            last = traceback.format_exc().strip().splitlines()
            return f"{last[-1][:150]} at {[line.strip() for line in last if 'File' in line][-1]}", done
    message, told = text_of(complained), text_of(said)
    if snapshot(folder / "in") != before:
        return "changed its input", done
    if code == 0:
        try:
            COMMANDS[command].sound(out)
        except Exception as error:
            if ONLY:
                raise
            return f"result is not sound: {type(error).__name__} {str(error)[:300]}", done
        return "", done
    if code != 1:
        return f"exit code {code}", done
    if COMMANDS[command].reports and not message:
        return ("" if target.stem in told else f"does not name the file: {told[:300]!r}"), done
    if target.stem not in message:
        return f"does not name the file: {message[:300]!r}", done
    if "Traceback" in message or len(message) > 20000:
        return f"says too much: {len(message)} characters", done
    left = list((folder / "result").rglob("*")) if (folder / "result").exists() else []
    return (f"left {left[:3]}" if left else ""), done


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_spoiled_input_ends_in_a_message_or_a_sound_result(command, pristine, tmp_path):
    if importlib.util.find_spec(COMMANDS[command].module) is None:
        pytest.skip("the command is not in this tree")
    chosen, _, only = ONLY.partition(":")
    if ONLY and chosen != command:
        pytest.skip("FUZZ_ONLY names another")
    wrong, ended = [], 0
    for number in [int(only)] if only else range(ROUNDS):
        folder = tmp_path / str(number)
        problem, done = one_round(command, number, pristine, folder)
        ended += not problem
        if problem:
            wrong.append(f"FUZZ_ONLY={command}:{number} ({done})\n    {problem}")
        shutil.rmtree(folder, ignore_errors=True)
    assert not wrong, f"{len(wrong)} of {ROUNDS} rounds:\n" + "\n".join(wrong[:12])


def spoiled(pristine, folder, name, change):
    """A copy of the input with one JSON or YAML file changed by a function, or any file replaced by bytes."""
    shutil.copytree(pristine, folder / "in")
    path = folder / "in" / name
    if isinstance(change, bytes):
        path.write_bytes(change)
        return folder / "in"
    load, dump = (json.loads, json.dumps) if path.suffix == ".json" else (yaml.safe_load, yaml.safe_dump)
    value = load(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(dump(value), encoding="utf-8")
    return folder / "in"


def put(*path_and_value):
    """A change that puts the last of its arguments where the others lead."""
    *path, key, new = path_and_value

    def change(value):
        for step in path:
            value = value[step]
        value[key] = new

    return change


# Found by the fuzz or while it was written; each ended in a traceback, said nothing of use, or wrote what is not sound.
FOUND = [
    ("coco2yolo", "coco/val_coco.json", put("categories", 1, "keypoints", 1.5), "category 2: keypoints is not a list"),
    ("coco2yolo", "coco/val_coco.json", put("categories", 1, "keypoints", 0, ["x"]), "keypoint \"['x']\" is not"),
    ("new_dataset-coco", "coco/train_coco.json", put("categories", 0, "sigmas", 0, float("inf")), "is not a finite"),
    ("merge_coco", "coco/train_coco.json", put("categories", 0, "name", "\ud800"), "is not a text"),
    ("merge_coco", "coco/train_coco.json", put("categories", 0, "swap", 3), "swap is not a list"),
    ("coco2yolo", "coco/train_coco.json", put("images", 0, "file_name", "x" * 300), "is too long for a file's name"),
    ("coco2yolo", "coco/train_coco.json", put("images", 0, "file_name", "a\0b"), "that no file's name can have"),
    ("coco2yolo", "coco/images/train/a.jpg", b"", "a.jpg: is empty"),
    ("merge_coco", "coco/images/train/a.jpg", b"x", "a.jpg: is not an image"),
    ("coco2yolo", "coco/train_coco.json", put("images", 0, "width", 96), "is 48x32 px; train_coco.json says 96x32"),
    ("merge_coco", "coco/train_coco.json", put("images", 0, "width", 96), "is 48x32 px; train_coco.json says 96x32"),
    ("coco2labelme", "coco/train_coco.json", put("images", 0, "width", 96), "is 48x32 px; train_coco.json says 96x32"),
    ("crop_instances", "coco/train_coco.json", put("annotations", 1, "segmentation", 0, 3, "2"), "is neither polygons"),
    ("crop_instances", "coco/train_coco.json", put("annotations", 1, "segmentation", 5), "segmentation 5 is neither"),
    ("crop_instances", "coco/train_coco.json", put("annotations", 1, "note", float("nan")), "annotation 2: has a"),
    ("merge_coco", "coco/train_coco.json", put("annotations", 1, "note", "\udfff"), "annotation 2: has a field"),
    ("merge_coco", "coco/train_coco.json", put("annotations", 1, "iscrowd", [1]), "iscrowd is [1]; expected 0 or 1"),
    ("crop_instances", "coco/train_coco.json", put("annotations", 1, "keypoints", 0, 10**400), "not a finite number"),
    ("coco2labelme-results", "results/results.json", put(0, "keypoints", 1, 10**400), "keypoints is not a list of x"),
    ("coco2labelme-results", "results/results.json", put(0, "bbox", 0, 1e308), "is not four finite numbers"),
    ("coco2labelme-results", "results/results.json", put(0, "category_id", [2]), "category_id [2] is none of 1, 2"),
    ("coco2labelme-results", "results/results.json", lambda results: results[0].update(image_id={}, file_name=None),
     "image_id {} is not in the data set"),
    ("coco2labelme-meta", "results/results.json", put(0, "file_name", "x.jpg"), "x.jpg: no such image"),
    ("coco2labelme-meta", "results/results.json", put(0, "file_name", 3), "result 0: has no file_name"),
    ("yolo2coco", "yolo/data.yaml", put("flip_idx", 1, "0"), "flip_idx is not a list of the numbers 0 to 2"),
    ("yolo2coco", "yolo/data.yaml", put("names", {0: "car", 1: "car"}), "classes: 'car' is listed 2 times"),
    ("yolo2coco", "yolo/data.yaml", put("names", {0: "car", 1: [1]}), "names is not a list of class names"),
    ("yolo2coco", "yolo/data.yaml", put("kpt_shape", [10**9, 3]), "is not [number of keypoints, 2 or 3]"),
    ("yolo2coco", "yolo/data.yaml", put("val", "x" * 300), "left out"),
    ("yolo2coco", "yolo/data.yaml", put("val", {"a": 1}), "val {'a': 1} is not a path or a list of paths"),
    ("yolo2coco", "yolo/data.yaml", b"[" * 1200, "is not YAML: nested too deeply"),
    ("yolo2coco", "yolo/data.yaml", b"names: 2020-99-99\n", "is not YAML: month must be in 1..12"),
    ("yolo2coco", "yolo/data.yaml", YAMLS[0].encode(), "names is not a list of class names"),
    ("yolo2coco", "yolo/labels/train/a.txt", b"0 0.5 0.5 0.4 0.4 1_0 0.45 1 0.55 0.55 2 0 0 0", "'1_0' is not a"),
    ("labelme2coco", "labelme/a.json", put("shapes", 0, "points", 0, 0, -4e6), "reaches far outside the image of"),
    ("labelme2coco-skip", "labelme/a.json", put("shapes", 1, "label", "\ud800"), "\\ud800"),
]


@pytest.mark.parametrize(("command", "name", "change", "said"), FOUND, ids=[f"{i}-{f[0]}" for i, f in enumerate(FOUND)])
def test_what_the_fuzz_found(command, name, change, said, pristine, tmp_path):
    home = spoiled(pristine, tmp_path, name, change)
    argv = [word.replace("IN", str(home)).replace("OUT", str(tmp_path / "out")) for word in
            COMMANDS[command].words.split()]
    with terminal() as streams:
        code = run(importlib.import_module(COMMANDS[command].module).main, argv)
    told = "".join(map(text_of, streams))
    assert said in told
    assert (tmp_path / "out").exists() == (code == 0)


def test_a_destination_that_holds_the_file_it_comes_from_is_refused(pristine, tmp_path):
    home = spoiled(pristine, tmp_path, "coco/train_coco.json", put("info", {}))
    (home / "coco/images").rename(tmp_path / "pictures")
    argv = [str(home / "coco/train_coco.json"), str(home / "coco"), "--images", str(tmp_path / "pictures"),
            "--overwrite"]
    with terminal() as (_, complained):
        assert run(importlib.import_module("pose_tools.coco2labelme").main, argv) == 1
    assert "which would be lost" in text_of(complained) and (home / "coco/train_coco.json").is_file()


@pytest.mark.parametrize("ids", [(0, 1, 2, 3), ("a/b", "..", "x", "y")])
def test_ids_that_are_no_numbers_from_1_are_numbered_in_crops(ids, pristine, tmp_path):
    def change(data):
        for annotation, new in zip(data["annotations"], ids):
            annotation["id"] = new

    home = spoiled(pristine, tmp_path, "coco/train_coco.json", change)
    argv = [str(home / "coco/train_coco.json"), str(tmp_path / "out")]
    with terminal():
        assert run(importlib.import_module("pose_tools.crop_instances").main, argv) == 0
    sound_coco(tmp_path / "out")
    assert [a["id"] for a in load_coco(tmp_path / "out/train_coco.json")["annotations"]] == [1, 2, 3, 4]
