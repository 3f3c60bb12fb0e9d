"""show_coco.py as a person calls it."""
import json
import shutil

import cv2
import numpy as np
import pytest

from pose_tools import show_coco
from pose_tools.console import UserError, run
from pose_tools.formats.coco import load_coco, save_coco
from pose_tools.report.draw import imread


@pytest.fixture
def own_cars(cars, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(cars, tmp_path / "cars")


def facts_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(text.split('id="facts">')[1].split("</script>")[0])


def files_below(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_a_sheet_and_a_page_at_once(own_cars, tmp_path, capsys):
    before = files_below(own_cars)
    out, sheet, page = tmp_path / "deep/out", tmp_path / "sheet.jpg", tmp_path / "page.html"
    words = [str(own_cars), "--out", str(out), "--sheet", str(sheet), "--html", str(page), "--lang", "en"]
    assert show_coco.main(words) == 0
    assert len(list(out.glob("00??_train_*.jpg"))) == 9 and len(list(out.glob("00??_val_*.jpg"))) == 3
    assert (out / "0000_legend.png").is_file() and imread(sheet).ndim == 3
    facts = facts_of(page)
    assert len(facts["pictures"]) == facts["total"] == 12 and facts["title"] == "cars"
    labels = {(p["split"], label["id"]): label for p in facts["pictures"] for label in p["labels"]}
    for split in ("train", "val"):
        for annotation in load_coco(own_cars / f"{split}_coco.json")["annotations"]:
            label = labels.pop((split, annotation["id"]))
            assert np.allclose(label["box"], annotation["bbox"], atol=0.006)
            assert np.allclose(label["points"], annotation["keypoints"], atol=0.006)
    assert labels == {}
    assert files_below(own_cars) == before, "the data set is as it was"
    said = capsys.readouterr().out
    assert f"wrote {out}: 12 pictures, the worst first, and a legend" in said and "cannot be read" not in said


def test_what_is_wrong_comes_first_and_is_marked(own_cars, tmp_path):
    path = own_cars / "val_coco.json"
    data = load_coco(path)
    spoiled = data["annotations"][0]
    spoiled["num_keypoints"] += 1
    save_coco(path, data)
    name = next(image["file_name"] for image in data["images"] if image["id"] == spoiled["image_id"])
    assert show_coco.main([str(own_cars), "--html", str(tmp_path / "p.html"), "--out", str(tmp_path / "out")]) == 0
    first = facts_of(tmp_path / "p.html")["pictures"][0]
    assert (first["split"], first["name"]) == ("val", name)
    assert [(f["rule"], f["level"], f["annotation"]) for f in first["findings"]][0] == (
        "num-keypoints", "error", spoiled["id"])
    assert [path.stem for path in sorted((tmp_path / "out").glob("0001_*"))] == [f"0001_val_{name[:-4]}"]
    rules = facts_of(tmp_path / "p.html")["rules"]
    assert rules["num-keypoints"]["title"] == "a wrong num_keypoints" and rules["num-keypoints"]["advice"]


def test_one_picture(own_cars, tmp_path, capsys):
    name = load_coco(own_cars / "val_coco.json")["images"][0]["file_name"]
    target = tmp_path / "drawn.png"
    assert show_coco.main([str(own_cars), "--image", name, "--out", str(target), "--names", "--swaps"]) == 0
    assert imread(target).shape[1] == 960 and capsys.readouterr().out == f"wrote {target}\n"
    plain = tmp_path / "plain.png"
    assert show_coco.main([str(own_cars), "--image", name, "--out", str(plain), "--max-side", "256"]) == 0
    assert imread(plain).shape[1] == 256


def test_fewer_and_smaller_pictures(own_cars, tmp_path, capsys):
    page = tmp_path / "p.html"
    assert show_coco.main([str(own_cars), "--html", str(page), "--out", str(tmp_path / "out"), "--count", "2",
                           "--max-side", "64"]) == 0
    facts = facts_of(page)
    assert len(facts["pictures"]) == 2 and facts["total"] == 12
    assert facts["pictures"][0]["width"] == 256, "coordinates stay those of the file"
    assert len(list((tmp_path / "out").glob("*.jpg"))) == 2
    assert f"wrote {page}: the 2 most suspicious of 12 pictures" in capsys.readouterr().out


def test_pictures_that_cannot_be_read_are_grey_and_told(own_cars, tmp_path, capsys):
    images = sorted((own_cars / "images").rglob("*.jpg"))
    images[0].unlink()
    images[1].write_bytes(b"no picture")
    assert show_coco.main([str(own_cars), "--html", str(tmp_path / "p.html"), "--sheet", str(tmp_path / "s.png"),
                           "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert "2 pictures cannot be read and are shown in grey:" in said
    assert f"{images[0]}: the file is not there" in said and f"{images[1]}: the file is not an image" in said
    assert sum(picture["missing"] for picture in facts_of(tmp_path / "p.html")["pictures"]) == 2
    for path in images:
        path.unlink(missing_ok=True)
    assert run(show_coco.main, [str(own_cars), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "none of the 12 pictures can be read" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("words", "error"), [
    ([], "say what to make: --out, --sheet or --html"),
    (["--out", "{cars}/images"], "would be lost|is not empty"),
    (["--out", "{cars}", "--overwrite"], "would be lost"),
    (["--out", "x.jpg"], "--out makes a folder"),
    (["--html", "{cars}/train_coco.json"], "belongs to the data set"),
    (["--image", "nothing.jpg", "--out", "{tmp}/a.png"], "no picture is called that"),
    (["--image", "demo_00000.jpg", "--out", "{tmp}/a.gif"], "use .jpg or .png"),
    (["--sheet", "{tmp}"], "is a folder"),
    (["--html", "{tmp}/p.html", "--images", "nowhere"], "no such folder of images"),
])
def test_what_cannot_be_done_is_one_line(own_cars, tmp_path, words, error):
    before = files_below(own_cars)
    (tmp_path / "work").mkdir()
    words = [word.format(cars=own_cars, tmp=tmp_path / "work") for word in words]
    with pytest.raises(UserError, match=error):
        show_coco.main([str(own_cars), *words])
    assert files_below(own_cars) == before and not list((tmp_path / "work").iterdir())


def test_a_folder_with_contents_is_kept_unless_told(own_cars, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="is not empty"):
        show_coco.main([str(own_cars), "--out", str(out)])
    assert (out / "mine.txt").is_file()
    assert show_coco.main([str(own_cars), "--out", str(out), "--overwrite"]) == 0
    assert not (out / "mine.txt").exists() and len(list(out.iterdir())) == 13


def test_labels_that_nobody_can_train_on_are_shown_all_the_same(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((50, 60, 3), np.uint8))
    images = [{"id": 1, "file_name": "a.png", "width": 60, "height": 50}, {"id": 2}, {"id": "3", "file_name": None}]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, -5, 9], "keypoints": [1, 2, 3]},
        {"id": 1, "image_id": 1, "category_id": 9, "bbox": "wrong", "keypoints": [1, 2]},
        {"id": 2, "image_id": 2, "keypoints": [None, None, 2, 1e308, -1e308, 2, 4, 4, 7]},
        {"id": 3, "image_id": [], "category_id": {}}]
    categories = [{"id": 1, "name": "one", "keypoints": ["a"]}, {"id": 2, "name": "two", "keypoints": ["b", "c"]}]
    (tmp_path / "x.json").write_text(json.dumps({"images": images, "annotations": annotations,
                                                 "categories": categories}), encoding="utf-8")
    assert show_coco.main([str(tmp_path / "x.json"), "--html", str(tmp_path / "p.html"), "--out", str(tmp_path / "out"),
                           "--sheet", str(tmp_path / "s.jpg"), "--numbers", "--swaps"]) == 0
    facts = facts_of(tmp_path / "p.html")
    assert [keypoint["name"] for keypoint in facts["keypoints"]] == ["#1", "#2", "#3"]
    assert len(facts["pictures"]) == 3 and any(f["rule"] == "keypoint-names" for f in facts["elsewhere"])


def test_real_people(real_data, tmp_path):
    source = real_data / "coco_small/crowdpose/test_crowdpose.json"
    assert show_coco.main([str(source), "--html", str(tmp_path / "p.html"), "--out", str(tmp_path / "out")]) == 0
    pictures = facts_of(tmp_path / "p.html")["pictures"]
    points = [value for p in pictures for label in p["labels"] for value in label["points"][2::3]]
    assert len(pictures) == 2 and sum(v > 0 for v in points) == 47, "as INDEX.md counts them"
    wrong = [f["annotation"] for p in pictures for f in p["findings"] if f["rule"] == "num-keypoints"]
    assert len(wrong) == 4
    assert len(list((tmp_path / "out").iterdir())) == 3
