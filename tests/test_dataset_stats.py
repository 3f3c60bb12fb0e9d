import json
import re

import pytest

from pose_tools import dataset_stats
from pose_tools.console import UserError, run
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, save_coco
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(("car", "van|<b>"), ("left", "right_*"), sigmas=(0.05, 0.05))


def make(folder, annotations=None):
    """A data set in which each of ten images holds a wide object of 400 x 200 px."""
    if annotations is None:
        annotations = [coco_annotation(i, i, 1 + i % 2, (100, 100, 500, 300), [(120, 150, 2), (480, 200, 1)])
                       for i in range(1, 11)]
    folder.mkdir(parents=True, exist_ok=True)
    save_coco(folder / "train_coco.json", {
        "images": [coco_image(i, f"{i}.jpg", (1920, 1080)) for i in range(1, 11)], "annotations": annotations,
        "categories": coco_categories(NAMES)})
    return folder


def test_tables_and_commands(tmp_path, capsys):
    assert dataset_stats.main([str(make(tmp_path / "my cars"))]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^objects +10$", said, re.MULTILINE)
    lines = said.splitlines()
    pose = lines.index("python tools/train.py 'configs/rtmpose-s-my cars.py' --input-size 352 192")
    assert lines[pose + 1] == ("    the median box is 400 x 200 px, the median w/h 2.00 (from 10 objects only): "
                               "352x192 leaves 8.3 % unused, 256x256 50 %")
    assert lines[pose + 2] == "    objects are shown at 0.70 times their size instead of 0.51, at 1.03 times the cost"
    assert lines[pose + 3] == "python tools/train.py 'configs/rtmdet-tiny-my cars.py' --input-size 832 480"
    assert "There are no configs for my cars yet" in lines[-1]
    assert "check_coco" not in said


def test_the_names_of_existing_configs_are_used(tmp_path, root, capsys):
    meta = root / "configs/_base_/carpose/meta.py"
    assert dataset_stats.main([str(make(tmp_path / "x")), "--meta", str(meta)]) == 0
    said = capsys.readouterr().out
    assert "configs/rtmdet-tiny-carpose.py" in said
    assert "configs/rtmpose-s-carpose.py" not in said, "two keypoints are not the eight of carpose"
    assert re.search(r"left out: keypoints that cannot be read +10", said) and "check_coco" in said


def test_a_folder_with_plots_and_page(tmp_path, capsys):
    out = tmp_path / "out"
    assert dataset_stats.main([str(make(tmp_path / "cars")), "--out", str(out)]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    page = (out / "stats.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", page)
    assert sorted([*shown, "stats.json", "stats.md"]) == sorted(path.name for path in out.iterdir())
    assert "van\\|&lt;b&gt;" in page and "right\\_\\*" in page and "<b>" not in page
    numbers = json.loads((out / "stats.json").read_text(encoding="utf-8"))
    assert numbers["splits"]["train"]["classes"] == {"car": 5, "van|<b>": 5}
    assert numbers["keypoint_model_input"]["best"]["size"] == [352, 192]
    assert numbers["detector_input"]["best"]["size"] == [832, 480]


def test_json(tmp_path, capsys):
    assert dataset_stats.main([str(make(tmp_path / "cars") / "train_coco.json"), "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["keypoints"][1] == {"name": "right_*", "visible": 0, "occluded": 10, "not_labelled": 0,
                                       "outside_box": 0, "classes": {
                                           name: {"visible": 0, "occluded": 5, "not_labelled": 0}
                                           for name in ("car", "van|<b>")}}


def test_the_present_size_is_compared(tmp_path, capsys):
    words = [str(make(tmp_path / "cars")), "--input-size", "128", "64", "--det-input-size", "320", "192"]
    assert dataset_stats.main(words) == 0
    said = capsys.readouterr().out
    assert re.search(r"^128x64 +present recommended +1 ", said, re.MULTILINE)
    assert "no size of its cost shows the objects 5 % larger" in said
    with pytest.raises(UserError, match="--input-size 100 64: both must be positive multiples of 32"):
        dataset_stats.main([str(tmp_path / "cars"), "--input-size", "100", "64"])


def test_unsound_annotations_are_left_out(tmp_path, capsys):
    good = coco_annotation(1, 1, 1, (100, 100, 500, 300), [(120, 150, 2), (480, 200, 1)])
    folder = make(tmp_path / "cars", [good, {**good, "id": 2, "bbox": [0, 0, 0, 5]}, {**good, "id": 3, "bbox": None}])
    path = folder / "train_coco.json"
    path.write_text(path.read_text().replace('"bbox": null', '"bbox": [NaN, 1, 2, 3]'))
    assert dataset_stats.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "left out: with a box of no size" in said and "left out: without a box of four finite numbers" in said
    assert "python pose_tools/check_coco.py" in said
    assert json.loads((tmp_path / "out/stats.json").read_text())["splits"]["train"]["objects"] == 1


def test_a_set_without_anything(tmp_path, capsys):
    folder = make(tmp_path / "cars", [])
    assert dataset_stats.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "There are no labelled keypoints" in said and "there are no objects to go by" in said


def test_what_would_be_lost_is_refused(tmp_path, capsys):
    folder = make(tmp_path / "cars")
    for out, message in ((folder, "which would be lost"), (tmp_path, "which would be lost")):
        assert run(dataset_stats.main, [str(folder), "--out", str(out), "--overwrite"]) == 1
        assert message in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    assert run(dataset_stats.main, [str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "--overwrite" in capsys.readouterr().err and (tmp_path / "out/mine.txt").is_file()
    assert run(dataset_stats.main, [str(tmp_path / "nothing")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_wheels(real_data, tmp_path, capsys):
    from pose_tools import labelme2coco

    assert labelme2coco.main([str(real_data / "wheels_labelme"), str(tmp_path / "wheels"), "--split", "0.8"]) == 0
    assert dataset_stats.main([str(tmp_path / "wheels"), "--json"]) == 0
    said = capsys.readouterr().out
    numbers = json.loads(said[said.index("{"):])
    assert sum(side["images"] for side in numbers["splits"].values()) == 38
    assert [one["objects"] for one in numbers["classes"]] == [79]
    assert sum(one["visible"] for one in numbers["keypoints"]) == 395
    assert sum(one["outside_box"] for one in numbers["keypoints"]) == 68, "as its description counts"
    w, h = numbers["keypoint_model_input"]["best"]["size"]
    assert 0.5 < w / h < 0.7, "wheels seen from the side of the road are high"
