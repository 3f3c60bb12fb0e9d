"""Ids that stay: crossings, occlusion, flicker, false boxes, weak boxes, cameras that move, classes, frames between."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from track_world import CARS, RATE, Frame, box_at, ids_of, keypoints_in

from pose_tools.formats.boxes import iou_xyxy
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.tracking import Tracker, TrackOptions
from pose_tools.inference.tracking.appearance import colour_signature, covered
from pose_tools.inference.tracking.association import assign, keypoint_similarity, sigmas_or_default
from pose_tools.inference.tracking.following import follow_box
from pose_tools.inference.tracking.motion import BoxMotion, Noise


def tracker(**options):
    return Tracker(CARS, RATE, options=TrackOptions(**options))


def crossing(n, gap=0.0):
    """Two cars that meet in frame 30, one looking each way; ``gap`` px between their lanes."""
    return [("right", box_at(100 + 5 * n, 100), False), ("left", box_at(400 - 5 * n, 100 + gap), True)]


def test_similarities_by_hand():
    a, b = np.array([[0, 0, 10, 10.0]]), np.array([[5, 0, 15, 10.0], [20, 20, 30, 30], [0, 0, 10, 10]])
    assert iou_xyxy(a, b)[0] == pytest.approx([50 / 150, 0, 1])
    # One keypoint off by 1 px, sigma 0.05, area 100: exp(-1 / (2 * 0.1^2 * 100)) = exp(-0.5); the other right.
    points = np.array([[[0, 0], [5, 5.0]]])
    moved = points + [[1, 0], [0, 0]]
    for weights, variance, expected in (((1, 1), 0, (1 + np.exp(-0.5)) / 2), ((1, 0), 0, np.exp(-0.5)),
                                        ((1, 0), 1, np.exp(-0.25)), ((0, 0), 0, 0)):
        got = keypoint_similarity(points, moved, np.array([[weights]], float), np.array([100.0]),
                                  np.array([0.05, 0.05]), np.array([float(variance)]))
        assert got[0, 0] == pytest.approx(expected)


def test_a_pair_below_the_least_does_not_keep_others_apart():
    # Over all, (0, 1) and (1, 0) sum to 1.0; with 0.1 forbidden, (0, 1) stands alone.
    first = np.array([[0.85, 0.9], [0.1, 0.0]])
    assert assign(first, first >= 0.2) == [(0, 1)]
    second = np.array([[0.8, 0.7], [0.7, 0.1]])
    assert assign(second, second >= 0.2) == [(0, 1), (1, 0)]
    assert assign(np.zeros((3, 0)), np.zeros((3, 0), bool)) == assign(np.ones((1, 1)), np.zeros((1, 1), bool)) == []


def test_keypoint_sets_without_sigmas_take_cocos_mean():
    assert sigmas_or_default((), 3) == pytest.approx([0.067] * 3)
    assert Tracker(KeypointSet(("a",), ("p",)), 5).detector_threshold == 0.15


def test_two_cars_drive_through_each_other():
    for gap in (0.0, 6.0):
        frames = [Frame(crossing(n, gap)) for n in range(60)]
        assert ids_of(tracker(), frames) == {"right": [1], "left": [2]}


def test_keypoints_tell_who_is_who_where_boxes_do_not():
    """Two cars stop on the same spot and go back: only where they look says that they did not go on."""
    def meet(n):
        x = 150 * np.sin(np.pi * n / 60)
        return [("right", box_at(100 + x, 100), False), ("left", box_at(400 - x, 100), True)]

    frames = [Frame(meet(n)) for n in range(60)]
    assert ids_of(tracker(), frames) == {"right": [1], "left": [2]}
    assert ids_of(tracker(keypoint_share=0.0), frames) != {"right": [1], "left": [2]}


@pytest.mark.parametrize(("hidden", "same"), [(5, True), (20, True), (40, True), (60, False)])
def test_an_object_keeps_its_id_behind_another_for_a_second_and_a_half(hidden, same):
    frames = [Frame([("car", box_at(100 + 2 * n, 100), False)] if not 20 <= n < 20 + hidden else [])
              for n in range(100)]
    assert ids_of(tracker(), frames)["car"] == ([1] if same else [1, 2])


def test_limits_are_in_seconds_and_not_in_frames():
    """The same pause of 1.2 s is 36 frames or 6; a pause of 2 s is too long for both."""
    for rate in (5.0, 30.0):
        for pause, expected in ((1.2, [1]), (2.0, [1, 2])):
            times = [t for t in np.arange(0, 5, 1 / rate) if not 1 < t < 1 + pause]
            by_time, seen = Tracker(CARS, 30.0), set()
            for t in times:
                seen |= set(Frame([("car", box_at(100 + 40 * t, 100), False)]).given_to(by_time, time=t).values())
            assert sorted(seen) == expected


def test_every_third_detection_missing():
    frames = [Frame([("car", box_at(100 + 3 * n, 100), False)] if n % 3 != 2 else []) for n in range(60)]
    assert ids_of(tracker(), frames) == {"car": [1]}


def test_a_wrong_detection_of_one_frame_makes_no_track():
    follower, car = tracker(), ("car", box_at(100, 100), False)
    for n in range(30):
        ghosts = [("ghost", box_at(300 + 37 * n % 200, 300), False)] if n % 4 == 1 else []
        assert set(Frame([car, *ghosts]).given_to(follower)) == {"car"}


def test_an_object_is_one_from_its_second_detection_and_in_the_first_frame_at_once():
    follower = tracker()
    early, late = ("early", box_at(100, 100), False), ("late", box_at(300, 100), False)
    assert Frame([early]).given_to(follower) == {"early": 1}
    assert Frame([early, late]).given_to(follower) == {"early": 1}
    assert Frame([early, late]).given_to(follower) == {"early": 1, "late": 2}


def test_weak_boxes_keep_objects_and_begin_none():
    """The second stage: scores under 0.3 go on with what is known, at 0.14 with nothing."""
    car, other = ("car", box_at(100, 100), False), ("other", box_at(300, 100), False)
    follower = tracker()
    Frame([car]).given_to(follower)
    for score in (0.2, 0.16, 0.2, 0.25) * 20:
        assert Frame([car, other], scores=[score, score]).given_to(follower) == {"car": 1}
    without = Tracker(CARS, RATE, low_score=1.0)
    Frame([car]).given_to(without)
    assert without.detector_threshold == 0.3
    assert Frame([car], scores=[0.31]).given_to(without) == {"car": 1}


@pytest.mark.parametrize("shake", [0, 6, 10])
def test_a_camera_that_pans_and_shakes(shake):
    """8 px a frame, a tenth of a car's length, and jerks of up to 20 px, half its height."""
    rng = np.random.default_rng(3)
    frames = []
    for n in range(60):
        dx, dy = rng.uniform(-shake, shake, 2)
        frames.append(Frame([(i, box_at(100 * i - 8 * n + dx, 100 + dy), False) for i in range(1, 6)]))
    assert ids_of(tracker(), frames) == {i: [i] for i in range(1, 6)}


