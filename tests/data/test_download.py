"""The download: resumed, checked, and unpacked by name into one place. Served from this machine only."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.fuzz.harness import watched

from snellen.data import cifar10, download
from snellen.errors import ChecksumMismatch, DataError, DataNotFound, HostileFile, InvalidSetting, StorageError

NAMES = (*cifar10.PUBLISHED.md5, *cifar10.PUBLISHED.beside)
CONTENTS = {name: f"the content of {name}\n".encode() * 400 for name in NAMES}
ARCHIVE, SUM = next(iter(cifar10.PUBLISHED.fetched.items()))


def download_cifar10(
    into: Path, *, urls: tuple[str, ...] = (), md5: str = SUM, progress: download.Progress | None = None
) -> Path:
    """CIFAR-10 from these addresses, with this sum for the published one."""
    given = replace(cifar10.PUBLISHED, mirrors=urls, fetched={ARCHIVE: md5})
    return download.download(given, into, progress=progress)


def archive(extra: Callable[[tarfile.TarFile], object] | None = None, contents: dict[str, bytes] = CONTENTS) -> bytes:
    """A small archive in the layout of the real one, with `extra` members at its end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=0) as tar:
        folder = tarfile.TarInfo("cifar-10-batches-py")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in contents.items():
            add(tar, f"cifar-10-batches-py/{name}", content)
        if extra is not None:
            extra(tar)
    return buffer.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, len(content)
    tar.addfile(member, io.BytesIO(content))


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class Server:
    """Serves `content` on 127.0.0.1; `cuts` are the numbers of bytes after which the next answers break off."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        self.status: int | None = None
        self.knows_ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/cifar-10-python.tar.gz"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.ranges.append(wanted)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.knows_ranges else 0
        if self.status or start >= len(self.content):
            handler.send_error(self.status or 416)
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)

    def stop(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], Server]]:
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    started: list[Server] = []

    def start(content: bytes) -> Server:
        started.append(Server(content))
        return started[-1]

    yield start
    for server in started:
        server.stop()


Serve = Callable[[bytes], Server]


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WHOLE = {f"cifar-10-batches-py/{name}": CONTENTS[name] for name in cifar10.PUBLISHED.md5}


def test_the_seven_files_arrive_and_nothing_else_remains(serve: Serve, tmp_path: Path) -> None:
    content = archive()
    server, told = serve(content), []
    folder = download_cifar10(
        tmp_path / "new" / "cache", urls=(server.url,), md5=md5(content), progress=lambda *sizes: told.append(sizes)
    )
    assert folder == tmp_path / "new" / "cache" / "cifar-10-batches-py"
    assert files_under(tmp_path / "new" / "cache") == WHOLE
    assert told[-1] == (len(content), len(content))
    assert [path.name for path in (tmp_path / "new" / "cache").iterdir()] == ["cifar-10-batches-py"]


def test_a_cut_connection_is_continued_where_it_stopped(serve: Serve, tmp_path: Path) -> None:
    content = archive()
    server = serve(content)
    server.cuts = [5_000, 7_000]
    download_cifar10(tmp_path, urls=(server.url,), md5=md5(content))
    assert server.ranges == [None, "bytes=5000-", "bytes=12000-"]
    assert files_under(tmp_path) == WHOLE


def test_the_next_call_continues_what_the_last_one_left(serve: Serve, tmp_path: Path) -> None:
    content = archive()
    server = serve(content)
    server.cuts = [9_000, 0]  # then nothing new: the server is gone
    with pytest.raises(DataNotFound, match="continues where it stopped"):
        download_cifar10(tmp_path, urls=(server.url,), md5=md5(content))
    assert files_under(tmp_path) == {"cifar-10-python.tar.gz.part": content[:9_000]}
    download_cifar10(tmp_path, urls=(server.url,), md5=md5(content))
    assert server.ranges[-1] == "bytes=9000-"
    assert files_under(tmp_path) == WHOLE


def test_a_server_that_cannot_continue_starts_again(serve: Serve, tmp_path: Path) -> None:
    content = archive()
    server = serve(content)
    server.cuts, server.knows_ranges = [9_000], False
    download_cifar10(tmp_path, urls=(server.url,), md5=md5(content))
    assert files_under(tmp_path) == WHOLE


def test_a_part_that_is_whole_already_is_not_fetched_again(serve: Serve, tmp_path: Path) -> None:
    content = archive()
    (tmp_path / "cifar-10-python.tar.gz.part").write_bytes(content)
    download_cifar10(tmp_path, urls=(serve(content).url,), md5=md5(content))
    assert files_under(tmp_path) == WHOLE


def test_a_part_of_something_else_is_thrown_away_once(serve: Serve, tmp_path: Path) -> None:
    content = archive()
    (tmp_path / "cifar-10-python.tar.gz.part").write_bytes(b"?" * 3_000)
    server = serve(content)
    download_cifar10(tmp_path, urls=(server.url,), md5=md5(content))
    assert server.ranges == ["bytes=3000-", None]
    assert files_under(tmp_path) == WHOLE


def test_the_mirror_is_asked_when_the_first_is_away(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive()
    away, mirror = serve(content), serve(content)
    away.status = 503
    monkeypatch.setenv("SNELLEN_CIFAR10_URL", f"{away.url} {mirror.url}")
    download_cifar10(tmp_path, md5=md5(content))
    assert files_under(tmp_path) == WHOLE


def test_when_all_are_away_each_is_named_with_its_reason(serve: Serve, tmp_path: Path) -> None:
    away = serve(b"")
    away.status = 404
    closed, wrong = "http://127.0.0.1:9/cifar-10-python.tar.gz", "http://[oops/cifar-10-python.tar.gz"
    with pytest.raises(DataNotFound) as caught:
        download_cifar10(tmp_path, urls=(away.url, closed, wrong))
    for part in (
        f"{away.url} (HTTP 404)",
        f"{closed} (",
        "refused",
        f"{wrong} (",
        "--data FOLDER",
        "$SNELLEN_CIFAR10_URL",
    ):
        assert part in str(caught.value)


def test_something_else_is_refused_with_both_sums(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ChecksumMismatch, match=f"{md5(b'something else')}, expected {SUM}"):
        download_cifar10(tmp_path, urls=(serve(b"something else").url,))
    assert files_under(tmp_path) == {}


def test_more_than_the_cap_is_not_fetched(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive()
    monkeypatch.setattr(download, "MAX_FETCHED_BYTES", len(content) - 1)
    with pytest.raises(DataNotFound, match="more than"):
        download_cifar10(tmp_path, urls=(serve(content).url,), md5=md5(content))
    assert files_under(tmp_path) == {}


def test_only_web_addresses_are_opened(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="https://"):
        download_cifar10(tmp_path, urls=("file:///etc/passwd",))


def renamed(tar: tarfile.TarFile, name: str) -> None:
    """A member whose first header has a harmless name and whose extended one has another."""
    member = tarfile.TarInfo("cifar-10-batches-py/test_batch")
    member.pax_headers = {"path": name}
    tar.addfile(member)


def sparse(tar: tarfile.TarFile, name: str) -> None:
    """A member of no bytes that claims a terabyte of holes."""
    member = tarfile.TarInfo(name)
    member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.size": str(2**40), "GNU.sparse.map": "0,0"}
    tar.addfile(member)


HOSTILE: dict[str, Callable[[tarfile.TarFile], object]] = {
    "parent": lambda tar: add(tar, "../escaped", b"x"),
    "parent inside": lambda tar: add(tar, "cifar-10-batches-py/../../escaped", b"x"),
    "absolute": lambda tar: add(tar, "/tmp/snellen-escaped", b"x"),
    "name that begins alike": lambda tar: add(tar, "cifar-10-batches-py_/test_batch", b"x"),
    "unknown file": lambda tar: add(tar, "cifar-10-batches-py/extra", b"x"),
    "second of a name": lambda tar: add(tar, "cifar-10-batches-py/test_batch", b"x"),
    "symbolic link": lambda tar: add(tar, "cifar-10-batches-py/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    "link by a known name": lambda tar: add(
        tar, "cifar-10-batches-py/test_batch", kind=tarfile.SYMTYPE, link="../../escaped"
    ),
    "hard link": lambda tar: add(tar, "cifar-10-batches-py/test_batch", kind=tarfile.LNKTYPE, link="/etc/passwd"),
    "device": lambda tar: add(tar, "cifar-10-batches-py/test_batch", kind=tarfile.CHRTYPE),
    "pipe": lambda tar: add(tar, "cifar-10-batches-py/test_batch", kind=tarfile.FIFOTYPE),
    "backslashes": lambda tar: add(tar, "cifar-10-batches-py\\..\\escaped", b"x"),
    "dots that look alike": lambda tar: add(tar, "cifar-10-batches-py/\u2024\u2024/escaped", b"x"),
    "wide slash": lambda tar: add(tar, "cifar-10-batches-py\uff0ftest_batch", b"x"),
    "a dot between": lambda tar: add(tar, "cifar-10-batches-py/./test_batch", b"x"),
    "another case": lambda tar: add(tar, "CIFAR-10-batches-py/test_batch", b"x"),
    "nothing": lambda tar: add(tar, "", b"x"),
    "a name in two headers": lambda tar: renamed(tar, "../../escaped"),
    "sparse": lambda tar: sparse(tar, "cifar-10-batches-py/test_batch"),
    "hundreds of thousands": lambda tar: [add(tar, "cifar-10-batches-py", kind=tarfile.DIRTYPE) for _ in range(200)],
    "folder by a known name": lambda tar: add(tar, "cifar-10-batches-py/test_batch", kind=tarfile.DIRTYPE),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_malicious_archive_writes_nothing_anywhere(kind: str, serve: Serve, tmp_path: Path) -> None:
    content = archive(HOSTILE[kind])
    into = tmp_path / "outer" / "cache"
    with pytest.raises(HostileFile, match=r"[Nn]othing was written"):
        download_cifar10(into, urls=(serve(content).url,), md5=md5(content))
    assert files_under(tmp_path) == {"outer/cache/cifar-10-python.tar.gz.part": content}
    assert not (into / "cifar-10-batches-py").exists()


def test_archives_that_unfold_without_end_are_refused(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive()
    monkeypatch.setattr(download, "MAX_UNPACKED_BYTES", 40_000)
    with pytest.raises(HostileFile, match="unfolds"):
        download_cifar10(tmp_path, urls=(serve(content).url,), md5=md5(content))
    monkeypatch.undo()
    monkeypatch.setattr(download, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(HostileFile, match="does not belong"):
        download.unpack(cifar10.PUBLISHED, tmp_path / "cifar-10-python.tar.gz.part", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no archive", "no readable archive"),
        (archive()[:-3_000], "no readable archive"),
        (archive(contents={"test_batch": b"alone"}), "lacks batches.meta, data_batch_1"),
    ],
)
def test_damaged_and_incomplete_archives_are_one_sentence(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(DataError, match=why):
        download.unpack(cifar10.PUBLISHED, tmp_path / "archive", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_incomplete_folder_is_completed_and_other_files_stay(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"damaged")
    (folder / "notes.txt").write_bytes(b"mine")
    content = archive()
    download_cifar10(tmp_path, urls=(serve(content).url,), md5=md5(content))
    assert files_under(tmp_path) == WHOLE | {"cifar-10-batches-py/notes.txt": b"mine"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        download_cifar10(tmp_path / "file" / "cache", urls=("http://127.0.0.1:9/",))


def header(kind: bytes, size: int, name: bytes = b"x") -> bytes:
    """One tar header as bytes, for archives that `tarfile` would not write."""
    block = bytearray(512)
    block[: len(name)], block[156:157], block[257:265] = name, kind, b"ustar\x0000"
    block[124:136], block[148:156] = b"%011o\0" % size, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ((header(b"L", 2) + b"x\0".ljust(512, b"\0")) * 3_000, "no readable archive"),
        ((header(b"x", 10) + b"10 aa=bbb\n".ljust(512, b"\0")) * 3_000, "no readable archive"),
        (header(b"5", 0, b"cifar-10-batches-py") * 100_000, "more than 64 members"),
        (header(b"0", 2**30, b"cifar-10-batches-py/test_batch"), "does not belong"),
        (header(b"S", 512, b"cifar-10-batches-py/test_batch") + bytes(512), "does not belong"),
        (header(b"0", 0, b"cifar-10-batches-py/test_batch\0/../x"), "lacks"),
        (bytes(80 * 2**20), "lacks"),
    ],
    ids=["names of names", "headers of headers", "100,000 folders", "promise", "old sparse", "NUL", "1:1,000"],
)
def test_headers_without_end_and_promises_are_refused_at_once(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(gzip.compress(content, compresslevel=1))
    with pytest.raises(DataError, match=why), watched(tmp_path):
        download.unpack(cifar10.PUBLISHED, tmp_path / "archive", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_every_link_of_a_chain_longer_than_any_path_is_refused(tmp_path: Path) -> None:
    def chain(tar: tarfile.TarFile) -> None:
        for number in range(20):
            add(tar, f"{'d' * 250}/" * number + "x", kind=tarfile.SYMTYPE, link=f"{'d' * 250}/" * 17 + "..")

    (tmp_path / "archive").write_bytes(archive(chain))
    with pytest.raises(HostileFile, match="does not belong"), watched(tmp_path):
        download.unpack(cifar10.PUBLISHED, tmp_path / "archive", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_what_a_member_says_of_owner_and_rights_is_not_taken_over(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in NAMES:
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.mode, member.uid, member.size = 0o6777, 65_534, 1
            tar.addfile(member, io.BytesIO(b"x"))
    (tmp_path / "archive").write_bytes(buffer.getvalue())
    download.unpack(cifar10.PUBLISHED, tmp_path / "archive", tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert path.stat().st_mode & 0o7111 == 0, path.name
        assert path.stat().st_uid == os.getuid()
