import math

from pose_tools.report.metrics import keypoint_scores, match_instances, overall


def truth(box, points, image=1, category=1, **more):
    return {"image_id": image, "category_id": category, "bbox": box, "keypoints": points, "iscrowd": 0, **more}


def guess(box, points, score=1.0, image=1, category=1):
    return {"image_id": image, "category_id": category, "bbox": box, "keypoints": points, "score": score}


def test_distances_and_pck_by_hand():
    # Box 100 x 50, so PCK@0.05 allows 5 px and PCK@0.1 allows 10 px.
    annotations = [truth([0, 0, 100, 50], [10, 10, 2, 40, 40, 1, 0, 0, 0])]
    results = [guess([0, 0, 100, 50], [13, 14, 0.9, 40, 48, 0.5, 70, 70, 0.1])]
    a, b, c = keypoint_scores(annotations, results, ["a", "b", "c"])
    assert (a.labelled, a.found, a.mean_px, a.median_px, a.pck) == (1, 1, 5.0, 5.0, (1.0, 1.0))
    assert (b.mean_px, b.pck) == (8.0, (0.0, 1.0))
    assert (c.labelled, c.found, c.pck) == (0, 0, (0.0, 0.0))
    assert math.isnan(c.mean_px)
    total = overall([a, b, c])
    assert (total.labelled, total.found, total.mean_px, total.pck) == (2, 2, 6.5, (0.5, 1.0))


def test_a_missed_instance_counts_as_missed_in_pck():
    annotations = [truth([0, 0, 10, 10], [1, 1, 2]), truth([50, 50, 10, 10], [51, 51, 2])]
    score, = keypoint_scores(annotations, [guess([0, 0, 10, 10], [1, 1, 1])], ["a"])
    assert (score.labelled, score.found, score.mean_px, score.pck) == (2, 1, 0.0, (0.5, 0.5))


def test_matching_takes_the_best_score_first_and_each_once():
    boxes = [truth([0, 0, 10, 10], [1, 1, 2])]
    found = [guess([0, 0, 10, 9], [0, 0, 0], score=0.2), guess([0, 0, 10, 8], [0, 0, 0], score=0.9)]
    assert match_instances(boxes, found) == [(0, 1)]


def test_another_category_another_image_and_crowds_do_not_match():
    boxes = [truth([0, 0, 10, 10], [1, 1, 2], category=2)]
    assert match_instances(boxes, [guess([0, 0, 10, 10], [1, 1, 1], category=1)]) == []
    elsewhere, = keypoint_scores(boxes, [guess([0, 0, 10, 10], [1, 1, 1], image=2, category=2)], ["a"])
    assert (elsewhere.labelled, elsewhere.found) == (1, 0)
    crowd, = keypoint_scores([{**truth([0, 0, 9, 9], [1, 1, 2]), "iscrowd": 1}], [], ["a"])
    assert crowd.labelled == 0
