"""Annotations become the samples that upstream makes of them, item by item, type by type."""
import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.compat.annotation_loading import copied, parse_data_info

JSON = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
                    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner)),
                    max_leaves=20)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value):
    made = copied(value)
    assert made == copy.deepcopy(value)
    assert json.dumps(made) == json.dumps(value)

    def containers(each):
        if isinstance(each, (list, dict)):
            yield id(each)
            for item in each.values() if isinstance(each, dict) else each:
                yield from containers(item)

    assert not set(containers(made)) & set(containers(value))


def upstreams():
    from mmpose.datasets.datasets.base import BaseCocoStyleDataset

    return BaseCocoStyleDataset.parse_data_info.__wrapped__


def number():
    return st.one_of(st.integers(-50, 400), st.floats(-50, 400, width=32), st.sampled_from([0, 0.0, 99, 99.0, 100.5]))


@st.composite
def annotations(draw):
    count = draw(st.integers(1, 4))
    ann = {"id": 7, "image_id": 3, "category_id": draw(st.integers(1, 90)), "bbox": [draw(number()) for _ in range(4)],
           "keypoints": [draw(st.sampled_from([0, 1, 2])) if each % 3 == 2 else draw(number())
                         for each in range(3 * count)]}
    optional = {"area": number(), "num_keypoints": st.integers(0, count), "iscrowd": st.integers(0, 1),
                "segmentation": st.sampled_from([[], [[1.5, 2, 3, 4, 5, 6]], {"counts": "abc", "size": [1, 2]}])}
    for key, values in optional.items():
        if draw(st.booleans()):
            ann[key] = draw(values)
    if draw(st.integers(0, 9)) == 0:
        del ann[draw(st.sampled_from(["bbox", "keypoints"]))]
    img = {"width": draw(st.integers(1, 300)), "height": draw(st.integers(1, 300)), "img_path": "a/b.jpg"}
    if draw(st.booleans()):
        img["crowdIndex"] = 0.25
    return {"raw_ann_info": ann, "raw_img_info": img}


@settings(max_examples=200, deadline=None)
@given(annotations())
def test_a_sample_is_upstreams_sample(raw):
    theirs, ours = upstreams()(None, copy.deepcopy(raw)), parse_data_info(None, copy.deepcopy(raw))
    if theirs is None:
        assert ours is None
        return
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert type(ours[key]) is type(value), key
        if isinstance(value, np.ndarray):
            assert (ours[key].dtype, ours[key].shape) == (value.dtype, value.shape), key
            np.testing.assert_array_equal(ours[key], value, err_msg=key)
        else:
            assert ours[key] == value, key


def test_what_is_read_from_a_file_is_the_same(cars, monkeypatch):
    from mmpose.datasets import CocoDataset

    from pose_tools.openmmlab.config import load_config

    cfg = load_config("configs/rtmpose-s-carpose.py")
    words = {"ann_file": "train_coco.json", "data_root": str(cars), "data_prefix": {"img": "images/"},
             "metainfo": cfg.dataset_info.to_dict(), "pipeline": [], "data_mode": "topdown"}
    ours = CocoDataset(**words)
    monkeypatch.setattr("mmpose.datasets.datasets.base.BaseCocoStyleDataset.parse_data_info", upstreams())
    theirs = CocoDataset(**words)
    assert len(ours) == len(theirs) > 9
    np.testing.assert_array_equal(ours.data_bytes, theirs.data_bytes)  # every sample, pickled


def test_another_version_of_mmpose_keeps_its_own(monkeypatch):
    from types import SimpleNamespace

    from pose_tools.openmmlab.compat import annotation_loading

    class Dataset:
        def parse_data_info(self, raw):
            return raw

    own = Dataset.parse_data_info
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.4.0")
    annotation_loading._patch(SimpleNamespace(BaseCocoStyleDataset=Dataset))
    assert Dataset.parse_data_info is own


@pytest.mark.parametrize("value", [float("nan"), -1, 0, 7, 7.5, 100])
def test_limits_are_those_of_numpy(value):
    from pose_tools.openmmlab.compat.annotation_loading import _limited

    np.testing.assert_array_equal(_limited(value, 9), np.clip(value, 0, 9))
