import json
import re
import threading
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from pose_tools.console import UserError
from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.doctor.rules import Rule
from pose_tools.dataset.findings import Finding
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.draw import imread
from pose_tools.report.gallery import Picture, collect, in_threads, load, refuse_if_none
from pose_tools.report.gallery_drawn import Drawer, draw_folder, draw_one, draw_sheet, legend
from pose_tools.report.gallery_page import PARTS, Page, for_script, language, words, write_page
from pose_tools.report.gallery_show import find_picture, names_to_draw
from pose_tools.report.labels import Look, read_label

FACE = KeypointSet(("cat", ), ("nose", "left", "right"), (("left", "right"), ), (("nose", "left"), ))


def entries(*names):
    images = [coco_image(number, name, (40, 30)) for number, name in enumerate(names, 1)]
    boxes = [coco_annotation(10 * image["id"], image["id"], 1, (5, 5, 35, 25), [(10, 10, 2), (20, 20, 1), (0, 0, 0)])
             for image in images]
    return {"images": images, "annotations": boxes, "categories": coco_categories(FACE)}


def make(folder, names=("a.png", "b.png"), val=("a2.png", )):
    """Grey pictures of 40 x 30 px with one cat each; annotation ids are ten times the image's."""
    (folder / "images").mkdir()
    for name in (*names, *val):
        cv2.imwrite(str(folder / "images" / name), np.full((30, 40, 3), 90, np.uint8))
    files = {"train": folder / "train_coco.json", "val": folder / "val_coco.json"}
    return DataSet(files, {"train": entries(*names), "val": entries(*val)}, dict.fromkeys(files, folder / "images"))


def finding(data_set, split, level="warning", suspicion=0.0, rule="odd-point", **about):
    return Finding(data_set.files[split], "looks odd", "here", rule, level, suspicion=suspicion, **about)


def order(pictures):
    return [picture.name for picture in pictures]


def test_the_worst_come_first(tmp_path):
    data = make(tmp_path, ("a.png", "b.png", "c.png", "d.png"))
    findings = [finding(data, "train", "warning", 99, image=1), finding(data, "train", "error", 0, image=3),
                finding(data, "train", "error", 5, image=2), finding(data, "val", "warning", 100, image=1),
                finding(data, "train", "warning", 500)]
    pictures, elsewhere = collect(data, findings)
    assert order(pictures) == ["b.png", "c.png", "a2.png", "a.png", "d.png"], "errors, then by suspicion"
    assert [f.suspicion for f in elsewhere] == [500], "about no picture"
    assert order(collect(data)[0]) == ["a.png", "b.png", "c.png", "d.png", "a2.png"], "by split and name"


def test_a_finding_goes_to_its_split_and_picture(tmp_path):
    data = make(tmp_path)
    by_file = Finding(tmp_path / "images/a2.png", "cannot be read", rule="image-broken", image=1)
    by_annotation = finding(data, "train", annotation=20)
    of_val = finding(data, "val", image=1, annotation=10)
    lost = [finding(data, "train", image=77), finding(data, "train", annotation=77),
            Finding("elsewhere.json", "?", rule="r", image=1)]
    pictures, elsewhere = collect(data, [by_file, by_annotation, of_val, *lost])
    held = {picture.name: list(picture.findings) for picture in pictures}
    assert held == {"a.png": [], "b.png": [by_annotation], "a2.png": [by_file, of_val]}, "errors first"
    assert sorted(map(str, elsewhere)) == sorted(map(str, lost))


def test_annotations_go_to_their_pictures(tmp_path):
    data = make(tmp_path)
    data.sides["train"]["annotations"] += [{"id": 5, "image_id": []}, {"id": 6, "image_id": 99}, {"id": 7}]
    pictures, _ = collect(data)
    assert [[label.id for label in picture.labels] for picture in pictures] == [[10], [20], [10]]
    assert pictures[0].labels[0].points.tolist() == [[10, 10, 2], [20, 20, 1], [0, 0, 0]]


def picture_of(path, width=None, height=None):
    return Picture("train", {"id": 1, "file_name": path.name, "width": width, "height": height}, path)


@pytest.mark.parametrize(("most", "least", "expected"), [
    (400, 0, (200, 100)), (100, 0, (100, 50)), (20, 0, (20, 10)), (400, 300, (300, 150)), (25, 24, (25, 12))])
