"""Hashes in names and in SHA256SUMS."""
import hashlib

import pytest

from pose_tools.console import UserError
from pose_tools.weights.addresses import is_encrypted_or_local, name_of_address, refusal_of
from pose_tools.weights.hashes import hash_in_name, is_of_one_file, read_sums, sha256_of, write_sums


@pytest.mark.parametrize("name, digits", [
    ("rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth", "78e30dcc"),
    ("rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504.pth", "acd4a1ef"),
    ("rtmpose-s-carpose-1a2b3c4d_20230126.pth", "1a2b3c4d"),
    ("resnet50-0676ba61.pth", "0676ba61"),
    ("x-1a2b3c4d_20220719_112030.pth", "1a2b3c4d"),
    ("x-" + "0f" * 32 + ".pth", "0f" * 32),
    ("cspnext-s_imagenet_600e.pth", None),
    ("model-20220902.pth", None),
    ("epoch_300.pth", None),
    ("best-1a2b3c4.pth", None),
])
def test_hash_in_name(name, digits):
    assert hash_in_name(name) == digits


@pytest.mark.parametrize("name", [
    "rtmpose-m_simcc-aic-coco_pt-aic-coco_420e-256x192-63eb25f7_20230126.pth",  # is 5e55be2a...
    "rtmpose-s_simcc-coco_pt-aic-coco_420e-256x192-8edcf0d7_20230127.pth",      # is 29dcacbb...
    "rtmpose-m_simcc-ap10k_pt-aic-coco_210e-256x256-7a041aa1_20230206.pth",     # is 896e3665...
    "rtmpose-tiny_simcc-coco_pt-aic-coco_420e-256x192-e613ba3f_20230127.pth",   # is 77ffc7e8...
    "cspnext-s_udp-aic-coco_210e-256x192-92f5a029_20230130.pth",
])
def test_digits_that_are_of_an_earlier_upload_do_not_count(name):
    assert hash_in_name(name) is None and is_of_one_file(name)


def test_sums_are_those_of_sha256sum(tmp_path):
    (tmp_path / "a b.pth").write_bytes(b"weights")
    sums = {"sub/c.pth": "0" * 64, "a b.pth": sha256_of(tmp_path / "a b.pth")}
    assert sums["a b.pth"] == hashlib.sha256(b"weights").hexdigest()
    write_sums(tmp_path, sums)
    text = (tmp_path / "SHA256SUMS").read_text(encoding="utf-8")
    assert text == f"{sums['a b.pth']}  a b.pth\n{'0' * 64}  sub/c.pth\n"
    assert read_sums(tmp_path) == sums
    (tmp_path / "SHA256SUMS").write_text(f"{'A' * 64} *x\n\n")
    assert read_sums(tmp_path) == {"x": "a" * 64}
    assert read_sums(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("content", [b"abc  x\n", b"\xff\xfe"])
def test_what_is_no_list_of_sums(tmp_path, content):
    (tmp_path / "SHA256SUMS").write_bytes(content)
    with pytest.raises(UserError, match="SHA256SUMS"):
        read_sums(tmp_path)


def test_name_of_address():
    assert name_of_address("https://example.org/a/b%20c.pth?download=true#x") == "b c.pth"
    for bad in ("https://example.org", "https://example.org/a/", "https://example.org/..",
                "https://example.org/a%2F..", "https://example.org/a%5Cb.pth", "https://example.org/a%00.pth"):
        with pytest.raises(UserError):
            name_of_address(bad)


@pytest.mark.parametrize("address, is_safe", [
    ("https://example.org/x", True), ("http://127.0.0.1:80/x", True), ("http://[::1]/x", True),
    ("http://localhost/x", True), ("http://192.0.2.1/x", False), ("http://127.0.0.1.example.org/x", False),
    ("http://localhost.example.org/x", False), ("HTTP://EXAMPLE.ORG/x", False),
])
def test_who_could_change_what_comes(address, is_safe):
    assert is_encrypted_or_local(address) == is_safe
    assert refusal_of(address, "0" * 64) is None
    assert (refusal_of(address, "0" * 8) is None) == (refusal_of(address, None) is None) == is_safe
