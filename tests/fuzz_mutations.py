"""Ways to spoil an input file. Each takes a random.Random, so that a seed gives the same damage again."""
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import yaml

# Values that JSON and YAML can hold and people's files do hold, somewhere.
STRANGE = [
    None, True, False, 0, 1, -1, 2, 3, 1.5, -0.0, 1e-300, 1e18, 1e308, -1e308, 10**20, 10**400,
    float("nan"), float("inf"), float("-inf"),
    "", " ", "0", "1", "12.5", "-3", "nan", "1e5", "x", "x" * 300, "x" * 5000, "é", "車", "\u202e", "\x00", "a\x00b",
    "\n", "a\nb", "'", '"', "../x", "/etc/x", "C:\\x", "\\", "a/b", ".", "..", "~", "{", "%s", "{}", "-", "#",
    [], [[]], [None], [0], [1, 2], [0, 0, 0, 0], ["a"], ["a", "a"], [[1, 2], [3, 4]], [[1, 2, 3]], [{}],
    {}, {"a": 1}, {"id": 1}, {"counts": [1, 2], "size": [3, 4]}, {"counts": "abc", "size": [32, 48]},
]
# Words of label files that are no numbers, or that only Python takes for one.
WORDS = ["nan", "inf", "-inf", "1e999", "-1", "2", "1e300", "x", "", "0x1", "1,5", "１", "1_0", "-0", "9" * 400,
         "0.5.5", "\t", "é", "None"]
# Nine times nine times nine ...: a few lines that become very long when they are written out.
_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi"))
YAMLS = [
    _BOMB + "names: *i\nkpt_shape: *i\n", _BOMB + "names: [car]\nkpt_shape: [3, 3]\ntrain: *i\nkpt_names: *i\n",
    "- a\n- b\n", "names: !!python/object/apply:os.getcwd []\n", "[" * 1200, "names: {[a]: b}\n", "names: 2020-01-01\n",
    "names: 2020-99-99\n", "a: &x [*x]\nnames: *x\n", "names: &x [*x]\n", "%YAML 9.9\n---\n", "train: !!set {a, b}\n",
    "names: !!binary aGVsbG8=\n", "names: !!int x\n", "kpt_shape: [1000000000, 3]\nnames: [a]\n",
]
SURROGATE = "\ud800"
# Put in as strings, taken out of the text again: what no value can stand for.
LITERALS = {"@deep@": "[" * 3000 + "]" * 3000, "@deeper@": '{"a":' * 3000 + "1" + "}" * 3000, "@digits@": "9" * 5000,
            "@minus@": "-" + "9" * 5000}


def paths_of(value, here=()):
    """Every place in nested lists and dicts."""
    yield here
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths_of(child, (*here, key))


def _at(value, path):
    for key in path:
        value = value[key]
    return value


def mutate_tree(value, rng, strange):
    """Changes one place of nested lists and dicts.

    Returns:
        The new value, and what was done.
    """
    everywhere = [path for path in paths_of(value) if path]
    if not everywhere:
        return rng.choice(strange), "the whole"
    # Places deep down are many; each depth is as likely.
    depth = rng.choice(sorted({len(path) for path in everywhere}))
    path = rng.choice([path for path in everywhere if len(path) == depth])
    parent, key = _at(value, path[:-1]), path[-1]
    old = parent[key]
    how = rng.choice(["strange"] * 5 + ["delete", "rename", "twice", "text", "number", "wrap", "swap", "negative",
                                        "empty"])
    if how == "delete":
        del parent[key]
    elif how == "rename" and isinstance(parent, dict):
        parent[str(rng.choice(["x", str(key).upper(), str(key) + "s", ""]))] = parent.pop(key)
    elif how == "twice" and isinstance(parent, list):
        parent.insert(key, old)
    elif how == "text":
        parent[key] = str(old)[:200]
    elif how == "number" and isinstance(old, str):
        parent[key] = len(old)
    elif how == "wrap":
        parent[key] = [old] if rng.random() < 0.5 else {"x": old}
    elif how == "swap":
        other = rng.choice(everywhere)
        parent[key] = json.loads(json.dumps(_at(value, other), default=str)) if other != path[:len(other)] else None
    elif how == "negative" and isinstance(old, (int, float)):
        parent[key] = -old if rng.random() < 0.5 else old * 1000000
    elif how == "empty":
        parent[key] = type(old)() if isinstance(old, (list, dict, str)) else 0
    else:
        how, parent[key] = "strange", rng.choice(strange)
    return value, f"{how} at {'/'.join(map(str, path))}, which was {str(old)[:40]!r}"


