import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.splits.by_name import split_names
from pose_tools.dataset.splits.deal import divide
from pose_tools.dataset.splits.groups import Grouping, make_groups, original_name, video_of
from pose_tools.dataset.splits.report import Division, division_table, imbalances, size_warning

SHARES = st.sampled_from([(0.8, 0.2), (0.7, 0.2, 0.1), (0.2, ) * 5])


def parts_of(counts, shares, seed=0, weights=None):
    names = [f"g{i:03d}" for i in range(len(counts))]
    weights = np.ones(counts.shape[1]) if weights is None else weights
    return divide(np.asarray(counts), weights, shares, names, seed)


def test_groups_that_fit_exactly():
    parts = parts_of(np.array([[5], [3], [2], [4], [6]]), (0.5, 0.5))
    assert sorted([sum(n for n, p in zip([5, 3, 2, 4, 6], parts) if p == part) for part in (0, 1)]) == [10, 10]


def test_every_column_is_shared_out():
    # 20 images in four kinds of 5: with one of each kind in val, every column has its 20 %.
    kinds = np.eye(4, dtype=int)[np.arange(20) % 4]
    parts = parts_of(np.hstack([np.ones((20, 1), int), kinds]), (0.8, 0.2))
    assert kinds[parts == 1].sum(0).tolist() == [1, 1, 1, 1]


def test_what_there_is_once_is_trained_on():
    counts = np.ones((10, 2), int)
    counts[:, 1] = np.arange(10) == 3
    for seed in range(5):
        parts = parts_of(counts, (0.8, 0.2), seed)
        assert parts[3] == 0 and (parts == 1).sum() == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=5, max_size=30), SHARES,
       st.integers(0, 3), st.randoms())
def test_parts_have_groups_and_the_order_does_not_matter(rows, shares, seed, random):
    counts = np.array(rows)
    parts = parts_of(counts, shares, seed)
    assert set(parts) == set(range(len(shares)))
    names = [f"g{i:03d}" for i in range(len(counts))]
    order = list(range(len(counts)))
    random.shuffle(order)
    again = divide(counts[order], np.ones(3), shares, [names[i] for i in order], seed)
    assert again.tolist() == parts[order].tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=25), SHARES)
def test_no_move_of_one_group_and_no_exchange_betters_it(rows, shares):
    counts, wanted = np.array(rows, float), np.array(shares)
    if len(counts) < len(shares):
        return
    parts = parts_of(counts, shares)
    totals = np.maximum(counts.sum(0), 1)

    def cost(parts):
        got = np.stack([counts[parts == p].sum(0) / totals for p in range(len(shares))])
        return ((got - wanted[:, None] * (counts.sum(0) > 0))**2 / wanted[:, None]).sum()

    for i in range(len(counts)):
        for other in range(len(shares)):
            moved = parts.copy()
            moved[i] = other
            if len(set(moved)) == len(shares):
                assert cost(moved) > cost(parts) - 1e-7
        for j in range(i):
            swapped = parts.copy()
            swapped[[i, j]] = parts[[j, i]]
            assert cost(swapped) > cost(parts) - 1e-7


def test_it_beats_chance():
    random = np.random.default_rng(0)
    objects = random.poisson(2, 200)
    counts = np.stack([np.ones(200, int), objects, *(random.binomial(objects, p) for p in (.9, .5, .2, .05))], 1)
    names = [f"g{i:03d}" for i in range(200)]

    def worst(parts):
        return np.abs(counts[parts == 1].sum(0) / counts.sum(0) - 0.2).max()

    ours = [worst(parts_of(counts, (0.8, 0.2), seed)) for seed in range(5)]
    chance = []
    for seed in range(5):
        parts = np.zeros(200, int)
        parts[split_names(names, 0.8, seed)[1]] = 1
        chance.append(worst(parts))
    assert counts[:, 5].sum() == 23 and max(ours) <= 5 / 23 - 0.2 + 1e-9, "as near as 23 objects can come to 20 %"
    assert 2 * max(ours) < min(chance) and 4 * max(ours) < np.mean(chance)


def test_seeds_differ_and_repeat():
    counts = np.ones((30, 1), int)
    found = [parts_of(counts, (0.8, 0.2), seed).tolist() for seed in (0, 1, 0)]
    assert found[0] == found[2] != found[1]


def test_fewer_groups_than_parts():
    with pytest.raises(UserError, match="a single group of images cannot be divided into 2 parts"):
        parts_of(np.ones((1, 1)), (0.8, 0.2))


