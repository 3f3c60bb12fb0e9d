import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pose_tools import labelme2coco, split_coco, yolo2coco
from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.splits.write import DivideOptions, divide_coco
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, load_coco, save_coco
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(("cat", "dog"), ("nose", "tail"))


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    tiles = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(tiles).resize((64, 48), Image.BICUBIC).save(path)


def annotation(number, image, category=1, v=(2, 1)):
    return {**coco_annotation(number, image, category, (1, 1, 31, 41), [(5, 6, v[0]), (7, 8, v[1])]),
            "note": f"所見 {number}"}


def write(path, names, first_id=1, seed=0, held=lambda i: 1):
    """Images of different pictures, each with ``held(i)`` cats; returns the file's contents."""
    images, annotations = [], []
    for i, name in enumerate(names):
        picture(path.parent / "images" / name, seed + i)
        images.append({**coco_image(first_id + i, name, (64, 48)), "camera": "left"})
        annotations += [annotation(first_id + 100 * i + k, first_id + i) for k in range(held(i))]
    data = {"info": {"year": 2026}, "licenses": [], "images": images, "annotations": annotations,
            "categories": coco_categories(NAMES)}
    save_coco(path, data)
    return data


def sides(folder):
    return {path.name.split("_")[0]: load_coco(path) for path in sorted(folder.glob("*_coco.json"))}


def names_of(data):
    return {image["file_name"] for image in data["images"]}


def told(data, by_name):
    """Every annotation without ids, with the name of its image; as JSON, so that 1 and 1.0 differ."""
    names = {image["id"]: by_name(image["file_name"]) for image in data["images"]}
    return Counter(json.dumps([names[a["image_id"]], {k: v for k, v in a.items() if k not in ("id", "image_id")}])
                   for a in data["annotations"])