def test_pictures_are_made_smaller_or_larger(tmp_path, most, least, expected):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((100, 200, 3), (200, 30, 30), np.uint8))
    shown = load(picture_of(tmp_path / "a.jpg", 200, 100), most, least)
    assert shown.image.shape[1::-1] == expected and shown.size == (200, 100) and not shown.problem
    assert np.abs(shown.image.astype(int) - (200, 30, 30)).max() < 12
    assert shown.factors == (expected[0] / 200, expected[1] / 100)


@pytest.mark.parametrize("most", [1000, 20])
def test_a_camera_s_turn_is_applied_at_every_size(tmp_path, most):
    # Red on the left; orientation 6 turns the picture clockwise, so that red comes to the top.
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, :100, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    shown = load(picture_of(tmp_path / "a.jpg", 100, 200), most)
    assert shown.size == (100, 200) and shown.image.shape[0] == 2 * shown.image.shape[1] and not shown.problem
    height, width = shown.image.shape[:2]
    assert shown.image[height // 4, width // 2, 2] > 200 and shown.image[3 * height // 4, width // 2, 2] < 50


def test_a_picture_that_cannot_be_read_is_grey_and_says_why(tmp_path):
    gone = load(picture_of(tmp_path / "gone.jpg", 80, 40), 1000)
    assert gone.missing and gone.problem == "the file is not there"
    assert gone.image.shape == (40, 80, 3) and len(np.unique(gone.image)) == 1 and gone.size == (80, 40)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    broken = load(picture_of(tmp_path / "broken.jpg"), 1000)
    assert broken.missing and broken.problem == "the file is not an image" and broken.size == (640, 480)
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))[1].tobytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:len(whole) // 2])
    assert load(picture_of(tmp_path / "cut.jpg"), 1000).problem.startswith("the file cannot be decoded")
    folder = Picture("train", {"id": 1, "file_name": ""}, tmp_path)
    assert load(folder, 1000).missing
    huge = load(picture_of(tmp_path / "gone.jpg", 99_000, 10), 100)
    assert huge.image.shape == (1, 100, 3)


def test_another_size_than_the_file_says_is_told(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 40, 3), np.uint8))
    shown = load(picture_of(tmp_path / "a.png", 50, 30), 1000)
    assert shown.problem == "the file is 40x30 px, the COCO file says 50x30"
    assert not shown.missing and shown.size == (40, 30)


def test_threads_keep_the_order_and_do_not_run_ahead():
    started, most = [], []
    lock = threading.Lock()

    def work(number):
        with lock:
            started.append(number)
        time.sleep(0.002 * (number % 3))
        return number

    taken = []
    for result in in_threads(work, range(60), ahead=1):
        taken.append(result)
        most.append(len(started) - len(taken))
        time.sleep(0.001)
    assert taken == list(range(60))
    assert max(most) <= 2 * 4, "at most four threads, each with one result in store and one under way"


def test_an_error_in_a_thread_arrives():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 1 // number, [1, 0, 1]))


