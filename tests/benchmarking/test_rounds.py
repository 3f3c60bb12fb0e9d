import time

import pytest

from pose_tools.benchmarking.rounds import busy_note, spread_of, summary_of, time_calls


def test_percentiles_and_throughput_by_hand():
    # Calls of 1, 2, 3, 4 and 5 ms in two rounds; two things a call.
    found = summary_of([[0.001, 0.002, 0.003], [0.004, 0.005]], items=2)
    assert found["calls"] == 5
    assert found["p50_ms"] == pytest.approx(3)
    assert found["p90_ms"] == pytest.approx(4.6)  # 0.9 * 4 = 3.6 steps: between the fourth and the fifth
    assert found["p99_ms"] == pytest.approx(4.96)
    # First round: 3 calls in 6 ms, 1000 things a second; second: 2 in 9 ms, 444.4.
    assert found["items_per_s"] == pytest.approx((1000 + 4 / 0.009) / 2)
    assert found["spread"] == pytest.approx((4.5 - 2) / 3.25)


def test_rounds_alike_have_no_spread():
    assert spread_of([2.0]) == 0
    assert spread_of([2.0, 2.0, 2.0]) == 0
    assert spread_of([1.0, 2.0, 3.0]) == 1


def test_a_call_is_timed_as_long_as_asked_for_and_often_enough():
    calls = []
    assert len(time_calls(lambda: calls.append(1), seconds=0, fewest=4)) == 4 == len(calls)
    start = time.perf_counter()
    taken = time_calls(lambda: time.sleep(0.004), seconds=0.02, fewest=1)
    assert time.perf_counter() - start >= 0.02
    assert all(each >= 0.004 for each in taken)


def test_care_is_asked_for_where_there_is_reason():
    assert busy_note({"a": 0.05}, [0.01, None, 0.02]) == ""
    assert busy_note({}, [None]) == ""
    note = busy_note({"a": 0.05, "b": 0.5, "c": 0.3}, [0.0, 0.4, 0.6])
    assert "other processes took 40% of the machine" in note
    assert "2 of 3 figures differ by more than 20% (most, by 50%: b)" in note
