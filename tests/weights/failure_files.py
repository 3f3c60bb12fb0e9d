"""Faults of what comes, of this machine, and of people who mean harm."""
from __future__ import annotations

import errno
import io
import os
import pickle
import shutil
import zipfile
from collections import namedtuple

from failure_bench import CUT, DATA, MINE, NAME, SHA, script
from failure_registry import AGAIN, case, trusted_server
from git_server import make_repository

from pose_tools.weights.download import parts

PAGE = b"<!DOCTYPE html><html><body>Sign in to this network</body></html>"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize {len(DATA)}\n".encode()


@case("wrong", ("a web page with status 200, as hotels and firewalls send", "狀態 200 的網頁,像旅館和防火牆那樣"))
def web_page(bench):
    bench.server.put(bench.path, PAGE, content_type="text/html")
    yield bench.fetch()


@case("wrong", ("a web page that says it is a file", "說自己是檔案的網頁"))
def web_page_as_file(bench):
    bench.server.put(bench.path, PAGE)
    yield bench.fetch()


@case("wrong", ("nothing at all, with status 200", "狀態 200,但內容是空的"))
def empty(bench):
    bench.server.put(bench.path)
    yield bench.fetch()


@case("wrong", ("a Git LFS pointer, and no hash is known", "Git LFS 指標檔,而雜湊值未知"))
def pointer(bench):
    bench.write_catalog(path="net.pth")
    bench.server.put("/net.pth", POINTER)
    yield bench.fetch()


@case("wrong", ("another file: the hash differs", "別的檔案:雜湊值不同"))
def wrong_file(bench):
    bench.server.put(bench.path, DATA[::-1])
    yield bench.fetch()


@case("wrong", ("a file of another length than the catalog says", "檔案長度和目錄寫的不同"))
def other_length(bench):
    bench.write_catalog(size=len(DATA) + 1)
    bench.server.put(bench.path, DATA)
    yield bench.fetch()


@case("wrong", ("the server announces more than it sends", "伺服器宣告的長度比實際送的多"))
def announces_more(bench):
    bench.server.put(bench.path, DATA, announce=len(DATA) + 1000, ranges=False)
    yield bench.fetch()


@case("wrong", ("the server announces, and sends, only a beginning", "伺服器只宣告並傳送開頭一段"))
def announces_less(bench):
    bench.server.put(bench.path, DATA[:CUT])
    yield bench.fetch()


@case("here", ("too little room on the disk", "磁碟空間不足"))
def no_room(bench):
    usage = namedtuple("usage", "total used free")
    bench.patch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 50_000_000))
    bench.write_catalog(size=len(DATA))
    bench.target.parent.mkdir()
    yield bench.fetch()
    assert not bench.server.asked()


@case("here", ("the disk fills up on the way", "下載途中磁碟滿了"), AGAIN)
def disk_fills_up(bench):
    class Full(io.FileIO):
        def write(self, data):
            if os.fstat(self.fileno()).st_size + len(data) > CUT:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    def full_open(path, mode, **options):
        return Full(path, mode.replace("b", "")) if "a" in mode else open(path, mode, **options)

    bench.server.put(bench.path, DATA, bytes_per_second=50_000_000)
    with bench.patch.context() as patch:
        patch.setattr(parts, "open", full_open, raising=False)
        yield bench.fetch()
    yield bench.fetch()


@case("here", ("`checkpoint/` may not be written to", "`checkpoint/` 沒有寫入權限"))
def no_right_to_write(bench):
    bench.server.put(bench.path, DATA)
    script("tools/download_weights.py")
    with bench.without_rights():
        yield bench.fetch()


