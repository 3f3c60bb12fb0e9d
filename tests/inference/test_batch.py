import json

import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.batch import find_images, predict_images, to_coco_results
from pose_tools.inference.topdown import Instances
from pose_tools.report.draw import imread, imwrite


class Middle:
    """Finds one object in the middle of every image, with two keypoints."""

    keypoint_set = KeypointSet(("thing", ), ("a", "b"))

    def __call__(self, image):
        height, width = image.shape[:2]
        box = np.array([[width * 0.25, height * 0.25, width * 0.75, height * 0.75]])
        return Instances(box, np.array([0.5]), np.array([0]), np.array([[[width / 2, height / 2], [1.0, 2.0]]]),
                         np.array([[1.5, 0.25]]))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in ("b.png", "a.jpg", "more/a.png", "note.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            (folder / name).write_text("no picture", encoding="utf-8")
        else:
            imwrite(folder / name, np.full((40, 80, 3), 200, np.uint8))
    return folder


def test_images_of_a_folder_are_found_in_order(photos):
    assert [p.relative_to(photos).as_posix() for p in find_images([photos])] == ["a.jpg", "b.png", "more/a.png"]
    with pytest.raises(UserError, match="no such file"):
        find_images([photos / "nothing"])
    (photos / "empty").mkdir()
    with pytest.raises(UserError, match="no image in"):
        find_images([photos / "empty"])


def test_results_are_coco_by_hand():
    found = Middle()(np.zeros((40, 80, 3), np.uint8))
    assert to_coco_results(found, "x.jpg") == [{
        "file_name": "x.jpg", "category_id": 1, "bbox": [20.0, 10.0, 40.0, 20.0], "score": 0.5,
        "keypoints": [40.0, 20.0, 1.5, 1.0, 2.0, 0.25],
    }]


def test_one_bad_image_does_not_stop_the_others(photos, tmp_path):
    (photos / "bad.jpg").write_bytes(b"\xff\xd8 not a picture")
    images = find_images([photos])
    summary = predict_images(Middle(), images, tmp_path / "out", kpt_thr=0.3, sheet=True)
    assert (summary.images, summary.instances) == (3, 3)
    assert [fault.file for fault in summary.faults] == [photos / "bad.jpg"]
    results = json.loads((tmp_path / "out/predictions.json").read_text(encoding="utf-8"))
    assert len(results) == 3
    # Two images are called a; both are kept.
    assert {p.name for p in (tmp_path / "out").glob("*.jpg")} == {"a.jpg", "a-2.jpg", "b.jpg", "contact_sheet.jpg"}
    drawn = imread(tmp_path / "out/b.jpg")
    assert drawn.shape == (40, 80, 3)
    assert (drawn != 200).any(), "something was drawn"
