"""Camera files: what people have, and what is wrong with them."""
import json

import cv2
import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.inference.vehicle_pose import read_camera

MATRIX = [[600.0, 0, 319.5], [0, 610.0, 239.5], [0, 0, 1]]
LENS = [-0.28, 0.09, 0.001, -0.0005, 0.01]
FOUR = "fx: 600\nfy: 610\ncx: 319.5\ncy: 239.5\n"
ROS = f"""image_width: 640
image_height: 480
camera_matrix: {{rows: 3, cols: 3, data: {sum(MATRIX, [])}}}
distortion_coefficients: {{rows: 1, cols: 5, data: {LENS}}}
"""


@pytest.mark.parametrize(("name", "text"), [
    ("four.yaml", FOUR), ("four.json", json.dumps({"fx": 600, "fy": 610, "cx": 319.5, "cy": 239.5})),
    ("matrix.json", json.dumps({"matrix": MATRIX})), ("flat.yml", f"camera_matrix: {sum(MATRIX, [])}\n")])
def test_plain_files(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    camera = read_camera(path)
    assert camera.matrix.tolist() == MATRIX
    assert (camera.distortion, camera.size, camera.assumed) == ((), None, False)


@pytest.mark.parametrize("name", ["ros.yaml", "opencv.yaml", "opencv.xml", "opencv.json"])
def test_files_of_calibration_programs(tmp_path, name):
    path = tmp_path / name
    if name.startswith("ros"):
        path.write_text(ROS, encoding="utf-8")
    else:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
        storage.write("image_width", 640)
        storage.write("image_height", 480)
        storage.write("camera_matrix", np.array(MATRIX))
        storage.write("distortion_coefficients", np.array([LENS]))
        storage.release()
    camera = read_camera(path)
    assert camera.matrix == pytest.approx(np.array(MATRIX))
    assert camera.distortion == pytest.approx(LENS)
    assert camera.size == (640, 480)


def test_pictures_of_another_resolution_scale_the_camera(tmp_path):
    path = tmp_path / "ros.yaml"
    path.write_text(ROS, encoding="utf-8")
    half = read_camera(path).of_size((320, 240))
    # Pixel 319.5 is the middle of 640 columns, as 159.5 is of 320.
    assert half.matrix.tolist() == [[300, 0, 159.5], [0, 305, 119.5], [0, 0, 1]]
    with pytest.raises(UserError, match="640 x 480.*480 x 640"):
        read_camera(path).of_size((480, 640))


@pytest.mark.parametrize(("name", "text", "said"), [
    ("c.json", "{", "neither JSON nor YAML"),
    ("c.yaml", "- 1\n- 2\n", "does not describe a camera"),
    ("c.yaml", "fx: 600\nfy: 600\n", "cx, cy missing"),
    ("c.yaml", FOUR.replace("600", "many"), "must be numbers"),
    ("c.yaml", FOUR.replace("600", "-600"), "no camera matrix"),
    ("c.yaml", FOUR.replace("600", ".nan"), "must be numbers"),
    ("c.json", json.dumps({"matrix": [[1, 2], [3, 4]]}), "3 x 3"),
    ("c.json", json.dumps({"matrix": np.ones((3, 3)).tolist()}), "no camera matrix"),
    ("c.yaml", FOUR + "distortion: [1, 2, 3]\n", "4, 5, 8, 12, 14 numbers"),
    ("c.yaml", FOUR + "image_width: wide\n", "both be numbers"),
    ("c.xml", "<nothing", "OpenCV writes"),
    ("c.xml", "<?xml version='1.0'?><opencv_storage></opencv_storage>", "does not describe a camera"),
])
def test_what_is_wrong_is_said_in_one_line(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said) as caught:
        read_camera(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such camera file"):
        read_camera(tmp_path / "camera.yaml")
