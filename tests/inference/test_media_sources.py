"""What inputs mean: files, folders, globs, cameras, addresses, arrays."""
import cv2
import numpy as np
import pytest
from PIL import Image

from pose_tools.console import FaultsError, UserError
from pose_tools.inference.media import open_sources


def write_picture(path, value=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (value, value, value)).save(path)


def write_video(path, frames=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for i in range(frames):
        writer.write(np.full((24, 32, 3), 40 * i, np.uint8))
    writer.release()


@pytest.fixture
def folder(tmp_path):
    for name in ("p10.png", "p2.jpg", "P1.JPG", "sub/a.png", ".hidden.jpg", ".git/x.png"):
        write_picture(tmp_path / "in" / name) if name != "P1.JPG" else write_picture(tmp_path / "in/p1.jpg")
    write_video(tmp_path / "in/p3.avi")
    (tmp_path / "in/notes.txt").write_text("words", encoding="utf-8")
    return tmp_path / "in"


def names(sources, folder):
    return [source.path.relative_to(folder).as_posix() for source in sources]


def test_a_folder_gives_its_pictures_and_videos_in_natural_order(folder):
    sources = open_sources([folder])
    assert names(sources, folder) == ["p1.jpg", "p2.jpg", "p3.avi", "p10.png", "sub/a.png"]
    assert [source.kind for source in sources] == ["image", "image", "video", "image", "image"]
    assert names(open_sources([folder], recursive=False), folder) == ["p1.jpg", "p2.jpg", "p3.avi", "p10.png"]


def test_a_glob_gives_what_it_matches_and_files_come_once(folder):
    assert names(open_sources([f"{folder}/p*"]), folder) == ["p1.jpg", "p2.jpg", "p3.avi", "p10.png"]
    assert names(open_sources([f"{folder}/**/*.png"]), folder) == ["p10.png", "sub/a.png"]
    assert names(open_sources([folder / "p10.png", folder, folder / "p2.jpg"]), folder) == [
        "p10.png", "p1.jpg", "p2.jpg", "p3.avi", "sub/a.png"]


def test_a_file_with_the_characters_of_a_glob_is_itself(tmp_path):
    write_picture(tmp_path / "a[1].png")
    assert names(open_sources(str(tmp_path / "a[1].png")), tmp_path) == ["a[1].png"]


def test_the_suffix_does_not_matter_to_a_named_file(tmp_path):
    write_picture(tmp_path / "picture.png")
    write_video(tmp_path / "video.avi")
    for name in ("picture", "video"):
        next(tmp_path.glob(f"{name}.*")).rename(tmp_path / f"{name}.data")
    assert [s.kind for s in open_sources([tmp_path / "picture.data", tmp_path / "video.data"])] == ["image", "video"]


def test_cameras_and_addresses_are_not_touched():
    said = ["webcam:0", "webcam:12", "rtsp://user:secret@10.0.0.1/a", "http://h/stream?x=1", "https://h/film.mp4?t=1",
            "udp://@:1234"]
    sources = open_sources(said)
    assert [source.kind for source in sources] == ["camera", "camera", "camera", "camera", "video", "camera"]
    assert [source.name for source in sources] == [*said[:2], "rtsp://user@10.0.0.1/a", *said[3:]], "no password"
    assert {source.path for source in sources} == {None}


def test_arrays_say_which_they_are():
    picture = np.zeros((6, 8, 3), np.uint8)
    sources = open_sources([picture, np.zeros((6, 8), np.uint16)])
    assert [(source.name, source.kind, source.size) for source in sources] == [
        ("array 0", "array", (8, 6)), ("array 1", "array", (8, 6))]
    frame, = sources[0]
    assert frame.image is picture and frame.time is None and frame.number == 0
    assert [source.name for source in open_sources(picture)] == ["array 0"]


def test_a_picture_knows_its_size_once_read(folder):
    source, = open_sources(folder / "p2.jpg")
    frame, = source
    assert (source.size, frame.image.shape, frame.source is source) == ((8, 6), (6, 8, 3), True)


def test_all_that_is_wrong_is_told_at_once(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    inputs = [folder / "p2.jpg", "nothing.jpg", tmp_path / "empty", f"{folder}/*.bmp", f"{folder}/*.txt", "0",
              "http://host/a.jpg", np.zeros((2, 2, 7))]
    with pytest.raises(FaultsError) as caught:
        open_sources(inputs)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0].rsplit("/", 1)[-1] for line in lines] == [
        "nothing.jpg", "empty", "*.bmp", "*.txt", "0", "a.jpg", "array 7"]
    for line, words in zip(lines, ("no such file", "holds no picture", "matches no file", "only ", "webcam:0",
                                   "download it", "shape")):
        assert words in line


def test_no_input_at_all_says_so():
    with pytest.raises(UserError, match="no input"):
        open_sources([])
