"""Faults on the way to a server, of the server, and of a transfer that does not come to an end."""
from __future__ import annotations

import io
import shutil
import signal
import socket
import zipfile

from download_server import BadServer
from failure_bench import CUT, DATA, NAME
from failure_registry import AGAIN, case, cut_before, trusted_server
from git_server import make_repository

from pose_tools.weights.download.git_command import git_program


@case("way", ("no network, or no such host", "沒有網路,或沒有這台主機"))
def unknown_host(bench):
    real = socket.getaddrinfo

    def getaddrinfo(host, *more, **options):
        if host == "weights.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *more, **options)

    bench.patch.setattr(socket, "getaddrinfo", getaddrinfo)
    bench.write_catalog(f"https://weights.example/{NAME}")
    yield bench.fetch()


@case("way", ("nobody listens there", "那裡沒有服務在聽"))
def refused(bench):
    with BadServer() as gone:
        address = gone.url
    bench.write_catalog(f"{address}/{NAME}")
    yield bench.fetch()


@case("way", ("the proxy does not answer", "代理伺服器沒有回應"))
def no_proxy(bench):
    with BadServer() as gone:
        bench.patch.setenv("HTTPS_PROXY", gone.url)
    bench.write_catalog(f"https://HOST/{NAME}")
    yield bench.fetch()


@case("way", ("a certificate that nobody vouches for", "沒有人擔保的憑證"), needs="openssl")
def self_signed(bench):
    trusted_server(bench).put(bench.path, DATA)
    bench.patch.delenv("SSL_CERT_FILE")
    yield bench.fetch()


@case("way", ("a certificate of another host", "別台主機的憑證"), needs="openssl")
def certificate_of_another_host(bench):
    trusted_server(bench, "DNS:example.org").put(bench.path, DATA)
    yield bench.fetch()


@case("way", ("a certificate that has expired", "過期的憑證"), needs="openssl")
def expired(bench):
    trusted_server(bench, until_year=2021).put(bench.path, DATA)
    yield bench.fetch()


@case("way", ("`SSL_CERT_FILE` names a file that is not there", "`SSL_CERT_FILE` 指到不存在的檔案"))
def no_bundle(bench):
    bench.patch.setenv("SSL_CERT_FILE", str(bench.folder / "absent.pem"))
    bench.write_catalog(f"https://HOST/{NAME}")
    yield bench.fetch()


@case("way", ("offline: `POSE_TOOLS_OFFLINE=1`, or `--offline`", "離線:`POSE_TOOLS_OFFLINE=1` 或 `--offline`"))
def offline(bench):
    bench.patch.setenv("POSE_TOOLS_OFFLINE", "1")
    yield bench.fetch()


@case("server", ("404, not found", "404,找不到"))
def not_found(bench):
    bench.server.put(bench.path, status=404)
    yield bench.fetch()


@case("server", ("403, forbidden", "403,禁止存取"))
def forbidden(bench):
    bench.server.put(bench.path, status=403)
    yield bench.fetch()


@case("server", ("401 from the Hugging Face hub: a private or gated model",
                 "Hugging Face 回 401:私有或需同意授權的模型"))
def gated(bench):
    bench.patch.setenv("HF_ENDPOINT", bench.server.url)
    bench.server.put(f"/someone/net/resolve/main/{NAME}", status=401, headers={"X-Error-Code": "GatedRepo"})
    bench.write_catalog(f"hf:someone/net#{NAME}")
    yield bench.fetch()


@case("server", ("429, too many requests; come back in a second", "429,請求太多;一秒後再來"))
def too_many(bench):
    bench.server.put(bench.path, status=429, headers={"Retry-After": "1"})
    bench.server.put(bench.path, DATA)
    yield bench.fetch()


@case("server", ("429, and to come back in an hour", "429,要求一小時後再來"))
def too_many_for_long(bench):
    bench.server.put(bench.path, status=429, headers={"Retry-After": "3600"})
    yield bench.fetch()


@case("server", ("500, whenever it is asked", "每次都回 500"))
def broken_server(bench):
    bench.server.put(bench.path, status=500)
    yield bench.fetch()


@case("server", ("503 twice, then the file", "兩次 503,之後正常"))
def busy_server(bench):
    for _ in range(2):
        bench.server.put(bench.path, status=503)
    bench.server.put(bench.path, DATA)
    yield bench.fetch()


@case("server", ("404 at the first source, the file at the second", "第一個來源回 404,第二個來源有檔案"))
def second_source(bench):
    bench.server.put(bench.path, status=404)
    bench.write_catalog(f"{bench.server.url}{bench.path}", bench.server.put("/copy.pth", DATA))
    yield bench.fetch()


@case("server", ("it sends from one address to the next, without an end", "一直轉址,沒有盡頭"))
def redirects_for_ever(bench):
    bench.server.put(bench.path, location=f"{bench.server.url}{bench.path}")
    yield bench.fetch()