def snapshot(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_splits_are_pooled_and_divided(tmp_path, capsys):
    train = write(tmp_path / "all/train_coco.json", [f"貓 {i}.png" for i in range(8)], held=lambda i: i % 3)
    val = write(tmp_path / "all/val_coco.json", ["x.png", "y.png"], seed=50)
    before = snapshot(tmp_path / "all")
    assert split_coco.main([str(tmp_path / "all"), str(tmp_path / "out"), "--val", "0.3", "--test", "0.2"]) == 0
    assert snapshot(tmp_path / "all") == before
    found = sides(tmp_path / "out")
    assert {name: len(data["images"]) for name, data in found.items()} == {"train": 5, "val": 3, "test": 2}
    assert sum((told(data, str) for data in found.values()), Counter()) == told(train, str) + told(val, str)
    ids = [image["id"] for data in found.values() for image in data["images"]]
    assert sorted(ids) == list(range(1, 11)), "both files had a 1"
    for data in found.values():
        assert coco_faults(data, "f", NAMES, tmp_path / "out/images") == []
        assert data["info"] == {"year": 2026} and all(image["camera"] == "left" for image in data["images"])
    one = next(iter(names_of(found["val"])))
    assert (tmp_path / "out/images" / one).samefile(tmp_path / "all/images" / one)
    said = capsys.readouterr().out
    assert "image ids were made anew" in said and "keypoint nose" in said and "near-duplicates: none" in said


def test_ids_that_are_unique_stay(tmp_path):
    write(tmp_path / "one.json", [f"{i}.png" for i in range(5)], first_id=700)
    assert split_coco.main([str(tmp_path / "one.json"), str(tmp_path / "out")]) == 0
    found = sides(tmp_path / "out")
    assert {i["id"] for data in found.values() for i in data["images"]} == set(range(700, 705))
    assert {a["image_id"] for a in found["val"]["annotations"]} == {i["id"] for i in found["val"]["images"]}


def test_folds(tmp_path, capsys):
    write(tmp_path / "all/train_coco.json", [f"{i:02d}.png" for i in range(13)])
    assert split_coco.main([str(tmp_path / "all"), str(tmp_path / "out"), "--folds", "4", "--test", "0.1"]) == 0
    every = {f"{i:02d}.png" for i in range(13)}
    folds = [sides(tmp_path / f"out/fold{k}") for k in range(4)]
    tests = [names_of(fold["test"]) for fold in folds]
    assert len(tests[0]) == 1 and all(test == tests[0] for test in tests)
    assert Counter(name for fold in folds for name in names_of(fold["val"])) == Counter(every - tests[0])
    for fold in folds:
        assert len(fold["val"]["images"]) == 3
        assert names_of(fold["train"]) == every - tests[0] - names_of(fold["val"])
    assert {path.name for path in (tmp_path / "out/images").iterdir()} == every
    assert not list((tmp_path / "out").glob("*.json"))
    assert "fold0/ to fold3/" in capsys.readouterr().out


def test_near_duplicates_stay_together(tmp_path, capsys):
    names = [f"{i}.png" for i in range(6)]
    data = write(tmp_path / "one.json", names)
    for i, name in enumerate(names):  # each again, compressed
        copy = f"copy_of_{i}.jpg"
        Image.open(tmp_path / "images" / name).save(tmp_path / "images" / copy, quality=60)
        data["images"].append(coco_image(50 + i, copy, (64, 48)))
    save_coco(tmp_path / "one.json", data)
    assert split_coco.main([str(tmp_path / "one.json"), str(tmp_path / "out"), "--folds", "3"]) == 0
    assert "near-duplicates: 12 images, in 6 groups that stay together" in capsys.readouterr().out
    for k in range(3):
        val = names_of(sides(tmp_path / f"out/fold{k}")["val"])
        assert len(val) == 4
        assert {f"copy_of_{n[0]}.jpg" for n in val if n.endswith("png")} == {n for n in val if n.endswith("jpg")}
    apart = 0
    for seed in range(5):
        split_coco.main([str(tmp_path / "one.json"), str(tmp_path / f"off{seed}"), "--near-duplicates", "off",
                         "--seed", str(seed)])
        val = names_of(sides(tmp_path / f"off{seed}")["val"])
        apart += {f"copy_of_{n[0]}.jpg" for n in val if n.endswith("png")} != {n for n in val if n.endswith("jpg")}
    assert apart, "without looking for them they are torn apart"


@pytest.mark.parametrize("option", [("--group-by", "^(.)"), ("--group-by-folder", ), ("--group-by-video", )])
def test_groups_stay_whole(tmp_path, option):
    write(tmp_path / "one.json", [f"{letter}/{letter}_{i}.png" for letter in "abcd" for i in range(3)])
    assert split_coco.main([str(tmp_path / "one.json"), str(tmp_path / "out"), "--val", "0.25", *option]) == 0
    assert len({name[0] for name in names_of(sides(tmp_path / "out")["val"])}) == 1
    assert len(sides(tmp_path / "out")["val"]["images"]) == 3
    with pytest.raises(UserError, match=r"12 images are in 4 groups that must stay together.* 5 parts"):
        split_coco.main([str(tmp_path / "one.json"), str(tmp_path / "five"), "--folds", "5", *option])
    assert not (tmp_path / "five").exists()


def test_what_could_not_be_balanced_is_said(tmp_path, capsys):
    data = write(tmp_path / "one.json", [f"{letter}/{i}.png" for letter in "abcde" for i in range(4)])
    for entry in data["annotations"][:4]:
        entry["category_id"] = 2
    save_coco(tmp_path / "one.json", data)
    assert split_coco.main([str(tmp_path / "one.json"), str(tmp_path / "out"), "--folds", "5",
                            "--group-by-folder"]) == 0
    said = capsys.readouterr().out
    assert "class dog: fold" in said and "has 4 of 4, wanted 0.8; all are in one group (a)" in said


def test_crowds_and_empty_images(tmp_path, capsys):
    data = write(tmp_path / "one.json", [f"{i}.png" for i in range(10)], held=lambda i: i % 2)
    crowd = {**annotation(900, 1), "iscrowd": 1, "segmentation": {"counts": [3000, 72], "size": [48, 64]}}
    data["annotations"].append(crowd)
    save_coco(tmp_path / "one.json", data)
    split_coco.main([str(tmp_path / "one.json"), str(tmp_path / "out")])
    rows = {line.split("  ")[0].strip() or line.strip().split("  ")[0]: line.split()
            for line in capsys.readouterr().out.splitlines() if line}
    assert rows["objects"][1:4:2] == ["5", "80"] and rows["without objects"][2] == "4"
    assert rows["crowd regions"][2] == "1"
    assert sum((told(side, str) for side in sides(tmp_path / "out").values()), Counter()) == told(data, str)


def test_all_faults_at_once_and_nothing_is_written(tmp_path):
    write(tmp_path / "all/train_coco.json", ["a.png", "b.png", "c.png"])
    data = write(tmp_path / "all/val_coco.json", ["d.png"], first_id=9)
    data["annotations"][0]["area"] = 0
    save_coco(tmp_path / "all/val_coco.json", data)
    for name in "ab":
        (tmp_path / f"all/images/{name}.png").unlink()
    with pytest.raises(FaultsError) as error:
        split_coco.main([str(tmp_path / "all"), str(tmp_path / "out")])
    said = str(error.value)
    assert "a.png" in said and "b.png" in said and "area is 0" in said
    assert not (tmp_path / "out").exists() and sorted(p.name for p in tmp_path.iterdir()) == ["all"]


def test_an_image_in_two_splits(tmp_path, capsys):
    data = write(tmp_path / "all/train_coco.json", ["a.png", "b.png", "c.png", "d.png", "e.png"])
    save_coco(tmp_path / "all/val_coco.json", {**data, "images": data["images"][:1],
                                              "annotations": data["annotations"][:1]})
    assert split_coco.main([str(tmp_path / "all"), str(tmp_path / "out")]) == 0
    assert "1 images are there twice with the same annotations" in capsys.readouterr().out
    assert sum(len(side["images"]) for side in sides(tmp_path / "out").values()) == 5
    save_coco(tmp_path / "all/val_coco.json", {**data, "images": data["images"][:1], "annotations": []})
    with pytest.raises(FaultsError, match=r"image 1 \(a.png\): is there already with other annotations"):
        split_coco.main([str(tmp_path / "all"), str(tmp_path / "two")])


def test_the_same_name_in_two_folders(tmp_path, capsys):
    first = write(tmp_path / "mon/train_coco.json", ["a.png", "b.png", "c.png"])
    second = write(tmp_path / "tue/val_coco.json", ["a.png", "b.png"], seed=70)
    words = [tmp_path / "mon/train_coco.json", tmp_path / "tue/val_coco.json", tmp_path / "out", "--val", "0.4"]
    assert split_coco.main([str(word) for word in words]) == 0
    assert "come to mon, tue in images/" in capsys.readouterr().out
    found = sides(tmp_path / "out")
    assert names_of(found["train"]) | names_of(found["val"]) == {
        "mon/a.png", "mon/b.png", "mon/c.png", "tue/a.png", "tue/b.png"}
    assert (tmp_path / "out/images/tue/a.png").samefile(tmp_path / "tue/images/a.png")
    every = sum((told(side, lambda name: name.split("/")[1]) for side in found.values()), Counter())
    assert every == told(first, str) + told(second, str)


def test_files_that_name_other_things(tmp_path):
    write(tmp_path / "all/train_coco.json", ["a.png", "b.png"])
    data = write(tmp_path / "all/val_coco.json", ["c.png"], first_id=9)
    data["categories"] = [{**c, "keypoints": ["tail", "nose"]} for c in data["categories"]]
    save_coco(tmp_path / "all/val_coco.json", data)
    with pytest.raises(FaultsError, match="has other classes, category ids or keypoints than .*merge_coco.py"):
        split_coco.main([str(tmp_path / "all"), str(tmp_path / "out")])


@pytest.mark.parametrize(("words", "what"), [
    (["--val", "1"], "--val 1: expected a share above 0 and below 1"),
    (["--val", "0.7", "--test", "0.3"], "nothing is left to train on"),
    (["--val", "0.2", "--test", "-0.1"], "--test -0.1: expected a share from 0 to below 1"),
    (["--val", "nan"], "--val nan"), (["--test", "nan"], "--test nan"), (["--folds", "2", "--test", "1"], "--test 1"),
    (["--folds", "1"], "--folds 1: expected 2 or more"), (["--folds", "2", "--val", "0.1"], "leave out --val"),
    (["--folds", "9"], "there are 3 images; 9 parts cannot be made of that"),
    (["--group-by", "("], "is not a regular expression"),
])
def test_options_that_cannot_be(tmp_path, words, what):
    write(tmp_path / "one.json", ["a.png", "b.png", "c.png"])
    with pytest.raises(UserError) as error:
        split_coco.main([str(tmp_path / "one.json"), str(tmp_path / "out"), *words])
    assert what in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_single_image_and_a_destination_that_holds_the_source(tmp_path):
    write(tmp_path / "all/train_coco.json", ["a.png"])
    with pytest.raises(UserError, match="there is a single image; 2 parts cannot be made of that"):
        split_coco.main([str(tmp_path / "all"), str(tmp_path / "out")])
    with pytest.raises(UserError, match="which would be lost"):
        split_coco.main([str(tmp_path / "all"), str(tmp_path / "all"), "--overwrite"])
    with pytest.raises(SystemExit):
        split_coco.main([str(tmp_path / "all"), str(tmp_path / "out"), "--near-duplicates", "99"])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    for i in range(9):
        picture(folder / f"images/{i}.png", i)
    return folder


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=st.lists(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 2), st.integers(0, 2)), max_size=3),
                     min_size=9, max_size=9),
       videos=st.lists(st.integers(0, 5), min_size=9, max_size=9).filter(lambda ids: len(set(ids)) > 2),
       folds=st.sampled_from([0, 2, 3]), order=st.permutations(range(9)))
