"""Which pictures a model's card shows, and how large."""
import cv2
import numpy as np
import pytest

from pose_tools.inference.sample import MOST_PICTURES, MOST_SIDE, plan_sample


def write(path, height=30, width=40):
    cv2.imwrite(str(path), np.full((height, width, 3), 200, np.uint8))
    return path


def test_none_by_itself():
    assert plan_sample(None, [], None) == ([], None)


def test_a_given_picture_is_reduced_and_nothing_is_asked_of_the_model(tmp_path):
    faults, draw = plan_sample(write(tmp_path / "a.png", 1300, 2600), [], None)
    assert faults == [] and draw(tmp_path / "no-model.pth", tmp_path / "sample.jpg") == "A sample picture."
    assert cv2.imread(str(tmp_path / "sample.jpg")).shape == (MOST_SIDE // 2, MOST_SIDE, 3)


def test_the_first_pictures_by_name(tmp_path):
    for number in range(MOST_PICTURES + 2):
        write(tmp_path / f"{5 - number}.jpg")
    faults, draw = plan_sample(None, [tmp_path], None)
    assert faults == [] and [path.name for path in draw.args[0]] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


@pytest.mark.parametrize("make, what", [
    (lambda folder: folder / "none.jpg", "no such file or folder"), (lambda folder: folder, "holds no picture"),
    (lambda folder: (folder / "x.jpg").write_bytes(b"x") and folder / "x.jpg", "not a picture")])
def test_what_cannot_be_shown_is_a_fault(make, what, tmp_path):
    [fault] = plan_sample(None, [make(tmp_path)], None)[0]
    assert what in str(fault) and "\n" not in str(fault)


def test_all_faults_at_once(tmp_path):
    faults, _ = plan_sample(None, [tmp_path / "none"], tmp_path / "det.pth")
    assert [str(fault) for fault in faults] == [f"{tmp_path / 'det.pth'}: no such file",
                                                f"{tmp_path / 'none'}: no such file or folder"]