@case("server", ("a git source, and there is no git on this machine", "來源是 git,而這台電腦沒有 git"))
def no_git(bench):
    bench.patch.setattr(shutil, "which", lambda program: None)
    bench.write_catalog(f"git+https://HOST/net.git@models#{NAME}")
    git_program.cache_clear()
    try:
        yield bench.fetch()
    finally:
        git_program.cache_clear()


@case("server", ("the git repository does not exist", "git 儲存庫不存在"), needs="git")
def no_repository(bench):
    bench.write_catalog(f"git+file://{bench.folder}/absent.git@models#{NAME}")
    yield bench.fetch()


@case("server", ("the repository has no such branch", "儲存庫裡沒有這個分支"), needs="git")
def no_branch(bench):
    repository = make_repository(bench.folder / "remote.git", {NAME: DATA})
    bench.write_catalog(f"git+file://{repository}@modles#{NAME}")
    yield bench.fetch()


@case("server", ("the branch has no such file", "分支裡沒有這個檔案"), needs="git")
def no_file_in_branch(bench):
    repository = make_repository(bench.folder / "remote.git", {"checkpoints/other.pth": DATA})
    bench.write_catalog(f"git+file://{repository}@models#{NAME}")
    yield bench.fetch()


@case("cut", ("the connection breaks, and does so again each time", "連線中斷,每次重試都一樣"), AGAIN)
def cut(bench):
    bench.server.put(bench.path, DATA, cut_at=CUT)
    bench.server.put(bench.path, DATA, cut_at=0)
    yield bench.fetch()
    bench.server.clear(bench.path)
    bench.server.put(bench.path, DATA)
    yield bench.fetch()
    assert bench.server.asked()[-1]["Range"] == f"bytes={CUT}-"


@case("cut", ("the same with an archive that the file is in", "檔案在壓縮檔裡,情況相同"), AGAIN)
def cut_archive(bench):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"models/{NAME}", DATA)
    bench.server.put("/x.zip", packed.getvalue(), cut_at=CUT)
    bench.server.put("/x.zip", packed.getvalue(), cut_at=0)
    bench.write_catalog(f"archive+{bench.server.url}/x.zip#models/{NAME}")
    yield bench.fetch()
    bench.server.clear("/x.zip")
    bench.server.put("/x.zip", packed.getvalue())
    yield bench.fetch()
    assert bench.server.sent == len(packed.getvalue())


@case("cut", ("the connection breaks once", "連線只中斷一次"))
def cut_once(bench):
    bench.server.put(bench.path, DATA, cut_at=CUT)
    bench.server.put(bench.path, DATA)
    yield bench.fetch()
    assert bench.server.sent == len(DATA)


@case("cut", ("the server falls silent", "伺服器突然沒有聲音"))
def stall(bench):
    bench.server.put(bench.path, DATA, stall_at=CUT)
    bench.server.put(bench.path, DATA, stall_at=0)
    yield bench.fetch()


@case("cut", ("the server only drips", "伺服器慢得像滴水"))
def drip(bench):
    bench.server.put(bench.path, DATA, bytes_per_second=800)
    yield bench.fetch()


@case("cut", ("the next run finds a server that cannot go on in the middle", "再執行時,伺服器不支援續傳"))
def no_ranges(bench):
    cut_before(bench)
    bench.server.put(bench.path, DATA, ranges=False)
    yield bench.fetch()
    assert bench.server.sent == CUT + len(DATA)


@case("cut", ("the next run finds another file there, and the hash is known",
              "再執行時,檔案已經換掉,而雜湊值已知"))
def changed(bench):
    cut_before(bench)
    bench.server.put(bench.path, DATA[::-1])
    yield bench.fetch()


@case("cut", ("the next run finds another file there, and no hash is known",
              "再執行時,檔案已經換掉,而雜湊值未知"))
def changed_without_hash(bench):
    bench.write_catalog(path="net.pth")
    bench.path = "/net.pth"
    cut_before(bench, b"\x80\x02" + DATA[:1:-1])
    bench.server.put(bench.path, DATA)
    yield bench.fetch()
    assert bench.server.asked()[-1]["If-Range"]


@case("cut", ("Ctrl-C", "Ctrl-C"), AGAIN)
def ctrl_c(bench):
    bench.server.put(bench.path, DATA, stall_at=CUT)
    bench.server.put(bench.path, DATA)
    process = bench.start()
    bench.until_stalled()
    process.send_signal(signal.SIGINT)
    yield bench.seen(process.communicate()[1], process.returncode)
    yield bench.fetch()
    assert bench.server.sent == len(DATA)


@case("cut", ("the process is killed (`kill -9`)", "程序被強制結束(`kill -9`)"), AGAIN)
def killed(bench):
    bench.server.put(bench.path, DATA, stall_at=CUT)
    bench.server.put(bench.path, DATA)
    process = bench.start()
    bench.until_stalled()
    process.kill()
    yield bench.seen(process.communicate()[1], process.returncode)
    yield bench.fetch()
    assert bench.server.sent == len(DATA)
