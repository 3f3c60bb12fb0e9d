"""Pictures become network inputs: planes, channel order, mean and std, letterbox."""
from dataclasses import replace

import numpy as np
import pytest
from tiny_graphs import DETECTOR, POSE

from pose_tools.console import UserError
from pose_tools.inference.runtime.pixels import InputMemory, check_image, letterbox, letterbox_size

BLUE = np.array([250, 20, 4], np.uint8)


def memory(**changes):
    return InputMemory(replace(POSE, input_size=(3, 2), mean=(4.0, 10.0, 50.0), std=(2.0, 5.0, 100.0), **changes))


def test_planes_are_normalised_in_the_channel_order_of_the_network():
    taken = {}
    for to_rgb in (True, False):
        inputs = memory(to_rgb=to_rgb)
        rows = inputs.rows(1)
        pixels = inputs.pixels(0)
        pixels[:] = BLUE
        inputs.normalise(0, pixels)
        taken[to_rgb] = rows[0, :, 1, 2]
    np.testing.assert_allclose(taken[True], [0, 2, 2], atol=1e-5)
    np.testing.assert_allclose(taken[False], [123, 2, -0.46], atol=1e-5)


def test_an_end_to_end_graph_gets_the_bytes():
    inputs = memory(end_to_end=True)
    rows = inputs.rows(2)
    inputs.pixels(1)[:] = BLUE
    inputs.normalise(1, inputs.pixels(1))
    assert rows.dtype == np.uint8
    assert rows[1, 0, 0].tolist() == [250, 20, 4]
    assert rows[0].max() == 0


@pytest.mark.parametrize("end_to_end", [False, True])
def test_mirrored_rows_follow_the_others(end_to_end):
    inputs = memory(end_to_end=end_to_end)
    for row in range(len(inputs.rows(2))):
        inputs.normalise(row, np.arange(18, dtype=np.uint8).reshape(2, 3, 3) + row)
    rows = inputs.rows(2).copy()
    both = inputs.mirror(2)
    np.testing.assert_array_equal(both[:2], rows)
    np.testing.assert_array_equal(both[2:], rows[:, :, ::-1] if end_to_end else rows[..., ::-1])


def test_memory_is_kept():
    inputs = memory()
    first = inputs.rows(4)
    assert np.shares_memory(first, inputs.rows(2))
    assert len(inputs.rows(5)) == 5


def test_a_letterbox_is_at_the_top_left_and_grey_beyond():
    pixels = np.zeros((64, 64, 3), np.uint8)
    image = np.full((50, 200, 3), 9, np.uint8)
    assert letterbox(image, pixels, 114) == (64 / 200, 16 / 50)
    assert (pixels[:16] == 9).all()
    assert (pixels[16:] == 114).all()


@pytest.mark.parametrize(("shape", "size", "expected"), [
    ((480, 640), (640, 640), (640, 480)),
    ((1000, 10), (64, 64), (1, 64)),
    ((2, 5000), (64, 64), (64, 1)),
    ((333, 500), (320, 320), (320, 213)),  # 213.12
    ((375, 500), (322, 322), (322, 242)),  # 241.5 + 0.5
    ((300, 100), (256, 192), (64, 192)),
])
def test_the_size_of_a_letterboxed_picture(shape, size, expected):
    assert letterbox_size(np.zeros((*shape, 3), np.uint8), size) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("openmmlab")
@pytest.mark.parametrize("shape", [(480, 640), (333, 500), (1080, 1920), (97, 41), (320, 320), (640, 360)])
def test_letterbox_and_normalisation_are_those_of_mmdet_to_the_pixel(shape):
    import torch
    from mmdet.datasets.transforms import Pad, Resize
    from mmdet.models.data_preprocessors import DetDataPreprocessor

    image = np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8)
    facts = replace(DETECTOR, input_size=(320, 320), mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395))
    inputs = InputMemory(facts)
    rows, pixels = inputs.rows(1), inputs.pixels(0)
    factors = letterbox(image, pixels, 114)
    result = Pad(size=(320, 320), pad_val={"img": (114, 114, 114)}).transform(
        Resize(scale=(320, 320), keep_ratio=True).transform({"img": image}))
    np.testing.assert_array_equal(pixels, result["img"])
    assert factors == result["scale_factor"]
    inputs.normalise(0, pixels)
    prepared = DetDataPreprocessor(mean=facts.mean, std=facts.std)
    expected = prepared({"inputs": [torch.from_numpy(result["img"]).permute(2, 0, 1)], "data_samples": None})["inputs"]
    np.testing.assert_allclose(rows, expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)),
                                   np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(UserError, match="expected a picture"):
        check_image(image)
