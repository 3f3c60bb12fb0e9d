"""What a model file says of itself goes through flat strings and comes back; nonsense is listed as a whole."""
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.console import FaultsError, UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.runtime.facts import PRECISIONS, ModelFacts

CAR = KeypointSet(("car",), ("left", "right", "top"), (("left", "right"),), (("left", "top"),), (0.05, 0.1, 0.025))
POSE = ModelFacts("pose", "rtmpose-s-car", ("car",), CAR, (192, 256), (123.675, 116.28, 103.53), (58.4, 57.1, 57.4),
                  True, bbox_padding=1.1, flip_test=True, opset=17, licence="Apache-2.0")
DETECTOR = ModelFacts("detector", "rtmdet", ("car", "bus"), None, (640, 640), (103.5, 116.3, 123.7), (1.0, 2.0, 3.0),
                      False, nms_pre=1000, batch=4, precision="int8")
numbers = st.floats(0.001, 1000)
names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True).map(tuple)


def faults_of(values):
    with pytest.raises(FaultsError) as error:
        ModelFacts.from_metadata(values, "m.onnx")
    return [str(fault) for fault in error.value.faults]


@pytest.mark.parametrize("facts", [
    POSE, DETECTOR, replace(DETECTOR, keypoint_set=replace(CAR, classes=("car", "bus")))])
def test_facts_come_back_from_their_strings(facts):
    values = facts.to_metadata()
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in values.items())
    assert ModelFacts.from_metadata({**values, "someone_else's": "{"}, "m.onnx") == facts


def test_the_strings_can_be_read_by_a_stranger():
    values = POSE.to_metadata()
    assert values["channel_order"] == "RGB"
    assert json.loads(values["keypoints"]) == ["left", "right", "top"]
    assert json.loads(values["swaps"]) == [["left", "right"]]
    assert json.loads(values["input_size"]) == [192, 256]
    assert json.loads(values["sigmas"]) == [0.05, 0.1, 0.025]
    assert "nms_pre" not in values
    assert "bbox_padding" not in DETECTOR.to_metadata()


@given(names, st.tuples(numbers, numbers, numbers), st.tuples(st.integers(1, 9999), st.integers(1, 9999)), numbers,
       st.booleans(), st.sampled_from(PRECISIONS), st.none() | st.integers(1, 64))
def test_any_sound_facts_come_back(keypoints, three, size, ratio, truth, precision, batch):
    keypoint_set = KeypointSet(("thing",), keypoints)
    facts = ModelFacts("pose", "名", ("thing",), keypoint_set, size, three, three, truth, simcc_split_ratio=ratio,
                       use_udp=not truth, end_to_end=truth, precision=precision, batch=batch)
    assert ModelFacts.from_metadata(facts.to_metadata(), "m.onnx") == facts


def test_all_that_is_missing_or_makes_no_sense_is_listed():
    values = POSE.to_metadata()
    del values["mean"], values["flip_test"]
    values.update(input_size="[256]", std="[1, 0, 2]", classes="car", precision="fp8", end_to_end="1",
                  sigmas="[0.1]", batch="0")
    assert faults_of(values) == [
        "m.onnx: precision: 'fp8' is none of fp32, fp16, bf16, int8",
        "m.onnx: classes: 'car': is no JSON",
        "m.onnx: input_size: '[256]': is not a width and a height",
        "m.onnx: std: '[1, 0, 2]': is not a positive number",
        "m.onnx: end_to_end: '1': is neither true nor false",
        "m.onnx: batch: '0': is not a whole number from 1",
        "m.onnx: mean: is missing in the metadata",
        "m.onnx: flip_test: is missing in the metadata",
        "m.onnx: sigmas: has 1 values for 3 keypoints",
    ]


def test_a_keypoint_model_without_keypoints_is_refused():
    values = {key: value for key, value in POSE.to_metadata().items() if key != "keypoints"}
    assert faults_of(values) == ["m.onnx: keypoints: is missing in the metadata"]
    assert faults_of({**POSE.to_metadata(), "swaps": "[["}) == ["m.onnx: swaps: '[[': is no JSON"]


def test_a_file_of_others_and_one_of_a_later_version_are_refused_in_one_line():
    with pytest.raises(UserError, match="m.onnx: does not say what it is") as error:
        ModelFacts.from_metadata({"names": "{0: 'car'}"}, "m.onnx")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="layout '2', and this version reads '1'"):
        ModelFacts.from_metadata({**POSE.to_metadata(), "model_facts": "2"}, "m.onnx")


@pytest.mark.parametrize(("file", "name"), [
    ("rtmpose-s-cars-1a2b3c4d_20261121.pth", "rtmpose-s-cars"),
    ("rtmpose-s-valve/best_coco_AP_epoch_90.pth", "rtmpose-s-valve"),
    ("rtmpose-s-valve/epoch_10.pth", "rtmpose-s-valve"),
    ("Downloads/pose.pth", "pose"),
])
def test_a_model_is_called_as_its_file_or_its_run(tmp_path, file, name):
    from pose_tools.inference.runtime.torch_facts import _name

    assert _name(tmp_path / file) == name
