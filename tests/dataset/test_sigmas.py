import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.data_set import read_data_set
from pose_tools.dataset.sigmas.ap import Scorer, allowed_px, ap_curve, geometric_mean
from pose_tools.dataset.sigmas.core import CUT, interval, robust_mean
from pose_tools.dataset.sigmas.estimate import Estimate, KeypointSigma, SigmaOptions, coco_person_sigma, estimate_sigmas
from pose_tools.dataset.sigmas.match import compare_annotators, match_labels, match_predictions
from pose_tools.dataset.sigmas.read import Instance, read_labels
from pose_tools.dataset.sigmas.report import read_comparison, sets_to_mark
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, load_coco, save_coco
from pose_tools.formats.schema import KeypointSet

FACE = KeypointSet(("face", ), ("left", "right", "nose"), (("left", "right"), ), (), (0.05, 0.05, 0.05))


def coco(objects, names=FACE, size=(400, 300)):
    """One image for each list of (box ltrb, K points with v); file names 0.png, 1.png and so on."""
    images, annotations = [], []
    for number, listed in enumerate(objects, 1):
        images.append(coco_image(number, f"{number - 1}.png", size))
        annotations += [coco_annotation(len(annotations) + i, number, 1, box, points)
                        for i, (box, points) in enumerate(listed, 1)]
    return {"images": images, "annotations": annotations, "categories": coco_categories(names)}


def faces(random, images=60, noise=(0.0, 0.0, 0.0), truth=None, size=100.0):
    """Faces of area size², one an image, with normal noise of the given standard deviation on either axis, px."""
    where = np.array([[30, 40], [70, 40], [50, 70]]) * size / 100 + 50
    return coco([[((50, 50, 50 + size, 50 + size),
                   [(*(place + random.normal(0, t, 2)), 2) for place, t in zip(where, noise)])]
                 for _ in range(images)])


def annotators(*files, names=FACE):
    return compare_annotators([read_labels(read_data_set([file]), names, file.name) for file in files])


def saved(folder, *files):
    paths = [folder / f"{number}.json" for number in range(len(files))]
    for path, data in zip(paths, files):
        save_coco(path, data)
    return paths


def estimate(tmp_path, *files, **options):
    comparison = annotators(*saved(tmp_path, *files))
    return estimate_sigmas(comparison, FACE, SigmaOptions(**{"between": False, **options}))


# The width of a scatter

def test_the_robust_mean_by_hand():
    # The median 1 gives a start of 1.44; the cut at 6.9 times that holds the ones and not the thousand.
    values = np.array([1.0, 1, 1, 1, 1000])
    corrected = 1 - CUT * 0.001 / 0.999
    assert math.isclose(CUT, math.log(1000))
    assert robust_mean(values, np.ones((1, 5)))[0] == pytest.approx(1 / corrected)
    assert robust_mean(values, np.array([[1.0, 1, 1, 1, 0]]))[0] == pytest.approx(1 / corrected)
    assert robust_mean(values[:2] * [1, 3], np.array([[3.0, 1.0]]))[0] == pytest.approx(1.5 / corrected)
    assert np.isnan(robust_mean(values, np.zeros((1, 5)))[0])
    # Seen from the mean of all, 8.6, nothing would be far away.
    assert robust_mean(np.array([1.0] * 6 + [20] * 4), np.ones((1, 10)))[0] == pytest.approx(1 / corrected)
    assert robust_mean(np.array([0.0, 0, 0, 5]), np.ones((1, 4)))[0] == 0


@pytest.mark.parametrize("bad", [0, 0.02, 0.1])
def test_the_robust_mean_is_right_in_spite_of_gross_errors(bad):
    random = np.random.default_rng(1)
    values = random.exponential(3.0, (200, 400))
    wrong = random.random(values.shape) < bad
    values[wrong] = random.uniform(60, 3000, wrong.sum())
    means = [robust_mean(row, np.ones((1, 400)))[0] for row in values]
    assert np.mean(means) == pytest.approx(3.0, rel=0.01)
    # The mean of n exponential values has a spread of 1 / sqrt(n), 5 % here; nothing can do better.
    assert np.std(means) / 3.0 < 0.06