@case("here", ("a disk without locks, as some shared ones are", "沒有檔案鎖的磁碟,某些共用磁碟就是"))
def no_locks(bench):
    def flock(opened, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    bench.patch.setattr("fcntl.flock", flock)
    yield bench.fetch()


@case("here", ("a folder has the file's name", "有個資料夾佔了檔案的名字"))
def folder_in_place(bench):
    bench.server.put(bench.path, DATA)
    bench.target.mkdir(parents=True)
    yield bench.fetch()


@case("here", ("a wrong file is there already", "原本就有一個不對的檔案"))
def wrong_before(bench):
    bench.server.put(bench.path, DATA)
    _mine(bench)
    yield bench.fetch()


@case("here", ("a wrong file is there already, and the right one cannot be had",
               "原本就有一個不對的檔案,而正確的拿不到"))
def wrong_before_and_nothing_better(bench):
    bench.server.put(bench.path, status=404)
    _mine(bench)
    yield bench.fetch()


@case("here", ("`SHA256SUMS` is damaged", "`SHA256SUMS` 壞了"))
def damaged_sums(bench):
    bench.target.parent.mkdir()
    (bench.target.parent / "SHA256SUMS").write_text("not a hash\n", encoding="utf-8")
    bench.server.put(bench.path, DATA)
    yield bench.fetch()


@case("here", ("another process is fetching the same file", "另一個程序正在下載同一個檔案"))
def two_processes(bench):
    bench.server.put(bench.path, DATA, stall_at=CUT)
    bench.server.put(bench.path, DATA)
    first = bench.start()
    bench.until_stalled()
    second = bench.start()
    said = second.stderr.readline()
    bench.end_stall()
    assert first.wait(30) == 0 and second.wait(30) == 0
    yield bench.seen(said + second.stderr.read(), second.returncode)
    first.communicate()
    assert bench.server.sent == len(DATA)


@case("here", ("a name that is in no catalog", "任何目錄裡都沒有的名字"))
def unknown_name(bench):
    yield bench.call("tools/download_weights.py", "nett", "--catalog", str(bench.catalog))


@case("hostile", ("plain http, and the catalog has not the whole hash", "沒有加密的 http,而目錄沒有完整的雜湊值"))
def plain_http(bench):
    bench.write_catalog(f"http://mirror.example/{NAME}")
    yield bench.fetch()


@case("hostile", ("https that redirects to plain http", "https 轉址到沒有加密的 http"), needs="openssl")
def redirect_to_plain_http(bench):
    server = trusted_server(bench)
    server.put(bench.path, location=f"http://mirror.example/{NAME}")
    yield bench.fetch()


@case("hostile", ("a catalog whose paths lead out of `checkpoint/`", "路徑會跑出 `checkpoint/` 的目錄檔"))
def hostile_catalog(bench):
    bench.catalog.write_text("""net:
  folder: ~/.ssh
  files:
    - {path: ../../etc/passwd, sources: ['https://HOST/a']}
    - {path: /etc/passwd, sources: ['https://HOST/b']}
    - {path: 'C:\\Windows\\a.dll', sources: ['https://HOST/c']}
    - {path: a.pth, sources: ['archive+https://HOST/x.zip#../../a.pth']}
""", encoding="utf-8")
    yield bench.fetch()


@case("hostile", ("an archive that has a link where the file should be", "壓縮檔裡該是檔案的地方放了連結"))
def link_in_archive(bench):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo(f"models/{NAME}")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("../../evil.pth", DATA)
    bench.server.put("/x.zip", packed.getvalue())
    bench.write_catalog(f"archive+{bench.server.url}/x.zip#models/{NAME}")
    yield bench.fetch()


@case("hostile", ("a repository that has a link where the file should be",
                  "儲存庫裡該是檔案的地方放了連結"), needs="git")
def link_in_repository(bench):
    repository = make_repository(bench.folder / "remote.git", {"a": b"a"}, links={NAME: "/etc/passwd"})
    bench.write_catalog(f"git+file://{repository}@models#{NAME}")
    yield bench.fetch()


@case("hostile", ("`predict.py` with a checkpoint that would run a program",
                  "`predict.py` 遇到會執行程式的 checkpoint"))
def hostile_pickle(bench):
    from PIL import Image

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {bench.folder}/was-run",)

    bench.target.parent.mkdir()
    evil = bench.target.parent / "evil.pth"
    evil.write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))
    Image.new("RGB", (64, 48)).save(bench.folder / "photo.jpg")
    yield bench.call("pose_tools/predict.py", str(bench.folder / "photo.jpg"), "--pose", str(evil),
                     "--out", str(bench.folder / "out"))
    assert not (bench.folder / "was-run").exists()


def _mine(bench) -> None:
    bench.target.parent.mkdir()
    bench.target.write_bytes(MINE)
