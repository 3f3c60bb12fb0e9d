from pathlib import Path

import pytest

from pose_tools.console import UserError
from pose_tools.report.walkthrough import MARKER, Plan, Shell, _epochs, crop_size, walk


@pytest.mark.parametrize(("folder", "name"), [
    ("My Photos", "my_photos"), ("wheels_labelme", "wheels_labelme"), ("閥門", "own"), ("a--b", "a_b")])
def test_a_set_is_named_after_its_folder(folder, name):
    assert Plan(data=Path("/x") / folder).set_name == name
    assert Plan(data=Path("/x") / folder, name="valve").set_name == "valve"
    assert Plan().set_name == "carpose"


def test_epochs_by_hand():
    assert _epochs(steps=900, samples=192, batch=8) == 38  # 24 steps an epoch
    assert _epochs(steps=900, samples=5, batch=8) == 900
    assert _epochs(steps=900, samples=100_000, batch=8) == 1  # never fewer


def test_a_failing_step_stops_the_demo(tmp_path, capfd):
    (tmp_path / "fails.py").write_text("import sys; sys.exit('no luck')", encoding="utf-8")
    with pytest.raises(UserError, match=r"fails.py failed \(exit code 1\)"):
        Shell(tmp_path)("fails.py", "--size", "a b")
    seen = capfd.readouterr()
    assert "$ python fails.py --size 'a b'" in seen.out
    assert "no luck" in seen.err


def test_somebody_elses_data_is_not_touched(tmp_path):
    own = tmp_path / "data/carpose"
    own.mkdir(parents=True)
    (own / "train_coco.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="was not made by the demo"):
        walk(tmp_path, Plan())
    assert [p.name for p in own.iterdir()] == ["train_coco.json"]
    assert not (own / MARKER).exists()


@pytest.mark.parametrize(("boxes", "size"), [
    ([(0, 0, 200, 100), (0, 0, 150, 100), (0, 0, 10, 100)], (192, 96)),
    ([(0, 0, 100, 100), (0, 0, 90, 80)], (128, 128)),
    ([(0, 0, 40, 100)], (96, 192)),
])
def test_crops_are_shaped_like_the_boxes(boxes, size):
    assert crop_size([{"bbox": box} for box in boxes]) == size