def mutate_json(path, rng):
    """Changes one to three places of a JSON file."""
    value, done = json.loads(path.read_text(encoding="utf-8")), []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        value, what = mutate_tree(value, rng, [*STRANGE, SURROGATE, *LITERALS])
        done.append(what)
    text = json.dumps(value)
    for word, literal in LITERALS.items():
        text = text.replace(f'"{word}"', literal)
    path.write_text(text, encoding="utf-8")
    return "; ".join(done)


def mutate_yaml(path, rng):
    """Changes one or two places of a YAML file, or its text."""
    if rng.random() < 0.15:
        text = rng.choice(YAMLS)
        path.write_text(text + path.read_text(encoding="utf-8") * rng.choice([0, 1]), encoding="utf-8")
        return f"yaml text {text[:30]!r}"
    value, done = yaml.safe_load(path.read_text(encoding="utf-8")), []
    for _ in range(rng.choice([1, 1, 2])):
        value, what = mutate_tree(value, rng, STRANGE)
        done.append(what)
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
    return "; ".join(done)


def mutate_words(path, rng):
    """Changes a word, or the lines, of a label file."""
    lines = [line.split(" ") for line in path.read_text(encoding="utf-8").splitlines()] or [["0"]]
    i = rng.randrange(len(lines))
    how = rng.choice(["word", "word", "word", "drop", "add", "line", "glue", "swap"])
    if how == "word":
        lines[i][rng.randrange(len(lines[i]))] = rng.choice(WORDS)
    elif how == "drop" and len(lines[i]) > 1:
        lines[i].pop(rng.randrange(len(lines[i])))
    elif how == "add":
        lines[i].insert(rng.randrange(len(lines[i]) + 1), rng.choice(["0", "0.5", "2", "y"]))
    elif how == "line":
        lines.insert(i, rng.choice([[], [" "], ["#"], lines[i], ["0"] * 40]))
    elif how == "glue":
        lines[i] = [",".join(lines[i])]
    else:
        rng.shuffle(lines[i])
    path.write_text("\n".join(map(" ".join, lines)) + rng.choice(["", "\n", "\n\n"]), encoding="utf-8")
    return f"{how} in line {i + 1}"


def mutate_bytes(path, rng):
    """Spoils a file as disks, editors and interrupted copies do."""
    data = path.read_bytes()
    how = rng.choice(["cut", "cut", "flip", "flip", "bom", "crlf", "utf16", "nul", "lines", "empty", "noise", "latin",
                      "blank", "tail"])
    at = rng.randrange(max(1, len(data)))
    if how == "cut":
        data = data[:at]
    elif how == "flip" and data:
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 5, 50])):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        data = bytes(changed)
    elif how == "bom":
        data = b"\xef\xbb\xbf" * rng.choice([1, 2]) + data
    elif how == "crlf":
        data = data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n"]))
    elif how == "utf16":
        data = data.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-16-le", "utf-32"]))
    elif how == "nul":
        data = data[:at] + b"\0" * rng.choice([1, 100]) + data[at:]
    elif how == "lines":
        data += data[:at]
    elif how == "empty":
        data = b""
    elif how == "noise":
        data = bytes(rng.randrange(256) for _ in range(200))
    elif how == "latin":
        data = data[:at] + "é".encode("latin-1") + data[at:]
    elif how == "blank":
        data = rng.choice([b"\n", b" ", b"null", b"[]", b"{}", b"0", b'""', b"\xef\xbb\xbf"])
    else:
        data += rng.choice([b"x", b"]", b"{}", b"\0", b"\n\n"])
    path.write_bytes(data)
    return f"bytes: {how} at {at}"


def mutate_file(path, rng):
    """Makes the file itself another one, none, or none that can be read."""
    how = rng.choice(["gone", "moved", "folder", "dangling", "loop", "other"])
    aside = path.with_name("aside" + path.suffix)
    shutil.move(path, aside)
    if how == "folder":
        path.mkdir()
    elif how == "dangling":
        path.symlink_to(path.parent / "nowhere")
    elif how == "loop":
        path.symlink_to(path)
    elif how == "other":
        size = rng.choice([(1, 1), (48, 31), (3000, 2)])
        cv2.imwrite(str(path.with_name("made.png")), np.zeros((size[1], size[0], 3), np.uint8))
        shutil.move(path.with_name("made.png"), path)
    if how != "moved":
        aside.unlink()
    return f"file: {how}"


def mutate(path: Path, rng) -> str:
    """Spoils a file in a way that fits it; says how."""
    chance = rng.random()
    by_kind = {".json": mutate_json, ".yaml": mutate_yaml, ".txt": mutate_words}
    if path.suffix in by_kind and chance < 0.75:
        return by_kind[path.suffix](path, rng)
    return mutate_bytes(path, rng) if chance < 0.9 else mutate_file(path, rng)
