import os
import stat

import pytest

from pose_tools.console.atomic import write_whole


def test_a_file_is_whole_and_has_the_rights_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "new/file.bin", b"abc")
    finally:
        os.umask(before)
    assert (tmp_path / "new/file.bin").read_bytes() == b"abc"
    assert stat.S_IMODE((tmp_path / "new/file.bin").stat().st_mode) == 0o640
    assert os.listdir(tmp_path / "new") == ["file.bin"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    (tmp_path / "file.bin").write_bytes(b"old")

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "file.bin", b"new")
    assert os.listdir(tmp_path) == ["file.bin"]
    assert (tmp_path / "file.bin").read_bytes() == b"old"