def test_objects_of_different_classes_are_never_the_same():
    box = box_at(100, 100)
    follower = tracker()
    assert Frame([("car", box, False)], labels=[0]).given_to(follower) == {"car": 1}
    Frame([("truck", box, False)], labels=[1]).given_to(follower)
    assert Frame([("truck", box, False)], labels=[1]).given_to(follower) == {"truck": 2}


def test_who_leaves_the_picture_is_forgotten_and_who_enters_is_new():
    follower = Tracker(CARS, RATE, image_size=(640, 480))
    for n in range(20):
        Frame([("first", box_at(500 + 15 * n, 100), False)] if n < 13 else []).given_to(follower)
    for _ in range(2):
        got = Frame([("second", box_at(600, 100), False)]).given_to(follower)
    assert got == {"second": 2}


def run_ahead(follower, frames, interval, spoil=()):
    """Detector in every ``interval``-th frame; in between keypoints are found wherever boxes are expected."""
    seen, far = {}, 0.0
    for n, objects in enumerate(frames):
        if n % interval == 0:
            names = Frame(objects).given_to(follower)
        else:
            ahead, names = follower.boxes_ahead(), {}
            centres = np.array([box[:2] + box[2:] for _, box, _ in objects]) / 2
            nearest = [int(np.linalg.norm(centres - (box[:2] + box[2:]) / 2, axis=1).argmin()) for box in ahead.boxes]
            points = np.array([keypoints_in(*objects[i][1:]) for i in nearest]).reshape(-1, 4, 2)
            good = np.full((len(nearest), 4), 0.05 if n in spoil else 0.9)
            found = follower.update(ahead.boxes, ahead.scores, ahead.labels, points, good, detected=False)
            for i, number, keep, box in zip(nearest, found.ids, found.keep, found.boxes):
                if keep:
                    names[objects[i][0]] = int(number)
                    far = max(far, abs(box - objects[i][1]).max())
        for name, number in names.items():
            seen.setdefault(name, {})[n] = number
    return seen, far


