"""Heat maps lie where the keypoints are: rows and maps, fine and coarse cells, borders, overlaps, nothing at all."""
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_graphs import COLOURS, POSE

from pose_tools.console import UserError
from pose_tools.inference.heatmaps import Response, draw_responses, find_keypoint
from pose_tools.inference.runtime import PoseModel
from pose_tools.inference.runtime.geometry import boxes_to_crops, check_boxes, crops_to_image
from pose_tools.inference.runtime.simcc import simcc_to_keypoints

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "weights"))
SIZE = (32, 16)  # (w, h), crop px
# A crop of 32 x 16 px at (8, 8): crop px are image px less (8, 8), a bin is half a px.
PLACE = np.array([[24.0, 16.0]]), np.array([[32.0, 16.0]])


def rows(*peaks, bins=(64, 32), heights=(1.0, 1.0)):
    """SimCC rows (1, K, bins) that are 0 but at one bin each, and half as much beside it."""
    found = [np.zeros((1, len(peaks), count), np.float32) for count in bins]
    for number, peak in enumerate(peaks):
        for axis in (0, 1):
            for beside, share in ((-1, 0.5), (1, 0.5), (0, 1)):
                if 0 <= peak[axis] + beside < bins[axis]:
                    found[axis][0, number, peak[axis] + beside] = share * heights[axis]
    return found


def highest(heat):
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    return int(x), int(y)


def test_rows_become_their_product_where_they_are():
    # Bins 40 and 12 are crop px 20 and 6: image px 28 and 14. A pixel has bins 2n and 2n - 1 or 2n + 1, the higher.
    heat = draw_responses(Response.from_simcc(*rows((40, 12), heights=(0.8, 0.5)), 2.0, *PLACE, SIZE), (60, 80))
    assert heat.dtype == np.float32 and heat.shape == (60, 80)
    assert heat[14, 28] == pytest.approx(0.5), "the score, which is the lower of the two"
    around = heat[13:16, 27:30].copy()
    around[1, 1] = 0
    assert set(np.round(around.ravel(), 3)) <= {0, 0.125, 0.25}
    assert np.count_nonzero(heat) == np.count_nonzero(heat[13:16, 27:30])


