"""When a report passes, and what it says."""
import json
import math

import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.export.parity.differences import Spread
from pose_tools.export.parity.report import Accuracy, Report, Row
from pose_tools.export.parity.tolerance import ENOUGH_LABELLED, Tolerance

VALUES = np.array([0.0] * 98 + [0.5, 3.0])  # the 99th percentile is 0.5


def report(*rows, **more):
    return Report("model.onnx", "3 pictures", rows=list(rows), max_ap_drop=0.01, **more)


@pytest.mark.parametrize(("statistic", "limit", "passed"), [
    ("max", 3.0, True), ("max", 2.9, False), ("p99", 0.5, True), ("p99", 0.4, False), ("p95", 0.0, True),
    ("", 0.0, True), ("max", math.inf, True)])
def test_a_row_is_judged_by_its_statistic(statistic, limit, passed):
    row = Row("keypoints", "input px", Spread.of(VALUES), statistic, limit)
    assert row.passed == report(row).passed == passed


def test_nan_is_within_no_limit_and_no_values_within_any():
    assert not Row("scores", "", Spread.of(np.array([math.nan, 0.0])), "max", 1e9).passed
    assert Row("scores", "", Spread.of(np.zeros(0)), "max", 0.0).passed


def test_the_ap_counts_from_enough_objects_on():
    few, many = (Accuracy("keypoint AP", 0.5, 0.4, count) for count in (ENOUGH_LABELLED - 1, ENOUGH_LABELLED))
    assert report(accuracy=few).passed and "too few" in report(accuracy=few).table()
    assert report(accuracy=many).failures() == ["keypoint AP drops by 0.1000, more than 0.01"]
    assert report(accuracy=Accuracy("keypoint AP", 0.5, 0.9, 100)).passed, "better is no fault"
    assert not report(accuracy=Accuracy("keypoint AP", 0.5, math.nan, 100)).passed


def test_the_table_says_what_fails_and_json_holds_it_all():
    made = report(Row("keypoints", "input px", Spread.of(VALUES), "max", 1.0), Row("scores", "", Spread.of(VALUES)),
                  accuracy=Accuracy("keypoint AP", 0.5, 0.5, 100), faults=["metadata lie"], notes=["by the way"])
    text = made.table()
    assert "max <= 1" in text and "keypoint AP 0.5000 -> 0.5000 (+0.0000)" in text and "by the way" in text
    assert text.endswith("FAILS: metadata lie\nFAILS: keypoints: max of the differences is 3 input px, more than 1")
    read = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert not read["passed"] and read["failures"] == made.failures()
    assert read["differences"][0]["max"] == 3.0 and read["differences"][1]["limit"] is None


def test_limits_given_stand_in_for_the_usual_ones():
    usual, given = Tolerance.of("int8"), Tolerance.of("int8", px=5.0, max_ap_drop=0.02)
    assert (given.px, given.max_ap_drop, given.statistic) == (5.0, 0.02, usual.statistic)
    assert usual.ap_decides and not given.ap_decides, "who gives a distance wants it kept"
    with pytest.raises(UserError, match="--tolerance -1"):
        Tolerance.of("fp32", px=-1.0)
    with pytest.raises(UserError, match="--max-ap-drop nan"):
        Tolerance.of("fp32", max_ap_drop=math.nan)


def test_int8_is_judged_by_distances_only_where_little_is_labelled():
    assert Tolerance.of("int8").for_labelled(ENOUGH_LABELLED).px == math.inf
    assert Tolerance.of("int8").for_labelled(ENOUGH_LABELLED - 1).px < math.inf
    assert Tolerance.of("fp16").for_labelled(1000) == Tolerance.of("fp16")


def test_a_more_precise_file_is_held_to_more():
    limits = [Tolerance.of(precision) for precision in ("fp32", "fp16", "bf16", "int8")]
    for name in ("px", "score", "curve", "tie", "unmatched", "nms_ties", "max_ap_drop"):
        values = [getattr(each, name) for each in limits]
        if name == "tie":
            values = values[:3]  # of int8 nothing is left to prove
        assert values == sorted(values), name