@pytest.mark.parametrize("interval", [1, 3, 5])
def test_frames_without_a_detector(interval):
    """Boxes in between are those of the objects, to 1 px, while these move 4 px a frame and grow by half."""
    frames = [[(name, box_at(x + 4 * n * way, 60 + 100 * i, 80 + n, 40 + n / 2), way < 0)
               for i, (name, x, way) in enumerate((("a", 100, 1), ("b", 400, -1)))] for n in range(41)]
    seen, far = run_ahead(tracker(), frames, interval)
    assert {name: set(ids.values()) for name, ids in seen.items()} == {"a": {1}, "b": {2}}
    assert all(set(ids) == set(range(41)) for ids in seen.values())
    assert far <= 1.0


def test_an_object_whose_keypoints_collapse_is_lost_until_the_detector_sees_it():
    frames = [[("car", box_at(100 + 2 * n, 100), False)] for n in range(16)]
    seen, _ = run_ahead(tracker(), frames, 5, spoil=(7, 8))
    assert sorted(seen["car"]) == [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15]
    assert set(seen["car"].values()) == {1}


def test_two_looks_at_one_object_are_one():
    """Between detections one car hides the other: keypoints of both boxes are the front car's."""
    follower = tracker()
    for n in range(3):
        Frame([("front", box_at(100, 100), False), ("back", box_at(170 - 10 * n, 100), False)]).given_to(follower)
    ahead = follower.boxes_ahead()
    points = np.array([keypoints_in(box_at(100, 100))] * 2)
    found = follower.update(ahead.boxes, ahead.scores, ahead.labels, points, np.full((2, 4), 0.9), detected=False)
    assert found.ids.tolist() == [1, 0]


