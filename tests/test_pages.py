"""The pages of docs/commands: what they show is what the commands do, in both languages."""
import contextlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from pose_tools.console import run

ROOT = Path(__file__).resolve().parents[1]
ENGLISH, CHINESE = ROOT / "docs/commands", ROOT / "docs/commands/zh-TW"
# These belong to training and using models, not to the workshop.
OTHERS = {"make_demo", "report", "plot_logs"}
OF_TOOLS = {"calibrate", "new_dataset", "download_weights", "publish_model", "export", "benchmark"}
COMMANDS = sorted({path.stem for path in ROOT.glob("pose_tools/[!_]*.py")} - OTHERS | OF_TOOLS)
PAGES = sorted(path.name for path in ENGLISH.glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)]+)\)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
SHELL = ("cp ", "rm ", "sed ", "mkdir ", "echo ")


def text_of(folder, page):
    return (folder / page).read_text(encoding="utf-8")


def blocks(text):
    """(language, contents) of each code block."""
    return FENCE.findall(text)


def load(script):
    """A script as a module, from its path below the root."""
    spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options_of(script):
    """The options of a script, by its --help."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        load(script).parse_args(["--help"])
    return set(OPTION.findall(said.getvalue()))


def find_script(name):
    return next(f"{folder}/{name}.py" for folder in ("pose_tools", "tools", "docs")
                if (ROOT / folder / f"{name}.py").is_file())


def execute(line):
    """Runs a line of a page in the current folder: the exit code, and what it printed."""
    if line.startswith(SHELL):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    python, script, *words = shlex.split(line, comments=True)
    assert python == "python", f"a page may show python and {SHELL}, not {line}"
    if script == "tools/new_dataset.py":
        words += ["--configs", "configs"]  # those of the folder, not the project's own
    said, here = io.StringIO(), Path.cwd()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = run(load(script).main, words)
        except SystemExit as stop:
            code = stop.code
        finally:
            os.chdir(here)  # some go to the root, as each may in a process of its own
    return code, said.getvalue()


def shown_as(expected):
    """A page's output as a regular expression: ``...`` is anything, on a line of its own any lines."""
    lines = []
    for line in expected.rstrip("\n").split("\n"):
        if line.strip() == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(r".*".join(map(re.escape, line.split("..."))) + r"[ ]*\n")
    return re.compile("^" + "".join(lines), re.MULTILINE)


def run_page(text):
    """Runs all command lines of a page in order and compares what follows them with what they print."""
    printed = ""
    for language, contents in blocks(text):
        if language == "bash":
            printed = ""
            for line in contents.splitlines():
                code, said = execute(line)
                wanted = int(found.group(1)) if (found := re.search(r"# exit code (\d+)$", line)) else 0
                assert code == wanted, f"{line}\n{said}"
                printed += said
        elif language == "text":
            assert shown_as(contents).search(printed), f"the page shows\n{contents}\nprinted was\n{printed}"


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A folder in which the lines of the index were run: photos/ and data/carpose, beside the configs."""
    if shutil.which("bash") is None:
        pytest.skip("the pages' lines need bash")
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(ROOT / "configs", folder / "configs", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_page(text_of(ENGLISH, "README.md"))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_line_of_a_page_does_what_the_page_shows(command, examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSE_TOOLS_OFFLINE", "1")
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    if command == "labelme2coco":
        shutil.rmtree("data")  # the page makes it
    before = {path: path.read_bytes() for path in ROOT.glob("configs/**/*.py")}
    text = text_of(ENGLISH, f"{command}.md")
    assert find_script(command) in "".join(contents for language, contents in blocks(text) if language == "bash")
    run_page(text)
    assert {path: path.read_bytes() for path in ROOT.glob("configs/**/*.py")} == before


@pytest.mark.parametrize("said, expected, matches", [
    ("a\nb\nc\n", "a\nb\nc\n", True), ("a\nb\nc\n", "a\nc\n", False), ("a\nb\nc\n", "a\n...\nc\n", True),
    ("a\nb\nc\n", "...\nc\n", True), ("a 12 MB\n", "a ... MB\n", True), ("a 12 MB\n", "a ... kB\n", False),
    ("a  \nb\n", "a\nb\n", True), ("b\n", "a\n...\n", False)])
def test_dots_stand_for_what_is_left_out(said, expected, matches):
    assert bool(shown_as(expected).search(said)) == matches


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_page_in_both_languages_and_is_in_both_indexes(command):
    for folder in (ENGLISH, CHINESE):
        text = text_of(folder, f"{command}.md")
        assert text.startswith(f"# {command}\n")
        index = text_of(folder, "README.md")
        assert f"({command}.md)" in index
        assert f"`{command}.py`" in index


def test_there_are_no_pages_of_commands_that_are_not_there():
    assert {Path(page).stem for page in PAGES} == {*COMMANDS, "README"}
    assert sorted(path.name for path in CHINESE.glob("*")) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_show_the_same(page):
    english, chinese = text_of(ENGLISH, page), text_of(CHINESE, page)
    assert blocks(english) == blocks(chinese)
    bare = [FENCE.sub("", text) for text in (english, chinese)]
    for pattern in (r"^#+ ", r"^\|", r"^- ", r"^!\["):
        counts = [len(re.findall(pattern, text, re.MULTILINE)) for text in bare]
        assert counts[0] == counts[1], f"{pattern}: {counts}"
    options = [sorted(OPTION.findall(text)) for text in bare]
    assert options[0] == options[1]
    assert re.search(r"[\u4e00-\u9fff]", bare[1])


@pytest.mark.parametrize("folder", [ENGLISH, CHINESE], ids=["en", "zh-TW"])
@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(folder, page):
    links = LINK.findall(FENCE.sub("", text_of(folder, page)))
    for _, words, target in links:
        assert words, f"{target} has no text"
        assert (folder / target.partition("#")[0]).is_file(), target
    pictures = [target for mark, _, target in links if mark]
    assert [Path(target).stem for target in pictures] == ([] if page == "README.md" else [Path(page).stem])


def test_pictures_are_small_and_all_are_used():
    files = sorted((ENGLISH / "pictures").iterdir())
    assert [path.stem for path in files] == COMMANDS
    for path in files:
        assert path.stat().st_size <= 150_000, path
        with Image.open(path) as picture:
            assert picture.width <= 1000, path
    assert sum(path.stat().st_size for path in files) < 1_500_000


@pytest.mark.parametrize("page", PAGES)
def test_options_exist(page):
    own = set() if page == "README.md" else options_of(find_script(Path(page).stem))
    # What is shown as printed was printed; see above.
    said = re.sub(r"^```text\n.*?^```$", "", text_of(ENGLISH, page), flags=re.DOTALL | re.MULTILINE)
    for line in said.splitlines():
        named = set(re.findall(r"(?:pose_tools/|tools/|docs/(?=run_)|`)(\w+)\.py", line)) - {"meta"}
        known = own.union(*(options_of(find_script(name)) for name in named))
        assert set(OPTION.findall(line)) <= known | {"--help"}, line
