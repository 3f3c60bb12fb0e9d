import subprocess
import sys
from pathlib import Path

from pose_tools import make_demo
from pose_tools.console import run

SCRIPT = Path(make_demo.__file__)


def test_it_writes_labelled_and_unlabelled_pictures(tmp_path, capsys):
    dst = tmp_path / 'demo' / 'labelme'
    argv = [str(dst), '--images', '2', '--size', '160', '120', '--unlabelled', '1']
    assert run(make_demo.main, argv) == 0
    assert sorted(p.name for p in dst.iterdir()) == [
        'demo_00000.jpg', 'demo_00000.json', 'demo_00001.jpg', 'demo_00001.json', 'ground_truth.jsonl']
    assert [p.name for p in (tmp_path / 'demo' / 'unseen').iterdir()] == ['unseen_00000.jpg']
    assert '2 pictures with' in capsys.readouterr().out


def test_a_place_that_is_taken_is_found_before_anything_is_rendered(tmp_path, capsys):
    dst, taken = str(tmp_path / 'a'), tmp_path / 'taken'
    taken.mkdir()
    (taken / 'x').write_text('')
    for argv in (['1', '--unseen', str(taken)], ['1', '--unseen', dst], ['-1']):
        assert run(make_demo.main, [dst, '--unlabelled', *argv]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and all(line.startswith('error: ') for line in errors)
    assert not (tmp_path / 'a').exists()


def test_help_works_from_anywhere(tmp_path):
    command = [sys.executable, str(SCRIPT), '--help']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert 'python pose_tools/make_demo.py' in done.stdout