def painted(objects, size=(640, 480)):
    """A grey picture in which each (box, BGR) is filled, later ones over earlier ones."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for box, colour in objects:
        left, top, right, bottom = box.round().astype(int)
        image[max(top, 0):bottom, max(left, 0):right] = colour
    return image


RED, BLUE = (40, 40, 200), (200, 60, 40)


def test_colours_by_hand():
    box = box_at(100, 100)
    red, blue = (colour_signature(painted([(box, colour)]), box) for colour in (RED, BLUE))
    assert red @ red == pytest.approx(1)
    assert red @ blue < 0.05
    assert colour_signature(painted([(box * 2, RED)]), box * 2) @ red == pytest.approx(1)
    assert colour_signature(painted([]), box_at(-100, 100)) is None


def test_what_stands_lower_in_the_picture_covers_what_is_behind():
    boxes = np.array([[0, 0, 10, 10], [5, 2, 15, 12], [50, 0, 60, 10.0]])
    nowhere = np.zeros((0, 4))
    # The second box is in front of the first and takes 5 x 8 of its 10 x 10.
    assert covered(boxes, np.ones(3, bool), nowhere) == pytest.approx([0.4, 0, 0])
    assert covered(boxes, np.array([True, False, True]), nowhere) == pytest.approx([0, 0, 0])
    assert covered(boxes, np.zeros(3, bool), np.array([[50, 5, 60, 20.0]])) == pytest.approx([0, 0, 0.5])
    assert covered(boxes[:0], np.zeros(0, bool), nowhere).shape == (0,)


@pytest.mark.parametrize("in_colour", [True, False])
def test_a_car_of_another_colour_does_not_take_over_the_id(in_colour):
    """A red car drives behind a pillar; a blue one, looking as it does, comes out where the red one should."""
    follower = tracker()
    for n in range(50):
        box, colour = box_at(100 + 4 * n, 100), RED if n < 20 else BLUE
        image = painted([(box, colour)]) if in_colour else None
        frame = Frame([("car", box, False)] if not 20 <= n < 35 else [])
        found = follower.update(frame.boxes, frame.box_scores, frame.labels, frame.keypoints, frame.scores, image=image)
    assert found.ids.tolist() == [2 if in_colour else 1]


def test_who_looks_the_other_way_does_not_come_back_as_who_was_away():
    """A car is hidden; another, that looks and drives to the left, is found where the first one must be."""
    follower, right, left = tracker(), [], []
    for n in range(60):
        if n < 20:
            right.append(Frame([("right", box_at(100 + 4 * n, 100), False)]))
        elif n < 30:
            right.append(Frame([]))
        else:
            left.append(Frame([("left", box_at(220 - 4 * (n - 30), 100), True)]))
    assert ids_of(follower, right + left) == {"right": [1], "left": [2]}


def test_who_drives_does_not_come_back_as_who_was_parked():
    """A parked car is missed from when another, which looks as it does, comes out from behind it."""
    def street(n):
        parked = [("parked", box_at(300, 100), False)] if n < 30 or n > 60 else []
        return Frame(parked + ([("drives", box_at(324 + 8 * (n - 31), 100), False)] if n > 30 else []))

    assert ids_of(tracker(), [street(n) for n in range(80)]) == {"parked": [1], "drives": [2]}


def test_who_was_hidden_longer_goes_before_who_was_not_found_where_both_may_be():
    """One drives behind a wall, and comes out beside a parked one that is missed just then."""
    follower, rng = tracker(), np.random.default_rng(0)
    for n in range(90):
        parked = [("parked", box_at(300, 100), False)] if not 46 <= n < 56 else []
        driving = [("drives", box_at(96 + 4 * n, 104, 90), False)] if not 20 <= n < 48 else []
        found = Frame(parked + driving).noisy(rng, 0.01, 0.01).given_to(follower)
        assert found.get("parked", 1) == 1 and found.get("drives", 2) == 2, n
    assert found == {"parked": 1, "drives": 2}


def test_who_came_in_from_the_edge_is_found_again_behind_something():
    """While a car comes in, its box, cut off by the picture's edge, moves half as fast as the car."""
    follower = Tracker(CARS, RATE, image_size=(640, 480))
    for n in range(70):
        whole = box_at(-40 + 6 * n, 100)
        frame = Frame([("car", whole, False)] if 3 <= n < 13 or n >= 48 else [])
        frame.boxes[:, 0] = np.maximum(frame.boxes[:, 0], 0)
        assert set(frame.given_to(follower).values()) <= {1}
    assert frame.given_to(follower) == {"car": 1}


def test_a_wrong_box_does_not_turn_what_comes_after_it_inside_out():
    motion = BoxMotion(box_at(100, 100, 120, 120), Noise())
    motion.advance(1 / RATE, True)
    motion.correct(box_at(100, 100, 120, 40))
    for _ in range(10):
        motion.advance(1 / RATE, True)
    assert motion.place[3] > 20


def test_objects_whose_keypoints_are_unsure_are_told_by_their_boxes():
    """Keypoints at random, with low scores: they say nothing, and must not keep an object from its id."""
    rng, follower = np.random.default_rng(1), tracker()
    for n in range(60):
        frame = Frame([("car", box_at(100 + 3 * n, 100), False)] if not 20 <= n < 35 else [], keypoint_score=0.1)
        frame.keypoints = frame.keypoints + rng.normal(0, 30, frame.keypoints.shape)
        assert set(frame.given_to(follower).values()) <= {1}
    assert frame.given_to(follower) == {"car": 1}


PEOPLE = KeypointSet(("person",), tuple("abcdefgh"), sigmas=(0.067,) * 8)
STANDING = np.array([[0.5, 0.1], [0.3, 0.3], [0.7, 0.3], [0.3, 0.5], [0.7, 0.5], [0.4, 0.7], [0.6, 0.7], [0.5, 0.9]])


