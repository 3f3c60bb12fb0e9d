"""Folders large enough to be read by several processes: the same result, no process left behind."""
import contextlib
import io
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pose_tools import labelme2coco
from pose_tools.console import run
from pose_tools.dataset import parallel
from pose_tools.formats.coco import load_coco

ROOT = Path(__file__).resolve().parents[1]


def encoded(seed, size=(48, 32), form="JPEG"):
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def shape(label, kind, *points, **more):
    return {"label": label, "shape_type": kind, "points": [list(p) for p in points], "flags": {}, **more}


def make(folder, count, late_names=False, faults=False):
    """Labelme files of one or two cars with up to three points, images beside them, in subfolders or embedded."""
    import base64

    rng = random.Random(count)
    pictures = [encoded(i) for i in range(20)]
    for i in range(count):
        home = folder / f"day{i % 3}"
        (home / "pictures").mkdir(parents=True, exist_ok=True)
        where, embedded = [(f"{i}.jpg", None), (f"pictures/{i}.jpg", None), ("nowhere.jpg", True)][i % 3]
        data = pictures[i % 20]
        if embedded:
            embedded = base64.b64encode(data).decode()
        else:
            (home / where).write_bytes(data)
        shapes = []
        for group in range(1 + i % 2):
            x, y = rng.uniform(0, 10), rng.uniform(0, 8)
            shapes.append(shape("car", "rectangle", (x, y), (x + 30, y + 20), group_id=group))
            shapes += [shape(f"p{k}", "point", (x + rng.uniform(0, 30), y + rng.uniform(0, 20)), group_id=group,
                             flags={"occluded": rng.random() < 0.3}) for k in range(rng.randrange(4))]
        if late_names and i == count - 3:
            shapes += [shape("bus", "polygon", (1, 1), (9, 1), (5, 9)), shape("a0", "point", (5, 4), group_id=0)]
        if faults and i % 41 == 5:
            shapes.append(shape("p0", "point", (500, 400), group_id=0))
        if faults and i % 97 == 7:
            shapes.append(shape("car", "rectangle", (1, float("nan")), (3, 3)))
        text = json.dumps({"shapes": shapes, "imagePath": where.replace("/", "\\"), "imageData": embedded,
                           "imageWidth": 48, "imageHeight": 32})
        (home / f"{i}.json").write_text(text[:60] if faults and i % 150 == 149 else text)
    return folder