@pytest.mark.slow
def test_intervals_hold_the_true_value_as_often_as_they_say():
    random = np.random.default_rng(5)
    held = 0
    for _ in range(300):
        # Three values of each of 12 images, and an image's blur makes all of its values larger or smaller.
        blur = random.gamma(8, 1 / 8, 12).repeat(3)
        values = random.exponential(1.0, 36) * blur
        low, high = interval(values, np.ones(36), np.arange(36) // 3, rounds=400)
        held += low <= 1 <= high
    assert 0.90 <= held / 300 <= 0.99


def test_one_image_has_no_interval():
    assert interval(np.array([1.0, 2.0]), np.ones(2), np.array([7, 7])) is None
    assert interval(np.array([]), np.array([]), np.array([], int)) is None


# What sigma is

def test_sigma_is_the_mean_square_error_in_the_plane_about_the_true_position(tmp_path):
    random = np.random.default_rng(2)
    noise = (1.0, 1.0, 4.0)  # px on either axis, objects of area 100²
    result = estimate(tmp_path, faces(random, 1000, noise), faces(random, 1000, noise))
    assert [row.sigma for row in result.rows] == pytest.approx(np.sqrt(2) * np.array(noise) / 100, rel=0.05)
    assert all(row.low < math.sqrt(2) * t / 100 < row.high for row, t in zip(result.rows, noise))
    assert result.scale == 100 and result.enough


def test_a_third_annotator_does_not_change_what_is_measured(tmp_path):
    random = np.random.default_rng(3)
    noise = (2.0, 2.0, 1.0)
    two, three = (estimate(tmp_path, *(faces(random, 800, noise) for _ in range(n))) for n in (2, 3))
    assert three.rows[0].pairs == 3 * two.rows[0].pairs
    for result in (two, three):
        assert [row.sigma for row in result.rows] == pytest.approx(np.sqrt(2) * np.array(noise) / 100, rel=0.05)
    assert three.rows[2].high - three.rows[2].low < two.rows[2].high - two.rows[2].low


def test_the_mean_square_of_three_is_the_sum_about_their_mean_over_two(tmp_path):
    xs = (10.0, 13.0, 19.0)  # mean 14: 16 + 1 + 25 = 42, over n - 1 = 21, over area 100² = 0.0021
    files = [coco([[((0, 0, 100, 100), [(x, 50, 2), (x, 50, 2), (x, 50, 2)])]]) for x in xs]
    result = estimate(tmp_path, *files)
    assert result.rows[0].rms == pytest.approx(math.sqrt(0.0021))


def test_objects_count_by_how_many_labelled_them(tmp_path):
    # Two who lie 10 apart: 25 + 25 about their mean, one degree of freedom; and the three of above: 42, two.
    files = [coco([[((0, 0, 100, 100), [(x, 50, 2)] * 3)] for x in xs]) for xs in ((10, 10), (20, 13), (19, ))]
    files[2]["images"][0]["file_name"] = "1.png"
    result = estimate(tmp_path, *files)
    assert result.rows[0].pairs == 4
    assert result.rows[0].rms == pytest.approx(math.sqrt((50 + 42) / (1 + 2) / 100 ** 2))


def test_between_annotators_it_is_larger_by_the_root_of_two(tmp_path):
    random = np.random.default_rng(4)
    files = [faces(random, 50, (1, 1, 2)) for _ in range(2)]
    about, between = estimate(tmp_path, *files), estimate(tmp_path, *files, between=True)
    for a, b in zip(about.rows, between.rows):
        assert (b.sigma, b.low, b.high, b.rms) == pytest.approx(np.sqrt(2) * np.array((a.sigma, a.low, a.high, a.rms)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10 ** 6), st.floats(0.2, 20))
def test_neither_the_order_of_annotations_nor_the_size_of_pictures_matters(tmp_path_factory, seed, factor):
    random = np.random.default_rng(seed)
    files = [faces(random, 12, (1, 2, 3)) for _ in range(2)]
    folder = tmp_path_factory.mktemp("sigmas")
    before = estimate(folder, *files, min_pairs=5)
    larger = [json.loads(json.dumps(data)) for data in files]
    for data in larger:
        random.shuffle(data["annotations"])
        for image in data["images"]:
            image.update(width=400 * factor, height=300 * factor)
        for ann in data["annotations"]:
            ann["bbox"] = [value * factor for value in ann["bbox"]]
            ann["area"] *= factor ** 2
            ann["keypoints"] = [v if i % 3 == 2 else v * factor for i, v in enumerate(ann["keypoints"])]
    after = estimate(folder, *larger, min_pairs=5)
    assert [row.sigma for row in after.rows] == pytest.approx([row.sigma for row in before.rows], rel=1e-6)


# Gross errors, and what is told

def test_swapped_points_are_listed_and_do_not_count(tmp_path):
    random = np.random.default_rng(6)
    first, second = (faces(random, 100, (1, 1, 1)) for _ in range(2))
    for annotation in second["annotations"][:5]:
        points = annotation["keypoints"]
        points[:3], points[3:6] = points[3:6], points[:3]
    result = estimate(tmp_path, first, second)
    assert result.rows[0].sigma == pytest.approx(math.sqrt(2) / 100, rel=0.1) and result.rows[0].rms > 0.05
    assert [row.outliers for row in result.rows] == [5, 5, 0]
    assert {found.image for found in result.disagreements} == {f"{i}.png" for i in range(5)}
    times = [found.times for found in result.disagreements]
    assert times == sorted(times, reverse=True) and times[0] > times[-1] > 10
    worst = result.disagreements[0]
    assert worst.file == tmp_path / "1.json" and set(worst.keypoints) == {"left", "right"}
    assert "left" in worst.what and "(there is its right)" in worst.what and worst.px[0] == pytest.approx(40, abs=5)
    assert "annotation 1 in 0.png of " in next(f.what for f in result.disagreements if f.image == "0.png")


def test_left_and_right_share_a_sigma_unless_told_otherwise(tmp_path):
    random = np.random.default_rng(7)
    files = [faces(random, 300, (1, 3, 1)) for _ in range(2)]
    together, apart = estimate(tmp_path, *files), estimate(tmp_path, *files, by_side=True)
    assert together.rows[0].sigma == together.rows[1].sigma and together.rows[0].with_names == ("right", )
    assert apart.rows[1].sigma == pytest.approx(3 * apart.rows[0].sigma, rel=0.15)
    assert together.rows[2].with_names == ()


def test_left_and_right_are_known_by_name_where_the_file_does_not_say(tmp_path):
    data = faces(np.random.default_rng(0), 3)
    del data["categories"][0]["swap"]
    _, names, _ = read_comparison([*saved(tmp_path, data), tmp_path / "0.json"], [], None)
    assert names.swaps == (("left", "right"), )


def test_a_keypoint_with_few_pairs_gets_the_sigma_of_all(tmp_path):
    random = np.random.default_rng(8)
    files = [faces(random, 40, (1, 1, 1)) for _ in range(2)]
    for annotation in files[0]["annotations"][20:]:
        annotation["keypoints"][6:9] = [0, 0, 0]
        annotation["num_keypoints"] = 2
    result = estimate(tmp_path, *files)
    assert result.rows[2].pairs == 20 and result.rows[2].with_names == ("left", "right") and result.enough
    assert any("fewer than 30 pairs" in note and note.endswith("nose") for note in result.notes)
    assert estimate(tmp_path, *files, min_pairs=20).rows[2].with_names == ()


def test_too_few_pairs_are_said_to_be(tmp_path):
    random = np.random.default_rng(9)
    result = estimate(tmp_path, *(faces(random, 4, (1, 1, 1)) for _ in range(2)))
    assert not result.enough and any(note.startswith("only 12 pairs") for note in result.notes)
    assert any(note.startswith("the points are from 4 images") for note in result.notes)


def test_a_floor(tmp_path):
    random = np.random.default_rng(10)
    result = estimate(tmp_path, *(faces(random, 50, (1, 1, 4)) for _ in range(2)), floor=0.025)
    assert [row.floored for row in result.rows] == [True, True, False]
    assert result.sigmas[:2] == (0.025, 0.025) and result.rows[0].low < 0.025


def test_copies_tell_nothing(tmp_path):
    random = np.random.default_rng(11)
    data = faces(random, 40, (1, 1, 1))
    with pytest.raises(UserError, match="half of the points of left, right, nose are in exactly the same place"):
        estimate(tmp_path, data, data)
    other = faces(random, 40, (1, 1, 1))
    other["annotations"][:12] = data["annotations"][:12]
    assert any("30% of the points are in exactly the same place" in n for n in estimate(tmp_path, data, other).notes)


def test_points_put_elsewhere_on_purpose_are_told_from_noise(tmp_path):
    random = np.random.default_rng(12)
    first, second = (faces(random, 60, (1, 1, 1)) for _ in range(2))
    for annotation in second["annotations"]:
        annotation["keypoints"][7] += 4  # the nose, 4 px down of 100
    told = [note for note in estimate(tmp_path, first, second).notes if "elsewhere" in note]
    assert len(told) == 1 and "the second annotator puts nose elsewhere" in told[0] and "+0.04" in told[0]


def test_coco_names_are_known():
    assert coco_person_sigma("left_ear") == coco_person_sigma("Right-Ear") == 0.035
    assert coco_person_sigma("nose") == 0.026
    assert [coco_person_sigma(name) for name in ("left_nose", "ear", "left-front-tire")] == [None] * 3


# Which object is which

def instance(box, points, category="face", score=1.0):
    return Instance(Path("f"), "w", 1, category, box, box[2] * box[3], np.array(points, float), score=score)


def test_objects_in_one_box_are_told_apart_by_their_points():
    box = (0, 0, 100, 100)
    first = [instance(box, [(10, 10, 2)]), instance(box, [(90, 90, 2)])]
    second = [instance((5, 0, 100, 100), [(88, 90, 2)]), instance((0, 5, 100, 100), [(12, 10, 2)])]
    assert match_labels(first, second) == [(0, 1), (1, 0)]


def test_other_classes_and_far_boxes_are_no_match():
    a = instance((0, 0, 10, 10), [(1, 1, 2)])
    assert match_labels([a], [instance((0, 0, 10, 10), [(1, 1, 2)], "dog")]) == []
    assert match_labels([a], [instance((6, 0, 10, 10), [(1, 1, 2)])]) == []
    # The only allowed pair is made even where an assignment without it looks cheaper.
    far = instance((50, 0, 10, 10), [(51, 1, 2)])
    assert match_labels([a, far], [instance((52, 0, 10, 10), [(9, 9, 2)])]) == [(1, 0)]
    assert match_labels([], [a]) == []


def test_the_best_scored_prediction_is_taken_not_the_nearest():
    truth = [instance((0, 0, 10, 10), [(1, 1, 2)])]
    near = instance((0, 0, 10, 10), [(1, 1, .9)], score=0.4)
    best = instance((1, 0, 10, 10), [(8, 8, .9)], score=0.8)
    assert match_predictions(truth, [near, best]) == [(0, 1)]


def test_images_are_matched_by_name_in_any_folder(tmp_path):
    random = np.random.default_rng(13)
    first, second = (faces(random, 40, (1, 1, 1)) for _ in range(2))
    for image in second["images"]:
        image["file_name"] = f"theirs\\{image['file_name']}"
        image["id"] += 1000
    for annotation in second["annotations"]:
        annotation["image_id"] += 1000
    comparison = annotators(*saved(tmp_path, first, second))
    assert comparison.images == comparison.objects == len(comparison.matches) == 40
    for image in second["images"]:
        image["file_name"] = f"x{image['id']}.png"
    with pytest.raises(UserError, match="no image is in two of the data sets"):
        annotators(*saved(tmp_path, first, second))


def test_keypoints_are_put_in_order_by_name(tmp_path):
    random = np.random.default_rng(14)
    first, second = (faces(random, 60, (1, 1, 2)) for _ in range(2))
    plain = estimate(tmp_path, first, second)
    second["categories"][0]["keypoints"] = ["nose", "right", "left"]
    for annotation in second["annotations"]:
        left, right, nose = (annotation["keypoints"][i:i + 3] for i in (0, 3, 6))
        annotation["keypoints"] = [*nose, *right, *left]
    assert estimate(tmp_path, first, second).rows == plain.rows


def test_all_faults_come_at_once(tmp_path):
    random = np.random.default_rng(15)
    first, second = (faces(random, 3, (1, 1, 1)) for _ in range(2))
    first["annotations"][0]["area"] = 0
    first["annotations"][1]["keypoints"].append(1)
    second["categories"][0]["keypoints"] = ["left", "right", "snout"]
    second["images"][1]["file_name"] = "0.png"
    with pytest.raises(FaultsError) as error:
        read_comparison(saved(tmp_path, first, second), [], None)
    said = str(error.value)
    for part in ("area is 0", "is not a list of x, y, v triples", "has no keypoint 'nose'",
                 "keypoint 'snout' is not in the keypoint set", "is the same file as image 1"):
        assert part in said


def test_one_name_and_two_sizes(tmp_path):
    random = np.random.default_rng(16)
    first, second = (faces(random, 3, (1, 1, 1)) for _ in range(2))
    second["images"][2].update(width=200)
    with pytest.raises(FaultsError, match="image 2.png: is 200x300 px; in 0.json it is 400x300"):
        annotators(*saved(tmp_path, first, second))


def test_objects_without_keypoints_may_be_faulty(tmp_path):
    random = np.random.default_rng(17)
    files = [faces(random, 40, (1, 1, 1)) for _ in range(2)]
    files[0]["annotations"].append({"id": 999, "image_id": 1, "category_id": 1, "bbox": [0, 0, 0, 0], "area": 0})
    files[0]["categories"].append({"id": 2, "name": "background"})
    assert len(annotators(*saved(tmp_path, *files)).matches) == 40


# Predictions

def results(data, random, noise=3.0, score=0.0):
    """What a model with normal errors would have written."""
    found = []
    for ann in data["annotations"]:
        if not any(ann.get("keypoints", ())[2::3]):
            continue
        points = np.array(ann["keypoints"], float).reshape(-1, 3)
        points[:, :2] += random.normal(0, noise, (len(points), 2))
        points[:, 2] = score  # which may be 0, and then the point is still where it is
        found.append({"image_id": ann["image_id"], "category_id": ann["category_id"], "bbox": ann["bbox"],
                      "keypoints": points.ravel().tolist(), "score": float(random.random())})
    return found


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_residuals_hold_both_errors(tmp_path):
    random = np.random.default_rng(18)
    data = faces(random, 800, (3, 3, 3))
    truth = faces(random, 800)
    predicted = write_json(tmp_path / "r.json", results(truth, random, 4.0))
    comparison, names, meta = read_comparison(saved(tmp_path, data), [predicted], None)
    result = estimate_sigmas(comparison, names)
    assert meta is None and not comparison.repeated
    # 3 px of the annotator and 4 of the model make 5 on either axis.
    assert [row.sigma for row in result.rows] == pytest.approx([math.sqrt(2) * 5 / 100] * 3, rel=0.05)
    assert "upper bound" in result.notes[0]


def test_folds_and_their_files(tmp_path):
    random = np.random.default_rng(19)
    data = faces(random, 40, (1, 1, 1))
    found = results(data, random)
    halves = [write_json(tmp_path / f"r{i}.json", [r for r in found if r["image_id"] % 2 == i]) for i in (0, 1)]
    [path] = saved(tmp_path, data)
    whole, _, _ = read_comparison([path], halves, None)
    assert whole.images == len(whole.matches) == 40 and whole.skipped == 0
    half, _, _ = read_comparison([path], halves[:1], None)
    assert half.images == 20 and half.skipped == 20
    with pytest.raises(FaultsError, match="image 0.png: has results in .*r1.json, too; one of the models was trained"):
        read_comparison([path], [halves[1], halves[1]], None)
    # A file a fold, with ids of its own.
    parts = []
    for fold in (0, 1):
        images = [image for image in data["images"] if image["id"] % 2 == fold]
        ids = {image["id"]: number for number, image in enumerate(images, 1)}
        part = {**data, "images": [{**image, "id": ids[image["id"]]} for image in images],
                "annotations": [{**a, "image_id": ids[a["image_id"]]} for a in data["annotations"]
                                if a["image_id"] in ids]}
        parts.append(tmp_path / f"fold{fold}.json")
        save_coco(parts[-1], part)
        write_json(halves[fold], [{**r, "image_id": ids[r["image_id"]]} for r in found if r["image_id"] in ids])
    apart, _, _ = read_comparison(parts, halves, None)
    assert estimate_sigmas(apart, FACE).sigmas == estimate_sigmas(whole, FACE).sigmas
    with pytest.raises(FaultsError, match="is in another of the data sets"):
        read_comparison([parts[0], parts[0]], [halves[0], halves[0]], None)


@pytest.mark.parametrize("content, said", [
    ("[", "is not JSON"),
    ("{}", "is not a list of COCO results"),
    ("[]", "holds no results"),
    ('[{"image_id": 99, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1}]', "image_id 99 is not in the data set"),
    ('[{"image_id": [1], "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1}]', "must be numbers or strings"),
    ('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1}]', "has no keypoints; these are a detector"),
    ('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1, "keypoints": [1, 1, 1]}]',
     "has 1 keypoints; expected 3"),
    ('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1, "keypoints": [1, 1, 1, 1, 1, 1, 1, 1, 1]}]',
     "no prediction overlaps a labelled object"),
])
def test_results_that_cannot_be_used(tmp_path, content, said):
    paths = saved(tmp_path, faces(np.random.default_rng(0), 3))
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(UserError, match=said):
        read_comparison(paths, [tmp_path / "r.json"], None)


def test_sources_that_do_not_fit(tmp_path):
    paths = saved(tmp_path, faces(np.random.default_rng(0), 3), faces(np.random.default_rng(1), 3))
    for sources, predictions, said in ((paths[:1], [], "name a second annotation"),
                                       (paths, [tmp_path / "r"] * 3, "one data set for all results"),
                                       (paths[:1], [tmp_path / "no.json"], "no such file"),
                                       ([tmp_path / "no.json", *paths], [], "no such file")):
        with pytest.raises(UserError, match=said):
            read_comparison(sources, predictions, None)


def test_one_id_for_two_images(tmp_path):
    random = np.random.default_rng(20)
    train, val = (faces(random, 3) for _ in range(2))
    for image in val["images"]:
        image["file_name"] = f"val{image['file_name']}"
    for split, data in (("train", train), ("val", val)):
        save_coco(tmp_path / f"{split}_coco.json", data)
    predicted = write_json(tmp_path / "r.json", results(val, random))
    with pytest.raises(FaultsError, match="image_id 1 stands for different images"):
        read_comparison([tmp_path], [predicted], None)
    comparison, _, _ = read_comparison([tmp_path / "val_coco.json"], [predicted], None)
    assert comparison.images == 3


# AP

def reference_ap(path, predicted, sigmas):
    """COCO's AP as mmpose has it computed."""
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    truth = COCO(str(path))
    evaluation = COCOeval(truth, truth.loadRes(str(predicted)), "keypoints", np.array(sigmas), True)
    evaluation.params.useSegm = None
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0]