@pytest.mark.parametrize("apart", [25, 40])
def test_people_side_by_side_are_two(apart):
    """Of 100 px width, 25 px apart: boxes overlap by 0.6, and both stand alike."""
    follower = Tracker(PEOPLE, RATE)
    for n in range(30):
        boxes = np.array([box_at(100 + 2 * n, 300, 100, 300), box_at(100 + apart + 2 * n, 303, 100, 300)])[:1 + (n > 5)]
        points = np.array([box[:2] + STANDING * (box[2:] - box[:2]) for box in boxes])
        got = follower.update(boxes, np.linspace(0.9, 0.8, len(boxes)), np.zeros(len(boxes), int), points,
                              np.full(points.shape[:2], 0.9))
        assert got.ids.tolist() == ([1] if n <= 5 else [1, 0] if n == 6 else [1, 2])


def test_a_box_of_a_car_and_of_something_beside_it_is_no_second_car():
    """Keypoints in the wider box are those of the car, off by a twelfth of its length."""
    for n in range(10):
        frame = Frame([("car", box_at(100, 100), False), ("both", box_at(108, 98, 104, 48), False)], scores=[0.9, 0.5])
        frame.keypoints[1] = frame.keypoints[0] + (7, 0)
        if n == 0:
            follower = tracker()
        assert frame.given_to(follower) == {"car": 1}


def test_light_that_changes_at_once_changes_no_id():
    follower = tracker()
    for n in range(30):
        box = box_at(100 + 4 * n, 100)
        frame = Frame([("car", box, False)])
        found = follower.update(frame.boxes, frame.box_scores, frame.labels, frame.keypoints, frame.scores,
                                image=painted([(box, (250, 250, 250) if n == 20 else RED)]))
        assert found.ids.tolist() == [1]


def test_one_wrong_box_does_not_take_the_id_of_who_is_away():
    follower = tracker()
    for n in range(20):
        Frame([("car", box_at(100 + 4 * n, 100), False)]).given_to(follower)
    for n in range(20, 40):
        assert Frame([("ghost", box_at(100 + 4 * n, 100), False)] if n == 30 else []).given_to(follower) == {}
    seen = [Frame([("car", box_at(100 + 4 * n, 100), False)]).given_to(follower) for n in range(40, 43)]
    assert seen == [{}, {"car": 1}, {"car": 1}]


def test_two_boxes_of_one_object_are_one():
    follower = tracker()
    for _ in range(5):
        frame = Frame([("car", box_at(100, 100), False), ("again", box_at(104, 102), False)], scores=[0.9, 0.5])
        frame.keypoints[1] = frame.keypoints[0] + 1
        assert frame.given_to(follower) == {"car": 1}


@pytest.mark.parametrize(("score", "ids"), [(0.9, [1]), (0.1, [0])])
def test_what_a_detector_misses_is_shown_where_its_keypoints_are(score, ids):
    follower = tracker()
    for n in range(20):
        Frame([("car", box_at(100 + 4 * n, 100), False)]).given_to(follower)
        assert follower.missed().boxes.shape == (0, 4)
    for n in range(20, 23):
        box = box_at(100 + 4 * n, 100)
        Frame([]).given_to(follower)
        missed = follower.missed()
        assert missed.ids.tolist() == [1] and missed.boxes[0] == pytest.approx(box, abs=1)
        found = follower.update_missed(keypoints_in(box)[None], np.full((1, 4), score))
        assert found.ids.tolist() == ids
    for _ in range(5):
        Frame([]).given_to(follower)
    assert follower.missed().ids.tolist() == []
    with pytest.raises(ValueError, match="missed"):
        follower.update_missed(np.zeros((1, 4, 2)), np.ones((1, 4)))


def test_boxes_of_another_frame_are_refused():
    follower = tracker()
    with pytest.raises(ValueError, match="boxes_ahead"):
        follower.update(np.zeros((1, 4)), np.ones(1), np.zeros(1, int), np.zeros((1, 4, 2)), np.ones((1, 4)), False)
    with pytest.raises(ValueError, match="frame rate"):
        Tracker(CARS, 0)


def test_nothing_at_all_and_keypoints_that_are_nowhere():
    follower = tracker()
    assert Frame([]).given_to(follower) == {}
    assert follower.boxes_ahead().boxes.shape == (0, 4)
    nothing = follower.update(np.zeros((0, 4)), [], [], np.zeros((0, 4, 2)), np.zeros((0, 4)), detected=False)
    assert (nothing.ids.shape, nothing.keep.shape, nothing.boxes.shape) == ((0,), (0,), (0, 4))
    for _ in range(3):
        frame = Frame([("car", box_at(50, 50), False)])
        frame.keypoints[:] = np.nan
        got = frame.given_to(follower)
    assert got == {"car": 1}