def test_nothing_is_lost_torn_or_there_twice(shelf, tmp_path_factory, held, videos, folds, order):
    images = [{**coco_image(i + 1, f"{i}.png", (64, 48)), "video_id": videos[i]} for i in range(9)]
    annotations = [annotation(10 * i + k + 1, i + 1, category, v)
                   for i, found in enumerate(held) for k, (category, *v) in enumerate(found)]
    data = {"images": images, "annotations": annotations, "categories": coco_categories(NAMES)}
    results = []
    for shuffled in (range(9), order):
        out = tmp_path_factory.mktemp("split") / "out"
        save_coco(shelf / "all.json", {**data, "images": [images[i] for i in shuffled]})
        divide_coco([shelf / "all.json"], out, DivideOptions(val=0.3, folds=folds, by="video"))
        tops = [out / f"fold{k}" for k in range(folds)] or [out]
        results.append([sides(top) for top in tops])
    assert [[names_of(one[part]) for part in ("train", "val")] for one in results[0]] \
        == [[names_of(one[part]) for part in ("train", "val")] for one in results[1]], "the order does not matter"
    for one in results[0]:
        assert names_of(one["train"]).isdisjoint(names_of(one["val"]))
        assert told(one["train"], str) + told(one["val"], str) == told(data, str)
        assert len(one["train"]["images"]) + len(one["val"]["images"]) == 9
        on_val = {image["video_id"] for image in one["val"]["images"]}
        assert on_val and on_val.isdisjoint(image["video_id"] for image in one["train"]["images"])
    if folds:
        assert Counter(name for one in results[0] for name in names_of(one["val"])) == Counter(
            image["file_name"] for image in images)


