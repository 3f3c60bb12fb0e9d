"""The notebook: what is committed is clean, and a kernel runs it from top to bottom where nothing has been trained."""
import ast
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs/quickstart.ipynb"
MACHINE = re.compile(r"/(work|tmp|home|root|Users|mnt)/|[A-Z]:\\|localhost|https?://")


def cells(kind):
    return ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == kind]


def test_what_is_committed_holds_no_outputs_and_no_counts():
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
    assert set(content["metadata"]) <= {"kernelspec", "language_info"}
    for cell in content["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("kind", ["code", "markdown"])
def test_no_cell_names_a_machine(kind):
    for source in cells(kind):
        assert not MACHINE.search(source), source


def test_code_is_python_of_short_lines_without_magics():
    for source in cells("code"):
        ast.parse(source)
        assert max(map(len, source.splitlines())) <= 120
        assert not re.search(r"^\s*[!%]", source, re.MULTILINE), source


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a run in a copy of the project without models; its cells' outputs."""
    import nbclient
    import nbformat

    folder = tmp_path_factory.mktemp("project")
    for name in ("configs", "pose_tools", "tools"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "docs").mkdir()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    client = nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3",
                                     resources={"metadata": {"path": str(folder / "docs")}})
    client.create_kernel_manager()
    client.km.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client.execute()
    return folder, notebook


def said(notebook, name):
    """What a cell printed."""
    cell = next(cell for cell in notebook.cells if cell.id == name)
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


def shown(notebook, name):
    """How many pictures a cell showed."""
    cell = next(cell for cell in notebook.cells if cell.id == name)
    return sum("image/jpeg" in output.get("data", {}) for output in cell.outputs)


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(executed):
    _, notebook = executed
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    errors = [output.text for cell in notebook.cells for output in cell.get("outputs", ())
              if output.output_type == "stream" and output.name == "stderr" and "Traceback" in output.text]
    assert errors == []


@pytest.mark.slow
def test_it_shows_what_its_own_models_found(executed):
    folder, notebook = executed
    for name in ("render", "picture", "folder", "video"):
        assert shown(notebook, name) == 1, name
    assert f"{folder}/work_dirs/quickstart/rtmdet-tiny-carpose" in said(notebook, "train"), "trained here"
    shape = re.search(r"keypoints +\((\d+), (\d+), (\d+)\)", said(notebook, "arrays"))
    assert int(shape[1]) >= 1 and shape.group(2, 3) == ("8", "2")
    assert "score_kind raw" in said(notebook, "arrays")
    assert "left-front-bumper" in said(notebook, "arrays")


@pytest.mark.slow
def test_cars_are_followed_through_the_video(executed):
    tracks = re.findall(r"car (\d+): +(\d+) frames", said(executed[1], "video"))
    assert max(int(frames) for _, frames in tracks) >= 15, tracks


@pytest.mark.slow
def test_what_it_writes_can_be_read(executed):
    folder, notebook = executed
    work = folder / "work_dirs/quickstart"
    assert '"keypoints"' in said(notebook, "formats")
    labels = json.loads(next((work / "unseen").glob("*.json")).read_text(encoding="utf-8"))
    assert "car" in {shape["label"] for shape in labels["shapes"]}
    apart = re.search(r"(\d+) objects; keypoints differ by at most ([\d.]+) px", said(notebook, "onnx"))
    assert int(apart[1]) >= 1 and float(apart[2]) < 0.05
    assert "predictions.json" in said(notebook, "command")
    assert json.loads((work / "predicted/predictions.json").read_text(encoding="utf-8"))
