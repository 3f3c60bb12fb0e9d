import os

import pytest

from pose_tools.console import UserError
from pose_tools.console.folder import new_folder


def entries(folder):
    return sorted(os.listdir(folder))


def test_a_new_folder_appears_whole(tmp_path):
    with new_folder(tmp_path / "deep/data") as work:
        (work / "a").write_text("1")
        assert not (tmp_path / "deep/data").exists()
    assert entries(tmp_path / "deep/data") == ["a"] and entries(tmp_path / "deep") == ["data"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_nothing_is_there(tmp_path, error):
    with pytest.raises(error), new_folder(tmp_path / "deep/data") as work:
        (work / "a").write_text("1")
        raise error
    assert entries(tmp_path) == []


def test_after_an_error_the_old_one_is_there(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/old").write_text("1")
    with pytest.raises(ValueError), new_folder(tmp_path / "data", overwrite=True):
        raise ValueError
    assert entries(tmp_path) == ["data"] and entries(tmp_path / "data") == ["old"]


def test_overwrite_replaces_all(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/old").write_text("1")
    with new_folder(tmp_path / "data", overwrite=True) as work:
        (work / "new").write_text("2")
        assert entries(tmp_path / "data") == ["old"]
    assert entries(tmp_path) == ["data"] and entries(tmp_path / "data") == ["new"]


def test_when_the_swap_fails_the_old_one_comes_back(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/old").write_text("1")
    rename, calls = os.rename, []

    def fail_second(a, b):
        calls.append(a)
        if len(calls) == 2:
            raise OSError("busy")
        rename(a, b)

    monkeypatch.setattr(os, "rename", fail_second)
    with pytest.raises(OSError), new_folder(tmp_path / "data", overwrite=True):
        pass
    assert entries(tmp_path) == ["data"] and entries(tmp_path / "data") == ["old"]


def test_contents_are_not_lost_without_overwrite(tmp_path):
    (tmp_path / "data").mkdir()
    with new_folder(tmp_path / "data") as work:
        (work / "a").write_text("1")
    with pytest.raises(UserError, match="--overwrite"), new_folder(tmp_path / "data"):
        pass
    assert entries(tmp_path / "data") == ["a"]


def test_a_file_is_never_replaced(tmp_path):
    (tmp_path / "data").write_text("1")
    with pytest.raises(UserError, match="is a file"), new_folder(tmp_path / "data", overwrite=True):
        pass
