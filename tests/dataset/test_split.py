import random

import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.splits.by_name import group_names, split_names

NAMES = [f"{i:03}.jpg" for i in range(100)]


def test_shares_are_exact_for_single_images():
    train, val = split_names(NAMES, 0.8, seed=3)
    assert len(train) == 80 and len(val) == 20
    assert sorted(train + val) == list(range(100))
    assert train == sorted(train) and val == sorted(val)


def test_the_split_is_deterministic_and_does_not_depend_on_order():
    _, val = split_names(NAMES, 0.8, seed=3)
    shuffled = random.Random(0).sample(NAMES, 100)
    _, again = split_names(shuffled, 0.8, seed=3)
    assert {NAMES[i] for i in val} == {shuffled[i] for i in again}
    # The three smallest of sha256("3:000.jpg"), sha256("3:001.jpg"), ...: the same on every machine.
    assert [NAMES[i] for i in split_names(NAMES, 0.97, seed=3)[1]] == ["034.jpg", "041.jpg", "042.jpg"]


def test_another_seed_splits_differently():
    assert split_names(NAMES, 0.8, seed=3) != split_names(NAMES, 0.8, seed=4)


def test_more_images_barely_move_the_others():
    _, val = split_names(NAMES, 0.8)
    _, more = split_names([*NAMES, "x.jpg", "y.jpg"], 0.8)
    assert len(set(val) - set(more)) <= 2


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_neither_side_is_empty(share, count):
    train, val = split_names(NAMES[:count], share)
    assert train and val


@pytest.mark.parametrize(("names", "share"), [(["a"], 0.5), (["a", "b"], 1), ([], 0.5)])
def test_all_in_train(names, share):
    assert split_names(names, share) == (list(range(len(names))), [])


@pytest.mark.parametrize("share", [0, -1, 1.1])
def test_shares_out_of_range(share):
    with pytest.raises(UserError, match="--split"):
        split_names(NAMES, share)


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together(seed):
    groups = [str(i // 10) for i in range(100)]
    train, val = split_names(NAMES, 0.8, seed, groups)
    assert len(val) == 20
    assert not {groups[i] for i in train} & {groups[i] for i in val}


@pytest.mark.parametrize("seed", range(5))
def test_a_huge_group_does_not_end_in_val(seed):
    groups = ["film"] * 95 + [str(i) for i in range(5)]
    train, val = split_names(NAMES, 0.9, seed, groups)
    assert {groups[i] for i in val} == set("01234")


def test_two_groups_of_any_size_go_to_two_sides():
    train, val = split_names(NAMES, 0.9, 0, ["a"] * 60 + ["b"] * 40)
    assert (len(train), len(val)) == (60, 40)


def test_group_names_take_group_1_or_the_match():
    names = ["film1/0001.jpg", "film2/0001.jpg"]
    assert group_names(names, r"^[^/]+") == ["film1", "film2"]
    assert group_names(names, r"/(\d+)") == ["0001", "0001"]


def test_names_without_a_group_are_faults():
    with pytest.raises(FaultsError) as caught:
        group_names(["film1_2.jpg", "x.jpg", "y.jpg"], r"film\d")
    assert [fault.file for fault in caught.value.faults] == ["x.jpg", "y.jpg"]


def test_a_broken_regular_expression():
    with pytest.raises(UserError, match="not a regular expression"):
        group_names(["a"], "(")
