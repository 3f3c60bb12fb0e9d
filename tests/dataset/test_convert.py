import json
import os
from pathlib import Path

import pytest
from PIL import Image

from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.convert.labelme import ConvertOptions, convert
from pose_tools.dataset.convert.report import describe
from pose_tools.dataset.mirroring import mirrored_poses_occur
from pose_tools.formats.coco import load_coco
from pose_tools.formats.labelme import natural_key
from pose_tools.formats.ownership import Pad
from pose_tools.formats.schema import KeypointSet

DATA = Path(__file__).resolve().parents[3] / "shared/data"
WHOLE = ConvertOptions(split=1)
shared = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


def shape(label, kind, *points, **more):
    return {"label": label, "shape_type": kind, "points": [list(p) for p in points], "group_id": None, "flags": {},
            **more}


def car(group=None, **nose):
    return [shape("car", "rectangle", (30, 5), (10, 15), group_id=group),
            shape("nose", "point", (12.5, 7), group_id=group, **nose)]


def add(folder, name, shapes=None, image=True, size=(40, 20), shade=0):
    """Adds an image and its labelme file; shapes None leaves that out."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if image:
        Image.new("RGB", size, (shade, len(os.listdir((folder / name).parent)), 0)).save(folder / f"{name}.png")
    if shapes is not None:
        content = {"version": "5.5.0", "shapes": shapes, "imagePath": Path(name).name + ".png", "imageData": None,
                   "imageWidth": size[0], "imageHeight": size[1]}
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def convert_to(tmp_path, options=WHOLE, source="src"):
    result = convert(tmp_path / source, tmp_path / "out", options)
    files = [load_coco(p) for name in ("train", "val") if (p := tmp_path / f"out/{name}_coco.json").exists()]
    for name, data in zip(("train", "val"), files):
        assert coco_faults(data, name, image_dir=tmp_path / "out/images") == []
    return result, files


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_a_file_by_hand(tmp_path):
    add(tmp_path / "src", "照片", car(flags={"occluded": True}))
    _, [train] = convert_to(tmp_path)
    assert train["images"] == [{"id": 1, "file_name": "照片.png", "width": 40, "height": 20}]
    assert train["annotations"] == [{
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 10], "area": 200, "iscrowd": 0,
        "segmentation": [], "keypoints": [12.5, 7, 1], "num_keypoints": 1}]
    assert train["categories"] == [
        {"id": 1, "name": "car", "supercategory": "car", "keypoints": ["nose"], "skeleton": []}]


def test_polygons_and_instances_without_keypoints(tmp_path):
    add(tmp_path / "src", "a", [shape("car", "polygon", (0, 0), (10, 0), (10, 10)),
                                shape("bus", "circle", (20, 10), (23, 14)), *car()[1:]])
    _, [train] = convert_to(tmp_path, ConvertOptions(split=1, ignored=frozenset({"nose"})))
    triangle, disc = sorted(train["annotations"], key=lambda ann: ann["bbox"])
    assert triangle["area"] == 50 and triangle["segmentation"] == [[0, 0, 10, 0, 10, 10]]
    assert disc["bbox"] == [15, 5, 10, 10] and disc["num_keypoints"] == 0


def test_a_group_of_two_polygons_is_one_annotation(tmp_path):
    add(tmp_path / "src", "a", [
        shape("car", "polygon", (0, 0), (4, 0), (4, 4), group_id=1), shape("nose", "point", (1, 1), group_id=1),
        shape("car", "polygon", (10, 10), (14, 10), (14, 14), group_id=1)])
    _, [train] = convert_to(tmp_path)
    assert [(a["area"], a["bbox"], len(a["segmentation"])) for a in train["annotations"]] == [
        (16, [0, 0, 14, 14], 2)]


def test_names_from_a_meta_are_kept_in_order_with_facts(tmp_path):
    add(tmp_path / "src", "a", car())
    names = KeypointSet(("bus", "car"), ("tail", "nose"), links=(("tail", "nose"), ), sigmas=(.1, .2))
    result, [train] = convert_to(tmp_path, ConvertOptions(names=names, split=1))
    assert train["annotations"][0]["keypoints"] == [0, 0, 0, 12.5, 7, 2]
    assert train["annotations"][0]["category_id"] == 2
    assert train["categories"][0]["skeleton"] == [[1, 2]] and train["categories"][1]["sigmas"] == [.1, .2]
    text = describe(result, tmp_path / "out", False, 1)
    assert "warning: class 'bus' is nowhere" in text and "warning: keypoint 'tail' is nowhere" in text
    assert "found in the data" not in text and "(--split 1)" in text


def test_ids_are_unique_over_both_files_and_names_over_folders(tmp_path):
    for i in range(10):
        add(tmp_path / "src", f"{'ab'[i % 2]}/{i // 2}", car())
    _, [train, val] = convert_to(tmp_path, ConvertOptions())
    assert (len(train["images"]), len(val["images"])) == (8, 2)
    for part in ("images", "annotations"):
        assert [entry["id"] for entry in train[part] + val[part]] == list(range(1, 11))
    names = sorted(image["file_name"] for image in train["images"] + val["images"])
    assert names == sorted(f"{folder}/{i}.png" for folder in "ab" for i in range(5))


def test_the_result_can_be_read_by_pycocotools(tmp_path):
    from pycocotools.coco import COCO

    add(tmp_path / "src", "a", car())
    add(tmp_path / "src", "b", [shape("car", "polygon", (0, 0), (10, 0), (10, 10))])
    convert_to(tmp_path)
    coco = COCO(str(tmp_path / "out/train_coco.json"))
    assert len(coco.getImgIds()) == 2 and len(coco.getAnnIds(catIds=coco.getCatIds(["car"]))) == 2
    # Pixels whose centres lie in the triangle or on its edge: about half of 10 x 10.
    assert 40 <= coco.annToMask(coco.anns[2]).sum() <= 60


def test_groups_stay_on_one_side(tmp_path):
    for film in range(4):
        for frame in range(3):
            add(tmp_path / "src", f"film{film}_{frame}", car())
    result, [train, val] = convert_to(tmp_path, ConvertOptions(split=0.75, group_by=r"film\d"))
    sides = [{image["file_name"][:5] for image in side["images"]} for side in (train, val)]
    assert len(sides[0]) == 3 and len(sides[1]) == 1 and not sides[0] & sides[1]
    assert "4 groups were kept on one side each" in describe(result, Path("out"), False, 0.75)


FAULTY = {
    "ok": car(),
    "owner": [*car(), shape("car", "rectangle", (0, 0), (5, 5)), shape("nose", "point", (38, 18))],
    "twice": [*car(1), shape("nose", "point", (11, 6), group_id=1)],
    "nan": [shape("car", "rectangle", (float("nan"), 1), (5, 5))],
    "flat": [shape("car", "rectangle", (5, 1), (5, 9))],
}


def test_all_faults_of_all_files_are_listed_and_nothing_is_written(tmp_path):
    for name, shapes in FAULTY.items():
        add(tmp_path / "src", name, shapes)
    add(tmp_path / "src", "lost", car(), image=False)
    (tmp_path / "src/cut.json").write_text('{"shapes": [')
    with pytest.raises(FaultsError) as caught:
        convert(tmp_path / "src", tmp_path / "out", WHOLE)
    lines = str(caught.value).split("\n")
    for name in ("owner", "twice", "nan", "flat", "lost", "cut"):
        assert sum(line.startswith(str(tmp_path / f"src/{name}.json: ")) for line in lines) == 1
    assert "nose, group 1: is there 2 times (shapes 2, 3)" in str(caught.value)
    assert lines[-1].startswith("6 faults in 6 of 7 files; nothing was written.")
    assert os.listdir(tmp_path) == ["src"]


def test_faulty_images_are_left_out_on_request_and_are_no_negatives(tmp_path):
    for name, shapes in FAULTY.items():
        add(tmp_path / "src", name, shapes)
    add(tmp_path / "src", "cut")
    (tmp_path / "src/cut.json").write_text('{"shapes": [')
    add(tmp_path / "src", "bare")
    result, [train] = convert_to(tmp_path, ConvertOptions(split=1, skip_faulty=True, keep_empty=True))
    assert sorted(image["file_name"] for image in train["images"]) == ["bare.png", "ok.png"]
    text = describe(result, tmp_path / "out", True, 1)
    assert "5 files left out for 5 faults:" in text
    assert "1 images without a labelme file kept as negatives" in text


def test_images_without_labels_are_reported(tmp_path):
    add(tmp_path / "src", "a", car())
    add(tmp_path / "src", "bare")
    result, [train] = convert_to(tmp_path)
    assert len(train["images"]) == 1
    assert "1 images without a labelme file left out" in describe(result, Path("out"), False, 1)


def test_a_copy_of_an_annotated_image_is_no_negative(tmp_path):
    add(tmp_path / "src", "a", car())
    (tmp_path / "src/copy.png").write_bytes((tmp_path / "src/a.png").read_bytes())
    result, [train] = convert_to(tmp_path, ConvertOptions(split=1, keep_empty=True))
    assert len(train["images"]) == 1
    assert "copies of images that have one" in describe(result, Path("out"), True, 1)


def test_an_image_described_twice_is_a_fault(tmp_path):
    add(tmp_path / "src", "a", car())
    (tmp_path / "src/b.json").write_bytes((tmp_path / "src/a.json").read_bytes())
    with pytest.raises(FaultsError, match=r"b.json: describes .*a.png, as .*a.json does"):
        convert_to(tmp_path)


def test_a_label_file_without_shapes_is_a_negative(tmp_path):
    add(tmp_path / "src", "a", car())
    add(tmp_path / "src", "b", [])
    _, [train] = convert_to(tmp_path)
    assert len(train["images"]) == 2 and len(train["annotations"]) == 1


def test_boxes_from_points_without_any_class(tmp_path):
    add(tmp_path / "src", "a", [shape("nose", "point", (10, 10)), shape("tail", "point", (20, 15))])
    with pytest.raises(UserError, match="--bbox-from-points"):
        convert_to(tmp_path)
    result, [train] = convert_to(tmp_path, ConvertOptions(split=1, pad=Pad(2)))
    assert train["annotations"][0]["bbox"] == [8, 8, 14, 9] and train["annotations"][0]["area"] == 126
    assert train["categories"][0]["name"] == "object"
    assert "1 boxes were made around points" in describe(result, Path("out"), False, 1)


def test_a_destination_with_contents_needs_overwrite(tmp_path):
    add(tmp_path / "src", "a", car())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with pytest.raises(UserError, match="--overwrite"):
        convert_to(tmp_path)
    convert_to(tmp_path, ConvertOptions(split=1, overwrite=True))
    assert tree(tmp_path / "out") == ["images", "images/a.png", "train_coco.json"]


def test_a_failure_while_writing_leaves_the_destination(tmp_path, monkeypatch):
    add(tmp_path / "src", "a", car())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("pose_tools.dataset.convert.labelme.save_side", fail)
    with pytest.raises(OSError):
        convert(tmp_path / "src", tmp_path / "out", ConvertOptions(split=1, overwrite=True))
    assert tree(tmp_path / "out") == ["old"] and sorted(os.listdir(tmp_path)) == ["out", "src"]


def test_a_destination_inside_the_source_is_not_searched(tmp_path):
    add(tmp_path / "src", "a", car())
    for _ in range(2):
        convert(tmp_path / "src", tmp_path / "src/coco", ConvertOptions(split=1, overwrite=True, keep_empty=True))
    assert tree(tmp_path / "src/coco") == ["images", "images/a.png", "train_coco.json"]


@pytest.mark.parametrize("out", ["src", "."])
def test_the_source_cannot_be_overwritten(tmp_path, out):
    add(tmp_path / "src", "a", car())
    with pytest.raises(UserError, match="would be lost"):
        convert(tmp_path / "src", tmp_path / out, ConvertOptions(overwrite=True))
    assert tree(tmp_path) == ["src", "src/a.json", "src/a.png"]


@pytest.mark.parametrize(("make", "message"), [
    (lambda src: None, "no such folder"), (lambda src: src.mkdir(), "there is no .json file")])
def test_nothing_to_convert(tmp_path, make, message):
    make(tmp_path / "src")
    with pytest.raises(UserError, match=message):
        convert_to(tmp_path)


def test_a_bad_split_is_refused_before_reading(tmp_path):
    add(tmp_path / "src", "a", car())
    with pytest.raises(UserError, match="--split 80"):
        convert_to(tmp_path, ConvertOptions(split=80))


def test_the_result_does_not_depend_on_the_order_of_the_file_system(tmp_path, monkeypatch):
    for i in range(6):
        add(tmp_path / "src", f"d{i % 2}/{i}", car())
    _, first = convert_to(tmp_path, ConvertOptions(split=0.5))
    scan, opened = os.scandir, []

    class Backwards:
        def __init__(self, folder):
            with scan(folder) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name)
            opened.append(folder)

        def __iter__(self):
            return self

        def __next__(self):
            if not self.entries:
                raise StopIteration
            return self.entries.pop()

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        close = __exit__

    monkeypatch.setattr(os, "scandir", Backwards)
    _, second = convert_to(tmp_path, ConvertOptions(split=0.5, overwrite=True))
    assert first == second and str(tmp_path / "src/d1") in opened


@shared
def test_real_wheels(tmp_path):
    result = convert(DATA / "wheels_labelme", tmp_path / "out", ConvertOptions())
    sides = [load_coco(tmp_path / f"out/{name}_coco.json") for name in ("train", "val")]
    annotations = [ann for side in sides for ann in side["annotations"]]
    assert [len(side["images"]) for side in sides] == [30, 8]
    assert len(annotations) == 79 and sum(ann["num_keypoints"] for ann in annotations) == 395
    for k in range(5):
        assert sum(ann["keypoints"][3 * k + 2] == 2 for ann in annotations) == 79
    assert result.names.keypoints == ("tire-inner", "tire-top", "wheel-bottom", "wheel-right", "wheel-top")
    assert all(coco_faults(side, "f", result.names, tmp_path / "out/images") == [] for side in sides)
    assert not mirrored_poses_occur(sides[0], result.names), "every wheel shows the same side"


@shared
@pytest.mark.parametrize("whole_folder", [False, True])
def test_real_people_with_polygons(tmp_path, whole_folder):
    root = DATA / "people_polygons_labelme"
    options = ConvertOptions(split=1, image_folders=(root / "JPEGImages", ), skip_faulty=whole_folder, keep_empty=True)
    result = convert(root if whole_folder else root / "json", tmp_path / "out", options)
    train = load_coco(tmp_path / "out/train_coco.json")
    names = {category["id"]: category["name"] for category in train["categories"]}
    labels = [names[ann["category_id"]] for ann in train["annotations"]]
    assert len(train["images"]) == 7 and labels.count("person") == 9 and labels.count("car") == 4
    labelled = [ann for ann in train["annotations"] if ann["num_keypoints"]]
    assert [ann["num_keypoints"] for ann in labelled] == [5, 5, 5, 5]
    assert train["categories"][0]["keypoints"] == sorted("01234", key=natural_key)
    assert all(len(ann["segmentation"]) == 1 for ann in train["annotations"])
    # test4.png has no labels, but is test3.png again, with two people in it.
    assert [path.name for path in result.copies] == ["test4.png"]
    assert coco_faults(train, "f", result.names, tmp_path / "out/images") == []
    picture = next(image for image in train["images"] if image["file_name"].endswith("test0.png"))
    assert (picture["width"], picture["height"]) == (750, 500)
    assert len(result.faults) == (2 if whole_folder else 0)


@shared
def test_real_people_agree_with_their_authors_file(tmp_path):
    root = DATA / "people_polygons_labelme"
    convert(root / "json", tmp_path / "out", ConvertOptions(split=1, image_folders=(root / "JPEGImages", )))
    ours, theirs = load_coco(tmp_path / "out/train_coco.json"), load_coco(root / "coco_kps.json")

    def points(data):
        return sorted([round(x) for x in ann["keypoints"]] for ann in data["annotations"]
                      if any(ann["keypoints"]))

    assert len(points(theirs)) == 4
    for mine, other in zip(points(ours), points(theirs)):
        assert max(abs(a - b) for a, b in zip(mine, other)) <= 1


@shared
def test_real_shapes_of_every_kind(tmp_path):
    with pytest.raises(FaultsError) as caught:
        convert(DATA / "mandrill_shapes_labelme", tmp_path / "out", WHOLE)
    told = [(Path(fault.file).name, fault.where.split(" ")[0]) for fault in caught.value.faults]
    assert sorted(told) == [("Mandrill.json", "Glabella"), ("Mandrill.json", "Nostril"), ("backslash.json", ""),
                            ("backslash.json", "TL")]
    options = ConvertOptions(split=1, ignored=frozenset({"Glabella", "Nostril", "TL"}), skip_faulty=True)
    result = convert(DATA / "mandrill_shapes_labelme", tmp_path / "out", options)
    train = load_coco(tmp_path / "out/train_coco.json")
    names = [category["name"] for category in train["categories"]]
    counts = [sum(ann["category_id"] == i for ann in train["annotations"]) for i in range(1, 5)]
    assert dict(zip(names, counts)) == {"Eye": 2, "Iris": 2, "Nose": 1} and counts[3] == 0
    assert result.passed_over["Groove (linestrip)"] == 6 and result.passed_over["EyeBrow (line)"] == 1
