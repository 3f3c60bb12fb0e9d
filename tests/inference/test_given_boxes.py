"""Boxes from files: matched by name and frame, and every fault told."""
import json

import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.inference.given_boxes import GivenBoxes

CATEGORIES = [{"id": 3, "name": "car"}, {"id": 7, "name": "dog"}]


def save(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def annotations(images, boxes, **more):
    return {"images": images, "categories": CATEGORIES, "annotations": [
        {"id": number, "image_id": image, "category_id": category, "bbox": box}
        for number, (image, category, box) in enumerate(boxes, 1)], **more}


def test_ground_truth_by_file_name(tmp_path):
    path = save(tmp_path / "gt.json", annotations(
        [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b/a.jpg"}, {"id": 3, "file_name": "none.jpg"}],
        [(1, 3, [1, 2, 10, 20]), (1, 7, [0, 0, 5, 5]), (2, 3, [4, 4, 1, 1])]))
    given = GivenBoxes(path, ("bus", "car"))
    boxes, scores, labels = given.find("photos/b/a.jpg")
    assert boxes.tolist() == [[4, 4, 5, 5]]
    boxes, scores, labels = given.find("photos/a.jpg")
    assert boxes.tolist() == [[1, 2, 11, 22]]  # the dog is no class of the model
    assert (scores.tolist(), labels.tolist()) == ([1], [1])
    assert given.find("none.jpg")[0].shape == (0, 4)
    with pytest.raises(UserError, match=r"c\.jpg: .*gt\.json has no picture of that name"):
        given.find("c.jpg")


def test_a_name_that_fits_two_pictures_is_refused(tmp_path):
    path = save(tmp_path / "gt.json", annotations(
        [{"id": 1, "file_name": "x/a.jpg"}, {"id": 2, "file_name": "y/a.jpg"}], [(1, 3, [1, 2, 10, 20])]))
    with pytest.raises(UserError, match=r"z/a\.jpg: could be x/a\.jpg or y/a\.jpg"):
        GivenBoxes(path, ("car",)).find("z/a.jpg")


def test_crowds_are_no_objects(tmp_path):
    content = annotations([{"id": 1, "file_name": "a.jpg"}], [(1, 3, [1, 2, 10, 20]), (1, 3, [0, 0, 99, 99])])
    content["annotations"][1]["iscrowd"] = 1
    assert GivenBoxes(save(tmp_path / "gt.json", content), ("car",)).find("a.jpg")[0].tolist() == [[1, 2, 11, 22]]


def test_frames_of_a_video(tmp_path):
    path = save(tmp_path / "gt.json", annotations(
        [{"id": 1, "file_name": "s/0.jpg", "video_id": 1, "frame_id": 0},
         {"id": 2, "file_name": "s/1.jpg", "video_id": 1, "frame_id": 1}],
        [(2, 3, [1, 2, 10, 20])], videos=[{"id": 1, "name": "street.mp4"}]))
    given = GivenBoxes(path, ("car",))
    assert [len(given.find("clips/street.mp4", frame)[0]) for frame in (0, 1)] == [0, 1]


def test_boxes_without_frames_are_not_taken_for_a_video(tmp_path):
    path = save(tmp_path / "r.json", [{"file_name": "s.mp4", "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}])
    with pytest.raises(UserError, match="do not say of which frame"):
        GivenBoxes(path, ("car",)).find("s.mp4", 0)


def test_results_by_file_name_and_score(tmp_path):
    path = save(tmp_path / "predictions.json", [
        {"file_name": "photos/a.jpg", "category_id": 1, "bbox": [1, 2, 10, 20], "score": 0.9},
        {"file_name": "photos/a.jpg", "category_id": 1, "bbox": [1, 2, 1, 1], "score": 0.2},
        {"file_name": "s.mp4", "frame": 4, "category_id": 1, "bbox": [5, 5, 1, 1], "score": 0.5}])
    given = GivenBoxes(path, ("car",), least_score=0.3)
    assert given.find("a.jpg")[0].tolist() == [[1, 2, 11, 22]]
    assert given.find("s.mp4", 4)[1].tolist() == [0.5]
    assert len(given.find("s.mp4", 3)[0]) == len(given.find("b.jpg")[0]) == 0
    assert given.names_any(["b.jpg", "other/a.jpg"]) and not given.names_any(["b.jpg"])


def test_results_by_image_id_need_the_annotations(tmp_path):
    results = save(tmp_path / "r.json", [{"image_id": 5, "category_id": 3, "bbox": [1, 2, 10, 20], "score": 0.9}])
    with pytest.raises(UserError, match="--coco FILE says which"):
        GivenBoxes(results, ("car",))
    table = save(tmp_path / "gt.json", annotations([{"id": 5, "file_name": "a.jpg"}], []))
    assert GivenBoxes(results, ("car",), table).find("a.jpg")[0].tolist() == [[1, 2, 11, 22]]


def test_all_faults_are_listed(tmp_path):
    path = save(tmp_path / "r.json", [
        {"file_name": "a.jpg", "category_id": 1, "bbox": [1, 2, "3", 20], "score": 0.9},
        {"file_name": "a.jpg", "category_id": 9, "bbox": [1, 2, 3, 20], "score": 0.9}, "x",
        {"file_name": "a.jpg", "category_id": 1, "bbox": [1, 2, 3, 20], "score": None}])
    with pytest.raises(FaultsError) as error:
        GivenBoxes(path, ("car",))
    assert [(each.where, each.what.split()[0]) for each in error.value.faults] == [
        ("result 0", "bbox"), ("result 1", "category_id"), ("result 2", "is"), ("result 3", "score")]


@pytest.mark.parametrize(("content", "what"), [
    ("{", "is no JSON"), ("3", "neither COCO annotations nor"), ('{"images": []}', "neither COCO annotations nor"),
    ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]}',
     "its categories are dog, cat, and the keypoint model is for car")])
def test_other_files_are_refused(tmp_path, content, what):
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=what):
        GivenBoxes(path, ("car",))
    with pytest.raises(UserError, match="no such file"):
        GivenBoxes(tmp_path / "y.json", ("car",))


def test_the_only_category_is_the_only_class(tmp_path):
    content = annotations([{"id": 1, "file_name": "a.jpg"}], [(1, 3, [1, 2, 10, 20])])
    content["categories"] = [{"id": 3, "name": "vehicle"}]
    assert GivenBoxes(save(tmp_path / "gt.json", content), ("car",)).find("a.jpg")[2].tolist() == [0]
