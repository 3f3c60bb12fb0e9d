import os

from pose_tools.dataset.convert.naming import assign_names
from pose_tools.formats.images import ImageSource


def names(tmp_path, paths, roots=("src", )):
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    sources = [ImageSource(tmp_path / path, (1, 1), os.path.basename(path)) for path in paths]
    return assign_names(sources, [tmp_path / root for root in roots])


def test_folders_are_kept(tmp_path):
    assert names(tmp_path, ["src/a/1.jpg", "src/b/1.jpg", "src/2.jpg"]) == ["a/1.jpg", "b/1.jpg", "2.jpg"]


def test_same_names_of_two_roots_get_a_number(tmp_path):
    assert names(tmp_path, ["src/1.jpg", "more/1.JPG", "more/1.jpg"], ("src", "more")) == [
        "1.jpg", "1_2.JPG", "1_3.jpg"]


def test_images_outside_keep_what_differs(tmp_path):
    assert names(tmp_path, ["out/p/a/1.jpg", "out/p/b/1.jpg", "src/x.jpg"]) == ["a/1.jpg", "b/1.jpg", "x.jpg"]


def test_dots_and_links_in_paths(tmp_path):
    (tmp_path / "real/sub").mkdir(parents=True)
    os.symlink(tmp_path / "real", tmp_path / "src")
    assert names(tmp_path, ["src/sub/../1.jpg", "real/sub/2.jpg"]) == ["1.jpg", "sub/2.jpg"]


def test_names_that_are_not_utf8(tmp_path):
    assert names(tmp_path, ["src/a\udcff.jpg"]) == ["a_.jpg"]
