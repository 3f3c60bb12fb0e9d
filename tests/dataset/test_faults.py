from pose_tools.console import Fault
from pose_tools.dataset.faults import fold_faults


def test_repeats_are_counted_by_kind():
    many = [Fault(f"{i}.json", f"{i}.5 px and 'name {i}'") for i in range(25)]
    folded = fold_faults([*many, Fault("a", "is empty"), Fault("b", "is empty")])
    assert len(folded) == 20 + 1 + 2
    assert str(folded[20]) == "...: and 5 more like this"
    assert [f.file for f in folded[21:]] == ["a", "b"]


def test_as_many_as_the_limit_are_all_kept():
    faults = [Fault("a", "is empty")] * 3
    assert fold_faults(faults, 3) == faults
    assert [f.what for f in fold_faults(faults, 2)] == ["is empty", "is empty", "and 1 more like this"]
