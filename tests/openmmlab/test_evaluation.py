"""Our evaluation gives what pycocotools and xtcocotools give, to the last bit, whatever the data."""
import contextlib
import copy
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.evaluation import (
    fast_box_evaluation,
    fast_keypoint_evaluation,
    object_keypoint_similarities,
)

CATEGORIES = [{"id": 1, "name": "a"}, {"id": 4, "name": "b"}]


def results(kind, coco, data, found, change=lambda evaluation: None, *more):
    """Everything an evaluation leaves behind: tables and the summary."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco()
        truth.dataset, truth.anno_file = copy.deepcopy(data), [""]
        truth.createIndex()
        evaluation = kind(truth, truth.loadRes(copy.deepcopy(found)), *more)
        change(evaluation)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {**{key: evaluation.eval[key] for key in ("precision", "recall", "scores")},
            "stats": np.array(evaluation.stats), "images": evaluation.evalImgs}


def assert_same(ours, theirs):
    for key in ("precision", "recall", "scores", "stats"):
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    assert len(ours["images"]) == len(theirs["images"])
    for one, other in zip(ours["images"], theirs["images"]):
        assert (one is None) == (other is None)
        for key in one or ():
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)
            assert np.asarray(one[key]).dtype == np.asarray(other[key]).dtype, key


def without_summary(kind, shown):
    return kind if shown else type("Other", (kind, ), {"summarize": lambda self: setattr(self, "stats", [])})


def number(least, most):
    return st.integers(least * 4, most * 4).map(lambda value: value / 4)


def boxes():
    """On a small grid, so that overlaps and ties are many; sizes over all ranges of areas, and none at all."""
    return st.tuples(number(0, 40), number(0, 40), *[st.sampled_from([0.0, 8.0, 20.0, 31.0, 60.0, 120.0])] * 2)


@st.composite
def box_sets(draw):
    images = list(range(1, draw(st.integers(1, 4)) + 1))
    true = draw(st.lists(st.tuples(st.sampled_from(images), st.sampled_from([1, 4]), boxes(), st.booleans(),
                                   st.sampled_from([None, 0.0, 500.0])), max_size=12))
    # pycocotools takes an id of 0 for "not matched"; we must, too.
    first = draw(st.sampled_from([0, 1]))
    annotations = [{"id": first + number, "image_id": image, "category_id": category, "bbox": list(box),
                    "area": box[2] * box[3] if area is None else area, "iscrowd": int(crowd)}
                   for number, (image, category, box, crowd, area) in enumerate(true)]
    # Mostly near a true box, or nothing would be matched.
    near = st.one_of(boxes(), *([st.sampled_from([box for _, _, box, _, _ in true])] * 3 if true else []))
    found = draw(st.lists(st.tuples(st.sampled_from(images), st.sampled_from([1, 4]), near,
                                    st.sampled_from([0.0, 0.25, 0.5, 0.5, 0.75, 1.0])), min_size=1, max_size=25))
    detections = [{"image_id": image, "category_id": category, "bbox": list(box), "score": score}
                  for image, category, box, score in found]
    return {"images": [{"id": each} for each in images], "annotations": annotations, "categories": CATEGORIES,
            "info": {}}, detections


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(box_sets(), st.booleans(), st.sampled_from([[1, 10, 100], [100, 1, 10], [1, 2, 3]]), st.booleans())
def test_boxes_are_evaluated_as_by_pycocotools(sets, by_category, most, exact):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def change(evaluation):
        evaluation.params.useCats = int(by_category)
        evaluation.params.maxDets = list(most)
        if exact:  # a threshold of 1, which is nearly 1
            evaluation.params.iouThrs = np.array([0.5, 0.75, 1.0])

    shown = max(most) == 100  # upstream's summary asks for these
    theirs = results(without_summary(COCOeval, shown), COCO, *sets, change, "bbox")
    assert_same(results(without_summary(fast_box_evaluation(COCOeval), shown), COCO, *sets, change, "bbox"), theirs)


def poses(count):
    point = st.tuples(number(0, 40), number(0, 40), st.sampled_from([0, 1, 2]))
    return st.lists(point, min_size=count, max_size=count)


def flat(points):
    return [value for x, y, v in points for value in ((x, y, v) if v else (0, 0, 0))]


@st.composite
def pose_sets(draw):
    count = draw(st.sampled_from([1, 3, 9, 17]))
    images = list(range(1, draw(st.integers(1, 3)) + 1))
    true = draw(st.lists(st.tuples(st.sampled_from(images), boxes(), poses(count), st.booleans(), st.booleans(),
                                   st.sampled_from([0.0, 400.0, 2000.0, 20000.0])), max_size=8))
    annotations = []
    for index, (image, box, points, crowd, none, area) in enumerate(true):
        keypoints = [0] * (3 * count) if none else flat(points)
        annotations.append({"id": index + 1, "image_id": image, "category_id": 1, "bbox": list(box), "area": area,
                            "iscrowd": int(crowd), "keypoints": keypoints,
                            "num_keypoints": sum(v > 0 for v in keypoints[2::3])})
    known = [each["keypoints"] for each in annotations]
    near = st.one_of(poses(count).map(flat), *([st.sampled_from(known)] * 3 if known else []))
    found = draw(st.lists(st.tuples(st.sampled_from(images), near, st.sampled_from([0.1, 0.5, 0.5, 0.9])),
                          min_size=1, max_size=26))
    detections = [{"image_id": image, "category_id": 1, "keypoints": keypoints, "score": score}
                  for image, keypoints, score in found]
    return {"images": [{"id": each, "crowdIndex": 0.3} for each in images], "annotations": annotations,
            "categories": [{"id": 1, "name": "a"}], "info": {}}, detections, count


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(pose_sets(), st.booleans(), st.sampled_from(["keypoints", "keypoints_crowd"]), st.data())
def test_keypoints_are_evaluated_as_by_xtcocotools(sets, use_area, how, data):
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    truth, found, count = sets
    sigmas = np.array(data.draw(st.lists(st.sampled_from([0.025, 0.05, 0.107]), min_size=count, max_size=count)))
    more = (how, sigmas, use_area)
    shown = how == "keypoints"  # the other summary reads the annotation file again
    theirs, ours = (results(without_summary(kind, shown), COCO, truth, found, lambda evaluation: None, *more)
                    for kind in (COCOeval, fast_keypoint_evaluation(COCOeval)))
    assert_same(ours, theirs)


def test_the_similarity_of_one_point_by_hand():
    """COCO: exp(-d^2 / (2 * area * (2 sigma)^2)), d = 5 px, area 100, sigma 0.25: exp(-25 / 50)."""
    gt = {"keypoints": [10.0, 10.0, 2, 0, 0, 0], "bbox": [0, 0, 20, 20]}
    dt = {"keypoints": [13.0, 14.0, 1, 99.0, 99.0, 1]}
    assert object_keypoint_similarities([gt], [dt], np.array([0.25, 0.25]), [100.0])[0, 0] \
        == pytest.approx(np.exp(-0.5), rel=1e-12)
    # Nothing is labelled: within twice the box it is as good as it can be; 10 px beyond, with both points, it is not.
    nothing = {"keypoints": [0] * 6, "bbox": [0, 0, 20, 20]}
    inside, beyond = {"keypoints": [40.0, 40, 1, -20, -20, 1]}, {"keypoints": [50.0, 0, 1, 50, 0, 1]}
    found = object_keypoint_similarities([nothing], [inside, beyond], np.array([0.5, 0.5]), [100.0])
    assert found[:, 0].tolist() == pytest.approx([1.0, np.exp(-0.5)])


def test_upstreams_metrics_use_it():
    import mmdet.evaluation.metrics.coco_metric as det
    import mmpose.evaluation.metrics.coco_metric as pose
    from pycocotools.cocoeval import COCOeval
    from xtcocotools.cocoeval import COCOeval as KeypointEval

    for used, upstream in ((det.COCOeval, COCOeval), (pose.COCOeval, KeypointEval)):
        assert issubclass(used, upstream)
        assert used is not upstream
        assert used.evaluateImg is not upstream.evaluateImg