def convert(source, out, *more):
    """Exit code and all that was printed."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = run(labelme2coco.main, [str(source), str(out), *map(str, more)])
    return code, stdout.getvalue().replace(str(out), "OUT"), stderr.getvalue()


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("late_names", [False, True])
@pytest.mark.parametrize("options", [[], ["--skip-faulty", "--keep-empty", "--verify-images"],
                                     ["--visibility-suffixes", "1=1", "--group-by", "day.", "--bbox-from-points"]])
def test_processes_change_nothing(tmp_path, late_names, options):
    source = make(tmp_path / "src", 700, late_names, faults="--skip-faulty" in options)
    (source / "bare.jpg").write_bytes(encoded(99))
    alone = convert(source, tmp_path / "alone", "--workers", "1", *options)
    together = convert(source, tmp_path / "together", "--workers", "3", *options)
    assert alone == together and alone[0] == 0, alone[2]
    assert contents(tmp_path / "alone") == contents(tmp_path / "together")
    names = load_coco(tmp_path / "alone/train_coco.json")["categories"]
    assert [category["name"] for category in names] == (["bus", "car"] if late_names else ["car"])
    if "--skip-faulty" in options:
        assert "files left out for" in alone[1] and "1 images without a labelme file kept as negatives" in alone[1]


@pytest.mark.slow
def test_spawned_processes_change_nothing(tmp_path, monkeypatch):
    source = make(tmp_path / "src", 520)
    convert(source, tmp_path / "alone", "--workers", "1")
    monkeypatch.setattr(parallel, "_context", lambda: multiprocessing.get_context("spawn"))
    assert convert(source, tmp_path / "spawned", "--workers", "2")[0] == 0
    assert contents(tmp_path / "alone") == contents(tmp_path / "spawned")


@pytest.mark.slow
def test_faults_come_in_the_same_order(tmp_path):
    source = make(tmp_path / "src", 700, faults=True)
    (source / "day0/pictures").joinpath("other.jpg").write_bytes(b"")
    alone, together = (convert(source, tmp_path / "out", "--workers", count) for count in (1, 3))
    assert alone == together and alone[0] == 1
    lines = alone[2].splitlines()
    # Files that cannot be read come first: 149, 299, 449 and 599. 17 hold a point far outside (5, 46, ... 661) and 8
    # a broken box (7, 104, ... 686); none has two of these.
    assert all("truncated or not JSON" in line for line in lines[:4])
    assert sum("far outside the image" in line for line in lines[4:]) == 17
    assert sum("not pairs of finite numbers" in line for line in lines[4:]) == 8
    assert " in 29 of 700 files; " in lines[-1] and not (tmp_path / "out").exists()


def test_names_that_few_files_use_are_found_wherever_they_stand(tmp_path):
    """Names come from a few files first; here 200 files, of which the last but two has two names more."""
    source = make(tmp_path / "src", 200, late_names=True)
    assert convert(source, tmp_path / "out", "--split", "1")[0] == 0
    train = load_coco(tmp_path / "out/train_coco.json")
    assert [category["name"] for category in train["categories"]] == ["bus", "car"]
    assert train["categories"][0]["keypoints"] == ["a0", "p0", "p1", "p2"]
    assert sum(annotation["category_id"] == 1 for annotation in train["annotations"]) == 1


def test_images_damaged_inside_are_faults_when_they_are_decoded(tmp_path):
    source = make(tmp_path / "src", 6)
    damaged = encoded(3)
    middle = (damaged.rindex(b"\xff\xda") + len(damaged)) // 2
    (source / "day0/3.jpg").write_bytes(damaged[:middle] + damaged[-2:])
    (source / "bare.jpg").write_bytes(damaged[:middle + 9] + damaged[-2:])
    assert convert(source, tmp_path / "header")[0] == 0
    code, _, said = convert(source, tmp_path / "decoded", "--verify-images")
    assert code == 1 and not (tmp_path / "decoded").exists()
    first, last = said.splitlines()
    assert first == (f"{source}/day0/3.json: its image {source}/day0/3.jpg is damaged inside: "
                     "Corrupt JPEG data: premature end of data segment")
    assert last.startswith("1 faults in 1 of 6 files")
    code, said, _ = convert(source, tmp_path / "skipped", "--verify-images", "--skip-faulty", "--keep-empty")
    assert code == 0 and "2 files left out for 2 faults:" in said and f"{source}/bare.jpg: is damaged inside" in said


def test_embedded_images_are_decoded_too(tmp_path):
    import base64

    source = make(tmp_path / "src", 3)
    content = json.loads((source / "day2/2.json").read_text())
    data = base64.b64decode(content["imageData"])
    middle = (data.rindex(b"\xff\xda") + len(data)) // 2
    content["imageData"] = base64.b64encode(data[:middle] + data[-2:]).decode()
    (source / "day2/2.json").write_text(json.dumps(content))
    assert convert(source, tmp_path / "header")[0] == 0
    assert "2.json: imageData is damaged inside" in convert(source, tmp_path / "decoded", "--verify-images")[2]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("delay", [0.0, 0.1, 1.0])
def test_ctrl_c_ends_all_processes_and_leaves_nothing(tmp_path, delay):
    source = make(tmp_path / "src", 1000)
    # A pipe nobody writes to keeps a process waiting for ever, so that none is done before it is interrupted.
    (source / "day0/999.jpg").unlink()
    os.mkfifo(source / "day0/999.jpg")
    command = [sys.executable, str(ROOT / "pose_tools/labelme2coco.py"), str(source), str(tmp_path / "out"),
               "--workers", "3", "--verify-images"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    while len(session(process.pid)) < 4:
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to all of them
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "interrupted\n")
    assert session(process.pid) == []
    assert os.listdir(tmp_path) == ["src"]


def session(leader):
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(pid)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_processes_end_when_theirs_is_killed(tmp_path):
    code = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
            "from pose_tools.dataset.parallel import map_items\n"
            "def work(items):\n    time.sleep(0.05)\n    return items\n"
            "for i in map_items(work, range(100000), '', 3): pass\n")
    process = subprocess.Popen([sys.executable, "-c", code, str(ROOT)], start_new_session=True)
    while len(session(process.pid)) < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    end = time.monotonic() + 20
    while session(process.pid):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_an_interrupt_while_images_are_written_leaves_no_writer_behind(tmp_path, monkeypatch):
    source = make(tmp_path / "src", 600)
    started = []
    start = parallel._start

    def remember(*args):
        crew = start(*args)
        started.extend(process for process, _ in crew)
        return crew

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "_start", remember)
    monkeypatch.setattr("pose_tools.dataset.convert.write.link_or_copy", interrupt)
    assert convert(source, tmp_path / "out", "--workers", "2")[0] == 130
    assert len(started) == 4 and not any(process.is_alive() for process in started)
    assert os.listdir(tmp_path) == ["src"]