def test_coarse_rows_are_interpolated():
    # A crop of 128 x 64 px at (8, 8): a bin is 2 px. Bin 10 is px 28, half of it bin 11, px 30: px 29 has 0.75.
    place = np.array([[72.0, 40.0]]), np.array([[128.0, 64.0]])
    heat = draw_responses(Response.from_simcc(*rows((10, 4)), 2.0, *place, SIZE), (100, 200))
    assert highest(heat) == (28, 16) and heat[16, 28] == 1
    assert heat[16, 26:32].tolist() == pytest.approx([0.5, 0.75, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("use_udp", [False, True])
def test_maps_lie_as_their_codec_has_them(use_udp):
    # 8 x 4 cells for 32 x 16 crop px. Cell 2 is crop px 8, or 2 * 32 / 7 = 9.14 with UDP, whose last cell is px 32.
    maps = np.zeros((1, 1, 4, 8), np.float32)
    maps[0, 0, 1, 2] = 0.7
    response = Response.from_heatmaps(maps, *PLACE, SIZE, use_udp)
    assert response.origins.tolist() == [[8, 8]]
    assert response.steps[0].tolist() == pytest.approx([32 / 7, 16 / 3] if use_udp else [4, 4])
    heat = draw_responses(response, (60, 80))
    assert highest(heat) == ((17, 13) if use_udp else (16, 12))
    assert heat.max() == pytest.approx(0.7)
    if not use_udp:
        assert heat[12, 16:21].tolist() == pytest.approx([0.7, 0.525, 0.35, 0.175, 0])
        assert heat[14, 18] == pytest.approx(0.7 / 4)


def test_scores_beyond_one_are_full_heat_and_none_without_a_score():
    bright = draw_responses(Response.from_simcc(*rows((20, 10), heights=(1.4, 1.2)), 2.0, *PLACE, SIZE), (60, 80))
    assert bright.max() == 1
    dead = [-np.ones_like(row) for row in rows((20, 10))]
    assert not draw_responses(Response.from_simcc(*dead, 2.0, *PLACE, SIZE), (60, 80)).any()
    assert not draw_responses(Response.from_heatmaps(np.full((1, 2, 4, 8), np.nan), *PLACE, SIZE), (60, 80)).any()


def test_one_keypoint_or_the_highest_of_all():
    response = Response.from_simcc(*rows((10, 10), (50, 20)), 2.0, *PLACE, SIZE)
    alone = [draw_responses(response, (60, 80), number) for number in (0, 1)]
    assert highest(alone[0]) == (13, 13) and highest(alone[1]) == (33, 18)
    assert (draw_responses(response, (60, 80)) == np.maximum(*alone)).all()


def test_heat_beyond_the_picture_is_cut():
    for center in ((0, 0), (80, 60), (-500, 3), (40, -9), (1e7, 1e7)):
        place = np.array([center], float), np.array([[32.0, 16.0]])
        heat = draw_responses(Response.from_simcc(*rows((32, 16)), 2.0, *place, SIZE), (60, 80))
        inside = 0 <= center[0] < 80 and 0 <= center[1] < 60
        assert heat.shape == (60, 80) and (heat.max() == 1) == inside


def test_no_objects_no_heat():
    none = Response.from_simcc(np.zeros((0, 3, 1)), np.zeros((0, 3, 1)), 2.0, np.zeros((0, 2)), np.zeros((0, 2)), SIZE)
    assert len(none) == 0 and not draw_responses(none, (5, 7)).any()
    assert not draw_responses(Response.from_heatmaps(np.zeros((0, 3, 1, 1)), np.zeros((0, 2)), np.zeros((0, 2)), SIZE),
                              (5, 7), 2).any()


def test_keypoints_are_chosen_by_name_or_number():
    assert [find_keypoint(wanted, COLOURS) for wanted in (None, "green", 2, "1", " 0 ")] == [None, 1, 2, 1, 0]
    numbers = replace(COLOURS, keypoints=("2", "1", "0"), swaps=(), links=())
    assert find_keypoint("2", numbers) == 0, "a name goes before a number"
    for wanted in ("purple", 3, "-1", -1, "1.0", ""):
        with pytest.raises(UserError, match="there are: 0 red, 1 green, 2 blue"):
            find_keypoint(wanted, COLOURS)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.booleans(), st.floats(4, 900), st.floats(0.3, 3))
def test_the_highest_place_is_the_keypoint(seed, use_udp, width, aspect):
    """Of any noise, however the cells' size relates to the pixels'; within half a pixel, as it has to lie on one."""
    rng = np.random.default_rng(seed)
    box = check_boxes([[20, 30, 20 + width, 30 + width * aspect]])
    crops = boxes_to_crops(box, SIZE, 1.25, use_udp)
    x, y = rng.normal(size=(1, 2, 64)).astype(np.float32), rng.normal(size=(1, 2, 32)).astype(np.float32)
    found, scores = simcc_to_keypoints(x, y, 2.0)
    points = crops_to_image(found, crops.centers, crops.scales, SIZE)[0]
    response = Response.from_simcc(x, y, 2.0, crops.centers, crops.scales, SIZE)
    for number, point in enumerate(points):
        if scores[0, number] > 0 and (point >= 0).all() and (point <= (1299, 999)).all():
            heat = draw_responses(response, (1000, 1300), number)
            assert np.abs(np.array(highest(heat)) - point).max() <= 0.51
            assert heat.max() == pytest.approx(min(1, scores[0, number]), abs=1e-5)


class Spots:
    """A backend that finds the reddest, greenest and bluest column and row, as the graph of tiny_graphs does."""

    name, path, precision = "numpy", Path("spots.onnx"), "fp32"

    def __init__(self, **changes):
        self.facts = replace(POSE, **changes)

    def run(self, batch):
        return np.repeat(batch.sum(2), 2, axis=2), np.repeat(batch.sum(3), 2, axis=2)


def spotted(**spots):
    image = np.zeros((60, 80, 3), np.uint8)
    for colour, (x, y) in spots.items():
        image[y, x, ["blue", "green", "red"].index(colour)] = 255
    return image


@pytest.mark.parametrize("flip_test", [False, True])
def test_a_model_gives_its_rows_and_keeps_pictures_apart(flip_test):
    first, second = spotted(red=(10, 20), green=(30, 10)), spotted(blue=(14, 12))
    # Mirroring swaps red and blue: with a flip test each is half of what it is in the mirrored crop.
    model = PoseModel(Spots(), flip_test, batch_size=2)
    boxes = [[[8, 8, 40, 24]] * 3, [], [[8, 8, 40, 24]]]
    responses = []
    found = model.many([first, first, second], boxes, responses)
    assert [len(each) for each in responses] == [3, 0, 1]
    plain = model.many([first, first, second], boxes)
    assert all((a == b).all() for one, other in zip(found, plain) for a, b in zip(one, other))
    heat = draw_responses(responses[0], (60, 80), 1)
    assert np.abs(np.array(highest(heat)) - found[0][0][0, 1]).max() <= 0.51
    assert highest(draw_responses(responses[2], (60, 80)))[1] == 12
    model.many([], [], responses)
    assert len(responses) == 3


def test_a_graph_that_decodes_has_no_heat():
    with pytest.raises(UserError, match="spots.onnx: decodes keypoints in its graph.*without --end2end"):
        PoseModel(Spots(end_to_end=True)).many([spotted()], [[[8, 8, 40, 24]]], [])


@pytest.mark.slow
@pytest.mark.parametrize("flip_test", [False, True])
def test_heat_of_a_seeded_network_lies_at_its_keypoints(openmmlab, tmp_path, flip_test):
    from release_models import save_run, small_config

    from pose_tools.inference.runtime import open_backend

    path = save_run(tmp_path / "run", "pose", small_config("pose"))
    model = PoseModel(open_backend(path, "auto", "cpu", "auto", 1, None), flip_test)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    boxes = [[20, 20, 100, 100], [-30, 40, 60, 150], [0, 0, 160, 120], [70, 50, 80, 62]]
    responses = []
    (keypoints, scores), = model.many([image], [boxes], responses)
    checked = 0
    for number in range(len(boxes)):
        one = replace(responses[0], **{name: getattr(responses[0], name)[number:number + 1]
                                       for name in ("origins", "steps", "x", "y")})
        for index, (point, score) in enumerate(zip(keypoints[number], scores[number])):
            if score > 0 and (point >= 0).all() and (point <= (159, 119)).all():
                assert np.abs(np.array(highest(draw_responses(one, (120, 160), index))) - point).max() <= 0.51
                checked += 1
    assert checked >= 8


@pytest.mark.slow
@pytest.mark.parametrize("codec", [{"type": "MSRAHeatmap", "sigma": 2}, {"type": "UDPHeatmap", "sigma": 2},
                                   {"type": "MSRAHeatmap", "sigma": 2, "unbiased": True}])
def test_heat_lies_where_mmpose_finds_the_keypoints_of_a_map(openmmlab, codec):
    """Maps that mmpose's codecs make of places, which their decoders find again."""
    from mmpose.registry import KEYPOINT_CODECS

    use_udp, size = codec["type"] == "UDPHeatmap", (192, 256)
    made = KEYPOINT_CODECS.build({**codec, "input_size": size, "heatmap_size": (48, 64)})
    crop_px = np.random.default_rng(0).uniform(12, 180, (1, 20, 2)).astype(np.float32)
    maps = made.encode(crop_px, np.ones((1, 20), np.float32))["heatmaps"]
    crops = boxes_to_crops(check_boxes([[40, 30, 340, 430]]), size, 1.25, use_udp)
    points = crops_to_image(made.decode(maps.copy())[0], crops.centers, crops.scales, size)[0]
    response = Response.from_heatmaps(maps[None], crops.centers, crops.scales, size, use_udp)
    for number, point in enumerate(points):
        # A cell is 7.8 px; a biased map has its highest place in a cell's middle.
        assert np.abs(np.array(highest(draw_responses(response, (480, 640), number))) - point).max() <= 7.8 / 2 + 0.5


def test_two_answers_joined_are_those_of_all_objects():
    def answer(count, value):
        return Response(np.full((count, 2), value), np.ones((count, 2)), x=np.full((count, 3, 4), value),
                        y=np.full((count, 3, 5), value))

    both = answer(2, 1.0).joined(answer(1, 7.0))
    assert both.origins[:, 0].tolist() == [1, 1, 7] and both.x[:, 0, 0].tolist() == [1, 1, 7]
    assert both.y.shape == (3, 3, 5) and both.maps is None
    last = both.part(np.array([False, False, True]))
    assert last.origins.tolist() == [[7, 7]] and last.x.shape == (1, 3, 4) and last.maps is None
    alone, nothing = answer(2, 1.0), answer(0, 0.0)
    assert alone.joined(nothing) is alone and nothing.joined(alone) is alone