@given(st.integers(1, 6), st.floats(0.2, 3), st.floats(-200, 200), st.floats(-200, 200), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_a_followed_box_takes_any_scale_and_shift(points, scale, dx, dy, seed):
    """Where the motion expects the scale, and with three keypoints even where it is far off."""
    rng = np.random.default_rng(seed)
    box, before = np.array([10, 20, 110, 80.0]), rng.uniform((10, 20), (110, 80), (points, 2))
    moved = follow_box(box, before, before * scale + (dx, dy), rng.uniform(0.2, 1, points), scale)
    assert moved == pytest.approx(box * scale + np.array([dx, dy] * 2), abs=1e-6)


def test_a_swapped_keypoint_does_not_move_a_followed_box():
    box = np.array([0, 0, 100, 100.0])
    before = np.array([[10, 10], [90, 10], [10, 90], [90, 90], [50, 50.0]])
    now = before + 5
    now[3] = [200, 20]
    assert follow_box(box, before, now, np.ones(5), 1.0) == pytest.approx(box + 5, abs=12)
    assert follow_box(box, before, before + 5, np.ones(5), 1.0) == pytest.approx(box + 5, abs=1e-9)


@given(st.floats(0.1, 100), st.floats(-3, 3), st.sampled_from([5.0, 25.0, 60.0]))
@settings(max_examples=40, deadline=None)
def test_motion_is_the_same_for_any_resolution_and_finds_the_speed(scale, speed, rate):
    """After two seconds of steady motion the next box is expected to a hundredth of the size."""
    motions = [BoxMotion(box_at(0, 0) * s, Noise()) for s in (1.0, scale)]
    for n in range(1, int(2 * rate)):
        for motion, s in zip(motions, (1.0, scale)):
            motion.advance(1 / rate, True)
            motion.correct((box_at(0, 0) + 50 * speed * n / rate) * s)
    for motion in motions:
        motion.advance(1 / rate, True)
    expected = box_at(0, 0) + 50 * speed * (n + 1) / rate
    assert motions[0].box == pytest.approx(expected, abs=0.6)
    assert motions[1].box == pytest.approx(motions[0].box * scale, rel=1e-6, abs=1e-6 * scale)


def test_a_kalman_step_by_hand():
    """Size 10, noise 0.1: variance 1 at the start, 2 after a second at speed variance 1; gain 2 / 3."""
    motion = BoxMotion(np.array([-5, -5, 5, 5.0]), Noise(measured=0.1, speed=0.1, acceleration=0.0))
    motion.advance(1.0, True)
    assert motion.variance == pytest.approx(2.0)
    motion.correct(np.array([-2, -5, 8, 5.0]))
    assert (motion.place[0], motion.speed[0]) == pytest.approx((2.0, 1.0))
    assert motion.variance == pytest.approx(2 / 3)


@given(st.integers(0, 10 ** 6))
@settings(max_examples=25, deadline=None)
def test_ids_are_unique_and_whole_whatever_comes(seed):
    rng, follower = np.random.default_rng(seed), tracker()
    for n in range(12):
        count = int(rng.integers(0, 5))
        if n and rng.uniform() < 0.4:
            ahead = follower.boxes_ahead()
            boxes, scores, labels, detected = ahead.boxes, ahead.scores, ahead.labels, False
        else:
            low = rng.uniform(0, 100, (count, 2))
            boxes, detected = np.concatenate([low, low + rng.uniform(0, 80, (count, 2))], axis=1), True
            scores, labels = rng.uniform(0, 1, count), rng.integers(0, 2, count)
        keypoints = rng.uniform(0, 180, (len(boxes), 4, 2))
        found = follower.update(boxes, scores, labels, keypoints, rng.uniform(0, 1.4, (len(boxes), 4)), detected)
        assert len(found.ids) == len(found.keep) == len(found.boxes) == len(boxes)
        assert np.isfinite(found.boxes).all()
        assert (found.ids[~found.keep] == 0).all() and len(set(found.ids[found.keep])) == found.keep.sum()
        if detected:
            assert found.boxes == pytest.approx(boxes)
