"""Every real folder goes through convert, check, show and split without a hand edit, or is refused with the reason."""
import json
import shutil

import pytest

from pose_tools import check_coco, dataset_stats, labelme2coco, show_coco, split_coco, yolo2coco
from pose_tools.console import run
from pose_tools.dataset.checks import coco_faults
from pose_tools.formats.coco import load_coco

pytestmark = pytest.mark.slow


def done(main, *words, code=0):
    assert run(main, [*map(str, words)]) == code, words


def walk(source, work, capsys, val=0.25, errors=()):
    """Check, mend where that is needed, show, measure and split; gives the number of annotations before and after."""
    capsys.readouterr()
    done(check_coco.main, source, "--verify-images", "--json", code=int(bool(errors)))
    told = json.loads(capsys.readouterr().out)
    assert {finding["rule"] for finding in told["findings"] if finding["level"] == "error"} == set(errors)
    if errors:
        home = work / "mended"
        shutil.copytree(source.parent, home)
        done(check_coco.main, home / source.name, "--fix")
        source = home / f"{source.stem}.fixed.json"
    done(show_coco.main, source, "--html", work / "labels.html", "--sheet", work / "sheet.jpg")
    done(show_coco.main, source, "--out", work / "drawn")
    done(dataset_stats.main, source, "--out", work / "stats")
    done(split_coco.main, source, work / "split", "--val", val, "--near-duplicates", "off")
    assert (work / "labels.html").read_text(encoding="utf-8").count("/9j/") >= 2, "JPEGs in base64"
    sides = {path: load_coco(path) for path in (work / "split").glob("*_coco.json")}
    assert {path.name for path in sides} == {"train_coco.json", "val_coco.json"}
    for path, data in sides.items():
        assert coco_faults(data, path, image_dir=work / "split/images") == []
    done(check_coco.main, work / "split")
    before = [load_coco(path) for path in ([source] if source.is_file() else source.glob("*_coco.json"))]
    for part in ("images", "annotations"):
        assert sum(len(data[part]) for data in before) == sum(len(data[part]) for data in sides.values())
    return sum(a.get("num_keypoints", 0) for data in sides.values() for a in data["annotations"])


def test_wheels(real_data, tmp_path, capsys):
    done(labelme2coco.main, real_data / "wheels_labelme", tmp_path / "wheels", "--verify-images")
    assert walk(tmp_path / "wheels", tmp_path, capsys) == 395


def test_badminton(real_data, tmp_path, capsys):
    done(yolo2coco.main, real_data / "badminton_yolo", tmp_path / "badminton")
    assert "flip_idx is the identity" in capsys.readouterr().out
    assert walk(tmp_path / "badminton", tmp_path, capsys) == 710


def test_people_drawn_as_polygons(real_data, tmp_path, capsys):
    folder = real_data / "people_polygons_labelme"
    done(labelme2coco.main, folder / "json", tmp_path / "people", "--images", folder / "JPEGImages")
    assert "copies of images that have one" in capsys.readouterr().out, "test4.png is test3.png without labels"
    assert walk(tmp_path / "people", tmp_path, capsys) == 20


def test_the_mandrill_is_refused_for_what_is_wrong_with_it(real_data, tmp_path, capsys):
    done(labelme2coco.main, real_data / "mandrill_shapes_labelme", tmp_path / "mandrill", code=1)
    said = capsys.readouterr().err
    assert "Glabella" in said and "Nostril" in said and "parent\\stem.jpg" in said
    assert not (tmp_path / "mandrill").exists()


@pytest.mark.parametrize(("name", "labelled", "errors"), [
    ("coco/test_coco", 181, ()), ("ap10k/test_ap10k", 32, ()), ("animalpose/test_animalpose", 32, ()),
    ("onehand10k/test_onehand10k", 63, ("num-keypoints", )),
    ("crowdpose/test_crowdpose", 47, ("num-keypoints", "area")),
])
def test_files_of_known_sets(real_data, tmp_path, capsys, name, labelled, errors):
    assert walk(real_data / f"coco_small/{name}.json", tmp_path, capsys, 0.5, errors) == labelled
