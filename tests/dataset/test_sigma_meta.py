from pathlib import Path

import pytest

from pose_tools.console import UserError
from pose_tools.dataset.sigmas.estimate import Estimate, KeypointSigma
from pose_tools.dataset.sigmas.meta import check_meta, write_sigmas
from pose_tools.formats.schema import KeypointSet, read_meta

ROOT = Path(__file__).resolve().parents[2]
FACE = KeypointSet(("face", ), ("left", "right", "nose"), (("left", "right"), ), (), (0.05, 0.05, 0.05))


def made(sigmas, names=FACE, enough=True):
    rows = tuple(KeypointSigma(name, 50, 0, s, None, None, None) for name, s in zip(names.keypoints, sigmas))
    return Estimate(names, rows, enough, 1.0)


META = "classes = ('face', )\nkeypoints = ('nose', 'left', 'right')\nswaps = (('left', 'right'), )\n{}\nlast = 1\n"
NEW = "sigmas = (\n    0.031,  # nose\n    0.011,  # left\n    0.021,  # right\n)"


@pytest.mark.parametrize("before, statement, after", [
    ("", "sigmas = (0.05, ) * len(keypoints)", ""),
    ("# größer\n", "sigmas = [\n    .1,\n    .2, .3\n]", "  # by hand, 由人"),
    ("a = 'ä'; ", "sigmas=(1,2,3)", "; b = 2"),
    ("a = 'x\f'\n", "sigmas = tuple(0.1 for _ in keypoints)", ""),
])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_statement_changes(tmp_path, before, statement, after, newline):
    text = META.format(before + statement + after).replace("\n", newline)
    path = tmp_path / "meta.py"
    path.write_bytes(text.encode("utf-8"))
    path.chmod(0o640)
    old = write_sigmas(path, made((0.011, 0.021, 0.031)))
    assert len(old) == 3
    assert path.read_bytes().decode("utf-8") == META.format(before + NEW + after).replace("\n", newline)
    assert read_meta(path).sigmas == (0.031, 0.011, 0.021), "in the order of meta.py"
    assert path.stat().st_mode & 0o777 == 0o640 and [p.name for p in tmp_path.iterdir()] == ["meta.py"]


def test_the_meta_of_the_project(tmp_path):
    source = ROOT / "configs/_base_/carpose/meta.py"
    path = tmp_path / "meta.py"
    path.write_bytes(source.read_bytes())
    names = read_meta(source)
    wanted = tuple(0.02 + 0.001 * k for k in range(8))
    assert write_sigmas(path, made(wanted, names)) == names.sigmas
    assert read_meta(path).sigmas == pytest.approx(wanted)
    values = {}
    exec(path.read_text(encoding="utf-8"), values)
    assert values["dataset_info"]["sigmas"] == pytest.approx(list(wanted))
    lines, olds = path.read_text(encoding="utf-8").splitlines(), source.read_text(encoding="utf-8").splitlines()
    at = olds.index("sigmas = (0.05, ) * len(keypoints)")
    assert lines[:at] == olds[:at] and lines[at + 10:] == olds[at + 1:]


@pytest.mark.parametrize("statement, said", [
    ("", "has no statement `sigmas = ...` of its own"),
    ("sigmas = x = (1, 2, 3)", "has no statement"),
    ("sigmas, x = (1, 2, 3), 4", "has no statement"),
    ("if True:\n    sigmas = (1, 2, 3)", "has no statement"),
    ("sigmas = (1, 2, 3)\nsigmas = (2, 2, 3)", "more than once"),
    ("sigmas = [1, 2, 3]\nsigmas += []", "more than once"),
])
def test_a_meta_that_cannot_be_changed_for_sure(tmp_path, statement, said):
    path = tmp_path / "meta.py"
    path.write_text(META.format(statement))
    text = path.read_text()
    for call in (lambda: check_meta(path), lambda: write_sigmas(path, made((0.011, 0.021, 0.031)))):
        with pytest.raises(UserError, match=said):
            call()
    assert path.read_text() == text


def test_a_meta_that_uses_its_sigmas_otherwise_is_left_alone(tmp_path):
    path = tmp_path / "meta.py"
    path.write_text(META.format("sigmas = [1, 2, 3]\nsigmas.append(sigmas.pop() * 2)"))
    text = path.read_text()
    with pytest.raises(UserError, match="something else in it changes the sigmas"):
        write_sigmas(path, made((0.011, 0.021, 0.031)))
    assert path.read_text() == text and [p.name for p in tmp_path.iterdir()] == ["meta.py"]
    with pytest.raises(UserError, match="too few pairs"):
        write_sigmas(path, made((0.011, 0.021, 0.031), enough=False))
    with pytest.raises(UserError, match="--meta"):
        check_meta(None)


def test_a_linked_meta_stays_a_link(tmp_path):
    (tmp_path / "real.py").write_text(META.format("sigmas = (1, 2, 3)"))
    (tmp_path / "meta.py").symlink_to("real.py")
    write_sigmas(tmp_path / "meta.py", made((0.011, 0.021, 0.031)))
    assert (tmp_path / "meta.py").is_symlink() and read_meta(tmp_path / "real.py").sigmas == (0.031, 0.011, 0.021)