@pytest.mark.parametrize(("name", "video"), [
    ("1_13_14_mp4-0003_jpg.rf.32646e00c9169450f3d746084bc537b5.jpg", "1_13_14_mp4"),
    ("cam/video_000123.jpg", "cam/video"), ("cam2/000123.png", "cam2"), ("000123.png", "."),
    ("clip frame 7.jpg", "clip"), ("片段_0007.jpg", "片段"), ("portrait.jpg", "portrait"),
])
def test_the_video_of_a_name(name, video):
    assert video_of({"file_name": name}) == video
    assert video_of({"file_name": name, "video_id": 4}) == "video 4"


def test_original_names():
    assert original_name("a/b_jpg.rf.0123abc.jpg") == original_name("a/b.png") == "a/b"
    assert original_name("x.rf.jpg") == "x.rf"


def images(*names):
    return [{"id": i, "file_name": name} for i, name in enumerate(names, 1)]


def test_grouping_by_name_folder_and_video(tmp_path):
    found = images("b/x_2.jpg", "a/x_1.jpg", "b/x_3.jpg", "b/y_1.jpg")
    paths = [tmp_path / image["file_name"] for image in found]
    assert make_groups(found, paths).of == [1, 0, 2, 3]
    by_folder = make_groups(found, paths, "folder")
    assert (by_folder.of, by_folder.names, by_folder.sizes) == ([1, 0, 1, 1], ["a", "b"], [1, 3])
    assert by_folder.notes == ["2 groups by folder: b (3 images), a (1 images)"]
    assert make_groups(found, paths, "video").names == ["a/x", "b/x", "b/y"]
    assert make_groups(found, paths, "name", r"/(.)_").of == [0, 0, 0, 1]
    with pytest.raises(FaultsError, match=r"b/y_1.jpg: the regular expression 'x' is not found"):
        make_groups(found, paths, "name", "x")


def test_versions_of_one_roboflow_picture_stay_together(tmp_path):
    found = images("a_jpg.rf.111.jpg", "b_jpg.rf.333.jpg", "a_jpg.rf.222.jpg")
    paths = [tmp_path / image["file_name"] for image in found]
    grouping = make_groups(found, paths, distance=8)
    assert grouping.of == [0, 1, 0] and grouping.joined == {0}
    assert grouping.notes[0].startswith("versions that Roboflow made of one picture: 2 images, in 1 groups")
    assert make_groups(found, paths).of == [0, 2, 1], "not asked for"


def test_names_of_frames_are_pointed_out(tmp_path):
    found = images("x_mp4-1.jpg", "x_mp4-2.jpg", "z.jpg")
    notes = make_groups(found, [tmp_path] * 3).notes
    assert notes[0].startswith("warning: 2 images seem to be frames of 1 videos (x_mp4)")
    assert make_groups(images("IMG_1.jpg", "IMG_2.jpg"), [tmp_path] * 2).notes == [], "a photographer counts as well"


def division(counts, of_group, joined=()):
    """Two parts, 50 % each."""
    names = [f"g{i}" for i in range(len(counts))]
    of = [group for group, row in enumerate(counts) for _ in range(row[0])]
    columns = [("images", ""), ("class", "cat"), ("labelled", "nose"), ("occluded", "nose")]
    return Division(("train", "val"), np.array([0.5, 0.5]), np.array(of_group), np.array(counts), columns,
                    Grouping(of, names, [], frozenset(joined)))


def test_the_table_and_what_is_off():
    told = division([[4, 0, 4, 0], [3, 12, 3, 0], [1, 0, 1, 0]], [0, 1, 1])
    lines = [line.split() for line in division_table(told).splitlines()]
    assert lines[0] == ["all", "train", "50", "%", "val", "50", "%"]
    assert lines[2:] == [["images", "8", "4", "50", "4", "50"], ["class", "cat", "12", "0", "0", "12", "100"],
                         ["keypoint", "nose", "8", "4", "50", "4", "50"]], "nothing is occluded"
    assert imbalances(told) == ["class cat: train has 0 of 12, wanted 6; all are in one group (g1)"]


def test_a_large_group_is_blamed():
    counts = [[20, 0, 0, 0], *[[1, 0, 0, 0]] * 8]
    told = division(counts, [0, *[1] * 8], joined=[0])
    assert imbalances(told) == ["images: train has 20 of 28, wanted 14; one group (g0), which near-duplicates joined, "
                                "holds 20"]
    assert "near-duplicates joined 20 of 28 images into one group (g0)" in size_warning(told)
    assert size_warning(division(counts, [0, *[1] * 8])) == ""