def test_none_readable_is_an_error(tmp_path):
    pictures = [picture_of(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    refuse_if_none([(pictures[0], "why")], 2)
    refuse_if_none([], 0)
    with pytest.raises(UserError, match=r"none of the 2 pictures can be read: .*a.jpg: why; name their folder"):
        refuse_if_none([(picture, "why") for picture in pictures], 2)


def drawer_of(pictures, **look):
    return Drawer.of(pictures, FACE, Look(**look), 1600)


def test_a_folder_of_drawn_pictures(tmp_path):
    data = make(tmp_path)
    data.sides["train"]["images"][1]["file_name"] = "sub/ü: b.png"
    pictures, _ = collect(data, [finding(data, "val", image=1, annotation=10, keypoints=("nose", ))])
    out = tmp_path / "out"
    missing = draw_folder(pictures, drawer_of(pictures), out)
    assert sorted(path.name for path in out.iterdir()) == [
        "0000_legend.png", "0001_val_a2.jpg", "0002_train_a.jpg", "0003_train_sub_ü_b.jpg"]
    assert [(picture.name, why) for picture, why in missing] == [("sub/ü: b.png", "the file is not there")]
    assert imread(out / "0002_train_a.jpg").shape[1] == 960, "enlarged"


def test_what_stands_under_a_picture(tmp_path):
    data = make(tmp_path)
    pictures, _ = collect(data, [finding(data, "val", image=1, annotation=10)])
    drawer = drawer_of(pictures)
    shown = load(pictures[0], 1600)
    lines = [text for text, _ in drawer.lines(pictures[0], shown)]
    assert lines == ["val: a2.png, 40x30 px, annotations: 1", "warning odd-point: here: looks odd",
                     "#10 not labelled: right"]
    assert len(drawer.lines(pictures[0], shown, whole=False)) == 2
    strip = drawer.strip([(f"line {i}", (0, 0, 0)) for i in range(50)], 300, 12, 10)
    assert strip.shape == (10 * drawer.letters.height(12) + 8, 300, 3)


def test_one_picture_and_its_marked_point(tmp_path):
    data = make(tmp_path)
    pictures, _ = collect(data, [finding(data, "train", "error", image=1, annotation=10, keypoints=("nose", ))])
    draw_one(pictures[0], drawer_of(pictures), tmp_path / "a_drawn.png")
    image = imread(tmp_path / "a_drawn.png").astype(int)
    # 40 px became 960: the nose at (10, 10) is at (251.5, 251.5), and a red circle of radius 15 goes round it.
    assert image.shape[1] == 960 and image.shape[0] > 720
    assert image[251, 251].tolist() == [80, 220, 100], "green: it has no partner"
    assert image[251, 251 + 15, 2] > 180 > 120 > image[251, 251 + 15, 1]
    with pytest.raises(UserError, match="the file is not there"):
        draw_one(picture_of(tmp_path / "gone.png"), drawer_of(pictures), tmp_path / "b.png")


def test_a_contact_sheet(tmp_path):
    data = make(tmp_path)
    pictures, _ = collect(data)
    (tmp_path / "images/b.png").unlink()
    missing = draw_sheet(pictures, drawer_of(pictures), tmp_path / "sheet.png")
    assert [picture.name for picture, _ in missing] == ["b.png"]
    height, width = imread(tmp_path / "sheet.png").shape[:2]
    assert width == 2 * (480 + 6) + 6 and height > 2 * 360, "two columns of 480 px, two rows"


def test_the_legend_has_a_line_for_each_keypoint(tmp_path):
    drawer = Drawer.of([], FACE, Look())
    few = Drawer.of([], KeypointSet(("cat", ), ("nose", )), Look())
    assert legend(drawer).shape[0] - legend(few).shape[0] == 2 * drawer.letters.height(16)


def facts_of(path):
    text = path.read_text(encoding="utf-8")
    found = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[0]), text


def test_the_page_knows_everything_and_needs_nothing(tmp_path):
    data = make(tmp_path)
    data.sides["train"]["annotations"][0]["bbox"][0] = float("nan")
    data.sides["train"]["annotations"][0]["keypoints"][0] = 10.123456
    about = [finding(data, "val", "error", 2, image=1, annotation=10, keypoints=("left", )),
             finding(data, "val", rule="own-rule")]
    pictures, elsewhere = collect(data, about)
    rules = {"odd-point": Rule("warning", "odd points", "look at them")}
    assert write_page(tmp_path / "p.html", pictures, Page("cats", FACE, 9, elsewhere, rules)) == []
    facts, text = facts_of(tmp_path / "p.html")
    assert [(p["split"], p["name"], p["width"], p["height"]) for p in facts["pictures"]] == [
        ("val", "a2.png", 40, 30), ("train", "a.png", 40, 30), ("train", "b.png", 40, 30)]
    assert facts["pictures"][2]["labels"] == [{"id": 20, "class": "cat", "crowd": False, "box": [5, 5, 30, 20],
                                               "points": [10, 10, 2, 20, 20, 1, 0, 0, 0], "outlines": []}]
    label = facts["pictures"][1]["labels"][0]
    assert label["box"] is None and label["points"][:3] == [10.12, 10, 2]
    assert facts["pictures"][0]["findings"] == [
        {"rule": "odd-point", "level": "error", "where": "here", "what": "looks odd", "annotation": 10,
         "keypoints": ["left"], "suspicion": 2}]
    assert facts["keypoints"][1] == {"name": "left", "colour": "#ff9933", "partner": 2}
    assert (facts["links"], facts["swaps"], facts["total"]) == ([[0, 1]], [[1, 2]], 9)
    assert facts["rules"] == {"odd-point": {"title": "odd points", "advice": "look at them"},
                              "own-rule": {"title": "own-rule", "advice": ""}}
    assert len(re.findall(r'<script type="text/plain" id="jpeg-\d">[A-Za-z0-9+/=]+</script>', text)) == 3
    outside = re.sub(r'"?http://www.w3.org/2000/svg"?', "", text)
    assert not re.search(r"https?:|src=|@import|url\(", outside), "nothing is fetched"


def test_names_cannot_leave_the_data(tmp_path):
    nasty = "</script><script>alert(1)</script>\u2028<!--"
    assert json.loads(for_script({nasty: nasty})) == {nasty: nasty}
    assert not set("<>&\u2028") & set(for_script([nasty]))
    data = make(tmp_path)
    data.sides["train"]["categories"][0]["name"] = nasty
    data.sides["train"]["images"][0]["file_name"] = "\ud800.png"
    pictures, _ = collect(data)
    write_page(tmp_path / "p.html", pictures, Page("{{style}}<b>", FACE, 3))
    facts, text = facts_of(tmp_path / "p.html")
    assert nasty in facts["classes"] and "alert(1)</script>" not in text
    assert "<title>{{style}}&lt;b&gt;</title>" in text
    assert "\ud800.png" in [picture["name"] for picture in facts["pictures"]]


def test_pages_speak_both_languages_in_full(tmp_path):
    english, chinese = words("en"), words("zh-TW")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", chinese[key])), key
    script = "".join((PARTS / name).read_text(encoding="utf-8") for name in ("picture.js", "gallery.js"))
    assert set(re.findall(r'say\("(\w+)"', script)) <= english.keys()
    with pytest.raises(UserError, match="speaks en and zh-TW, not 'fr'"):
        words("fr")


@pytest.mark.parametrize(("environment", "expected"), [
    ({}, "en"), ({"LANG": "zh_TW.UTF-8"}, "zh-TW"), ({"LANG": "zh_TW.UTF-8", "LC_ALL": "C"}, "en"),
    ({"LANG": "zh_CN.UTF-8"}, "en"), ({"LC_MESSAGES": "zh_Hant_TW", "LANG": "en_US"}, "zh-TW")])
def test_the_locale_gives_the_language(environment, expected):
    assert language(environment) == expected


def test_a_page_is_whole_or_not_there(tmp_path):
    target = tmp_path / "p.html"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(UserError, match="none of the 2 pictures"):
        write_page(target, [picture_of(tmp_path / "a.jpg"), picture_of(tmp_path / "b.jpg")], Page("x", FACE, 2))
    assert target.read_text(encoding="utf-8") == "old" and [path.name for path in tmp_path.iterdir()] == ["p.html"]


def test_finding_one_picture():
    def named(split, name):
        return Picture(split, {"id": 1, "file_name": name}, None)

    pictures = [named("train", "x/a.jpg"), named("train", "y/a.jpg"), named("val", "b.jpg"), named("val", "za.jpg")]
    assert find_picture(pictures, "x/a.jpg") is pictures[0] and find_picture(pictures, "b.jpg") is pictures[2]
    with pytest.raises(UserError, match=r"--image a.jpg: may be train: x/a.jpg, train: y/a.jpg"):
        find_picture(pictures, "a.jpg")
    with pytest.raises(UserError, match="no picture is called that"):
        find_picture(pictures, "c.jpg")


def test_a_file_s_own_keypoints_go_before_a_meta_that_has_others():
    other = KeypointSet(("cat", ), ("tail", ))
    bare = KeypointSet(("cat", ), FACE.keypoints)
    assert names_to_draw(FACE, bare) is FACE, "with its swaps and links"
    assert names_to_draw(FACE, other) is other and names_to_draw(FACE, KeypointSet(("cat", ), ())) is FACE
    assert names_to_draw(None, other) is other and names_to_draw(None, None) == KeypointSet((), ())


def test_a_label_with_more_points_than_names(tmp_path):
    data = make(tmp_path)
    data.sides["train"]["annotations"][0]["keypoints"] = [3, 3, 2] * 5
    pictures, _ = collect(data)
    assert drawer_of(pictures).names.keypoints[-2:] == ("#4", "#5")
    write_page(tmp_path / "p.html", pictures, Page("cats", FACE, 3))
    assert [keypoint["name"] for keypoint in facts_of(tmp_path / "p.html")[0]["keypoints"]][-1] == "#5"
    assert read_label(data.sides["train"]["annotations"][0], {}).points.shape == (5, 3)
