"""Where keypoints are in space: read like the other facts, and checked."""
from pathlib import Path

import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.formats.schema import KeypointSet, keypoint_set_from_dict, read_meta

CARPOSE = Path(__file__).resolve().parents[2] / "configs/_base_/carpose/meta.py"
BARE = {"classes": ("box", ), "keypoints": ("a", "b", "c")}
SOUND = ((0, 0, 0), (1.5, 0, 0), (0, 2, -0.5))


def test_carpose_has_a_car_that_is_the_same_on_both_sides():
    names = read_meta(CARPOSE)
    assert len(names.model_points) == 8
    for i, partner in enumerate(names.flip_indices):
        x, y, z = names.model_points[i]
        assert names.model_points[partner] == (x, -y, z)
    by_name = dict(zip(names.keypoints, names.model_points))
    assert by_name["left-front-tire"][1] > 0 and by_name["left-front-tire"][0] > by_name["left-rear-tire"][0]


@pytest.mark.parametrize("given", [SOUND, [list(point) for point in SOUND]])
def test_lists_of_a_loaded_config_are_as_good_as_tuples(given):
    assert keypoint_set_from_dict({**BARE, "model_points": given}, "meta.py").model_points == SOUND


@pytest.mark.parametrize("given", [{}, {"model_points": ()}, {"model_points": None}])
def test_they_may_be_unknown(given):
    assert keypoint_set_from_dict({**BARE, **given}, "meta.py").model_points == ()


@pytest.mark.parametrize(("points", "expected"), [
    (SOUND[:2], "model_points: has 2 points for 3 keypoints"),
    ((*SOUND[:2], (1, 2)), "(1, 2) is not x, y and z in metres"),
    ((*SOUND[:2], (1, 2, float("nan"))), "(1, 2, nan) is not x, y and z in metres"),
    ((*SOUND[:2], (1, 2, True)), "(1, 2, True) is not x, y and z in metres"),
    ((*SOUND[:2], (1, 2, "3")), "(1, 2, '3') is not x, y and z in metres"),
    ((*SOUND[:2], 7), "7 is not x, y and z in metres"),
    (((0, 0, 0), (1, 1, 1), (2, 2, 2)), "model_points: all points lie on one line"),
])
def test_what_is_wrong_is_said(points, expected):
    with pytest.raises(FaultsError) as caught:
        keypoint_set_from_dict({**BARE, "model_points": points}, "meta.py")
    assert expected in str(caught.value)


def test_a_number_instead_of_points_is_one_line():
    with pytest.raises(UserError, match="model_points must be lists"):
        keypoint_set_from_dict({**BARE, "model_points": 3}, "meta.py")


def test_sets_do_not_differ_by_their_points():
    """A detector trained before there were any goes with a pose model that has them."""
    assert KeypointSet(("box", ), ("a", "b", "c"), model_points=SOUND) == KeypointSet(("box", ), ("a", "b", "c"))