def test_rendered_cars(cars, tmp_path):
    assert split_coco.main([str(cars), str(tmp_path / "out"), "--val", "0.25"]) == 0
    before, after = sides(cars), sides(tmp_path / "out")
    assert {name: len(data["images"]) for name, data in after.items()} == {"train": 9, "val": 3}
    assert sum((told(d, str) for d in after.values()), Counter()) == sum((told(d, str) for d in before.values()),
                                                                        Counter())


def test_players_by_video(real_data, tmp_path, capsys):
    assert yolo2coco.main([str(real_data / "badminton_yolo"), str(tmp_path / "all"), "--skip-faulty"]) == 0
    assert split_coco.main([str(tmp_path / "all"), str(tmp_path / "out"), "--val", "0.4", "--group-by-video"]) == 0
    assert "2 groups by video: 1_13_14_mp4 (12 images), 3_10_11_mp4 (9 images)" in capsys.readouterr().out
    found = sides(tmp_path / "out")
    assert {name[:4] for name in names_of(found["val"])} == {"3_10"}
    assert {name[:4] for name in names_of(found["train"])} == {"1_13"}
    assert split_coco.main([str(tmp_path / "all"), str(tmp_path / "mixed")]) == 0
    assert "21 images seem to be frames of 2 videos" in capsys.readouterr().out


@pytest.mark.slow
def test_photographs_of_wheels(real_data, tmp_path, capsys):
    assert labelme2coco.main([str(real_data / "wheels_labelme"), str(tmp_path / "all")]) == 0
    assert split_coco.main([str(tmp_path / "all"), str(tmp_path / "out"), "--folds", "5"]) == 0
    assert "balanced to 15% of what was wanted, or to one; all of it" in capsys.readouterr().out
    sizes = [len(sides(Path(tmp_path / f"out/fold{k}"))["val"]["annotations"]) for k in range(5)]
    assert sum(sizes) == 79 and max(sizes) - min(sizes) <= 1