def another_reference_ap(path, predicted, sigmas):
    """COCO's AP as COCO computes it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(path))
    evaluation = COCOeval(truth, truth.loadRes(str(predicted)), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(sigmas)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0]


def crowded(random, images=12):
    """Up to four objects an image, some of them crowds, some unlabelled or in part."""
    def point(x):
        return x + random.uniform(0, 80), random.uniform(10, 100), int(random.integers(0, 3))

    data = coco([[((60 * i, 10, 60 * i + 80, 100), [point(60 * i) for _ in range(3)])
                  for i in range(random.integers(1, 5))] for _ in range(images)])
    for annotation in data["annotations"]:
        annotation["iscrowd"] = int(random.random() < 0.1)
        annotation["area"] *= random.uniform(0.3, 1)
    return data


@pytest.mark.parametrize("seed", range(3))
def test_ap_is_that_of_mmpose(tmp_path, seed):
    random = np.random.default_rng(seed)
    data = crowded(random)
    found = results(data, random, 6.0, 0.9)
    found += [{**result, "score": result["score"] / 2} for result in results(data, random, 30.0, 0.9)]
    # xtcocotools, unlike pycocotools, leaves out what has no point with a score.
    unscored = results(data, random, 9.0, 0.0)
    [path], predicted = saved(tmp_path, data), write_json(tmp_path / "r.json", found + unscored)
    comparison, names, _ = read_comparison([path], [predicted], None)
    scorer, scored = Scorer(comparison), write_json(tmp_path / "scored.json", found)
    for sigmas in ((0.01, 0.01, 0.01), (0.05, 0.05, 0.05), (0.02, 0.1, 0.3)):
        wanted = reference_ap(path, predicted, sigmas)
        assert wanted < 1 and scorer.ap(sigmas) == pytest.approx(wanted, abs=1e-12)
        assert another_reference_ap(path, scored, sigmas) == pytest.approx(wanted, abs=1e-12)
    assert wanted > 0.1


def test_a_second_annotator_is_scored_on_what_both_labelled(tmp_path):
    random = np.random.default_rng(21)
    first, second = (faces(random, 30, (0.1, 0.1, 0.1)) for _ in range(2))
    for annotation in second["annotations"]:
        annotation["keypoints"][6:9], annotation["num_keypoints"] = [0, 0, 0], 2  # no nose
    second["annotations"] = second["annotations"][:20]
    assert Scorer(annotators(*saved(tmp_path, first, second))).ap((0.05, ) * 3) == pytest.approx(1)


def test_the_curve_and_its_marks(tmp_path):
    random = np.random.default_rng(22)
    comparison = annotators(*saved(tmp_path, *(faces(random, 40, (2, 2, 2)) for _ in range(2))))
    result = estimate_sigmas(comparison, FACE)
    sets = sets_to_mark(result)
    assert list(sets) == ["estimated", "now", "1/3 (Ultralytics)"]
    curve = ap_curve(Scorer(comparison), sets, 9)
    assert (np.diff(curve.ap) >= 0).all() and curve.ap[0] < 0.4 and curve.ap[-1] == pytest.approx(1)
    assert curve.marks["1/3 (Ultralytics)"] == pytest.approx((1 / 3, 1))
    centre = curve.marks["estimated"][0]
    assert centre == pytest.approx(geometric_mean(result.sigmas)) and curve.sigmas[0] == pytest.approx(centre / 4)
    assert curve.sigmas[-1] > 1 / 3, "wide enough for all marks"
    assert curve.as_json()["curve"][0]["sigma"] == curve.sigmas[0]


def test_seventeen_points_are_scored_by_ultralytics_as_persons():
    names = KeypointSet(("x", ), tuple(map(str, range(17))))
    row = KeypointSigma("x", 0, 0, 0.1, None, None, None)
    sets = sets_to_mark(Estimate(names, (row, ) * 17, True, 1.0))
    assert list(sets) == ["estimated", "COCO's persons"]
    assert sets["COCO's persons"] == [.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107,
                                      .087, .087, .089, .089]


@given(st.floats(0.001, 1), st.floats(1, 1000), st.floats(0.01, 0.999))
def test_the_allowed_error_gives_that_oks(sigma, scale, oks):
    d = allowed_px(sigma, scale, oks)
    assert math.exp(-d ** 2 / (2 * scale ** 2 * (2 * sigma) ** 2)) == pytest.approx(oks)


def test_the_allowed_error_by_hand():
    # 100 px * 2 * 0.05 * sqrt(2 ln 2)
    assert allowed_px(0.05, 100, 0.5) == pytest.approx(11.774, abs=1e-3)


# Real labels, and a second annotator made up

def second_annotator(data, sigmas, random):
    """Moves every labelled point so that the two lie sqrt(2) sigma apart, as two annotators of that sigma do."""
    copy = json.loads(json.dumps(data))
    for annotation in copy["annotations"]:
        points = np.array(annotation["keypoints"], float).reshape(-1, 3)
        step = random.normal(0, 1, (len(points), 2)) * np.array(sigmas)[:, None] * math.sqrt(annotation["area"])
        points[:, :2] += step * (points[:, 2:] > 0)
        annotation["keypoints"] = points.ravel().tolist()
    random.shuffle(copy["annotations"])
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("which", ["wheels", "badminton"])
def test_the_noise_of_a_made_up_annotator_of_real_objects_is_found(real_data, tmp_path, which):
    from pose_tools import labelme2coco, yolo2coco

    folder = tmp_path / which
    if which == "wheels":
        assert labelme2coco.main([str(real_data / "wheels_labelme"), str(folder), "--split", "1"]) == 0
    else:
        assert yolo2coco.main([str(real_data / "badminton_yolo"), str(folder)]) == 0
    data_set = read_data_set([folder])
    names = data_set.sides["train"]["categories"][0]["keypoints"]
    sigmas = np.geomspace(0.01, 0.06, len(names))
    random = np.random.default_rng(0)
    again = tmp_path / "again"
    for split, path in data_set.files.items():
        save_coco(again / path.name, second_annotator(load_coco(path), sigmas, random))
        assert split in ("train", "val", "test")
    comparison, keypoint_set, _ = read_comparison([folder, again], [], None)
    result = estimate_sigmas(comparison, keypoint_set, SigmaOptions(by_side=True, between=False))
    total = sum(len(side["annotations"]) for side in data_set.sides.values())
    assert len(comparison.matches) == comparison.objects == total
    held = [row.low <= sigma <= row.high for row, sigma in zip(result.rows, sigmas)]
    assert sum(held) >= len(held) - 2, list(zip(names, sigmas, result.rows))
    assert [row.sigma for row in result.rows] == pytest.approx(sigmas, rel=0.35)


def test_between_two_annotators_is_the_default():
    assert SigmaOptions().between, "as COCO's sigmas are, and as residuals of a model compare"
