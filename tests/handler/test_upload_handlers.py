"""Upload handlers of a user's own, and where an upload is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from form_bodies import open_files, part, request_of, spooled, whole

from penstock.handler.body import SpooledBody
from penstock.handler.datastructures import MultiValueDict, QueryDict
from penstock.handler.exceptions import SkipFile, StopFutureHandlers, StopUpload
from penstock.handler.file_window import is_in_file
from penstock.handler.upload_handlers import FileUploadHandler

if TYPE_CHECKING:
    from form_bodies import Read


@pytest.mark.conformance("C095")
@pytest.mark.parametrize("rolled", [False, True])
def test_large_uploads_are_on_disk(read: Read, *, rolled: bool) -> None:
    content = os.urandom(300_000)
    body = whole(part("f", content, "a.tar.gz"), part("g", b"x" * 1000, "b"), part("a", "1"))
    source = spooled(body, 1000) if rolled else body
    request = request_of(source, file_upload_max_memory_size=1000)
    post, files = read(request)
    path = Path(files["f"].temporary_file_path())
    assert path.read_bytes() == content
    assert path.name.endswith(".upload.gz")
    assert files["f"].read() == content
    assert not hasattr(files["g"], "temporary_file_path")
    assert post["a"] == "1"
    request.close()
    assert not path.exists()
    assert open_files() == set()
    if isinstance(source, SpooledBody):
        source.close()


def test_what_is_not_in_the_bodys_file_is_not_taken_for_stored(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    path = tmp_path / "body"
    path.write_bytes(b"head" + content)
    with path.open("rb") as file:
        held = memoryview(content)
        assert is_in_file(held, file.fileno(), 4)
        assert not is_in_file(held, file.fileno(), 3)
        assert not is_in_file(held[:100], file.fileno(), 199_950)
        for at in (0, 65_535, 65_536, 199_999):
            other = bytearray(content)
            other[at] ^= 1
            assert not is_in_file(memoryview(other), file.fileno(), 4)


def test_an_upload_that_was_moved_away_can_be_closed(tmp_path: Path) -> None:
    request = request_of(whole(part("f", b"x" * 100, "a")), file_upload_max_memory_size=10)
    Path(request.FILES["f"].temporary_file_path()).rename(tmp_path / "kept")
    request.close()
    assert (tmp_path / "kept").read_bytes() == b"x" * 100


class Recording(FileUploadHandler):
    """Keeps what it is told."""

    def __init__(self, *, passes: bool = False, raises: Exception | None = None) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.passes = passes
        self.raises = raises

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.calls.append(("new", self.field_name, self.file_name, self.content_length))
        if isinstance(self.raises, StopFutureHandlers):
            raise self.raises

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self.calls.append((raw_data, start))
        if self.raises and not isinstance(self.raises, StopFutureHandlers):
            raise self.raises
        return raw_data.upper() if self.passes else None

    def file_complete(self, file_size: int) -> Any:
        self.calls.append(("complete", file_size))
        return None if self.passes else f"file of {file_size}"

    def upload_complete(self) -> None:
        self.calls.append("all")

    def upload_interrupted(self) -> None:
        self.calls.append("interrupted")


@pytest.mark.conformance("C096")
def test_upload_handlers_see_each_file_in_turn(read: Read) -> None:
    first, second, third = Recording(passes=True), Recording(), Recording()
    request = request_of(whole(part("f", b"abc", "a.txt", "Content-Length: 3")))
    request.upload_handlers = [first, second, third]
    assert read(request)[1] == {"f": ["file of 3"]}
    assert first.calls == [("new", "f", "a.txt", 3), (b"abc", 0), ("complete", 3), "all"]
    assert second.calls == [("new", "f", "a.txt", 3), (b"ABC", 0), ("complete", 3), "all"]
    assert third.calls == [("new", "f", "a.txt", 3), "all"]
    with pytest.raises(AttributeError, match="before"):
        request.upload_handlers = []


@pytest.mark.conformance("C096")
def test_handlers_after_one_that_stops_see_nothing(read: Read) -> None:
    first, second = Recording(raises=StopFutureHandlers()), Recording()
    request = request_of(whole(part("f", b"abc", "a.txt")))
    request.upload_handlers = [first, second]
    assert read(request)[1] == {"f": ["file of 3"]}
    assert second.calls == ["all"]


@pytest.mark.conformance("C096")
def test_skip_file_leaves_one_file_out(read: Read) -> None:
    class Skips(Recording):
        def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
            if self.file_name == "skip":
                raise SkipFile
            return super().receive_data_chunk(raw_data, start)

    handler = Skips()
    request = request_of(
        whole(part("f", b"x" * 999, "skip"), part("a", "1"), part("f", b"y", "keep"))
    )
    request.upload_handlers = [handler]
    post, files = read(request)
    assert (post["a"], files) == ("1", {"f": ["file of 1"]})
    assert "interrupted" in handler.calls


@pytest.mark.conformance("C096")
@pytest.mark.parametrize("reset", [False, True])
def test_stop_upload_keeps_what_was_there(read: Read, *, reset: bool) -> None:
    request = request_of(
        whole(part("a", "1"), part("f", b"x" * 9000, "f"), part("b", "2")), chunk_size=500
    )
    request.upload_handlers = [Recording(raises=StopUpload(connection_reset=reset))]
    request.upload_handlers[0].chunk_size = 500
    post, files = read(request)
    assert (dict(post.items()), files) == ({"a": "1"}, {})
    assert bool(request.read()) is reset


def test_a_handler_may_parse_the_body_itself(read: Read) -> None:
    class Whole(FileUploadHandler):
        def handle_raw_input(self, input_data: Any, *args: Any, **kwargs: Any) -> Any:
            seen = MultiValueDict({"seen": [args[2:]]})
            return QueryDict(b"raw=" + input_data.read()), seen

    request = request_of(b"anything")
    request.upload_handlers = [Whole()]
    assert read(request) == ({"raw": ["anything"]}, {"seen": [(b"BoUnDaRy", "utf-8")]})


@pytest.mark.conformance("C095")
@pytest.mark.parametrize("threshold", [0, 1000])
@pytest.mark.parametrize("size", [1, 999, 1_000, 1_001, 65_536, 200_000])
@pytest.mark.parametrize("ending", [b"", b"\r", b"\r\n--BoUnD"])
def test_uploads_on_both_sides_of_every_threshold(
    read: Read, threshold: int, size: int, ending: bytes
) -> None:
    """The content is right wherever pieces end, and it is on disk if it is above the threshold."""
    content = (os.urandom(size - len(ending)) + ending) if size > len(ending) else b"x"
    body = whole(part("a", "1"), part("f", content, "a.txt"), part("g", content * 2, "b.txt"))
    source = spooled(body, 0)
    for chunk_size in (97, 500, 65_536):
        source.seek(0)
        request = request_of(source, chunk_size=chunk_size, file_upload_max_memory_size=threshold)
        files = read(request)[1]
        for name, expected in (("f", content), ("g", content * 2)):
            assert files[name].read() == expected
            assert hasattr(files[name], "temporary_file_path") == (len(expected) > threshold)
        request.close()
    source.close()
    assert open_files() == set()


@pytest.mark.conformance("C095")
@pytest.mark.parametrize(("chunk_size", "threshold"), [(500, 1_000), (65_536, 1_000), (65_536, 0)])
def test_a_large_file_of_a_body_on_disk_is_written_once(
    read: Read, chunk_size: int, threshold: int
) -> None:
    """It is read from the body's file, and gets a path of its own when that is asked for."""
    content = bytes(range(200)) * 1_000
    source = spooled(whole(part("a", "1"), part("f", content, "a.txt"), part("b", "2")), 1000)
    request = request_of(source, chunk_size=chunk_size, file_upload_max_memory_size=threshold)
    file = read(request)[1]["f"]
    assert open_files() == set()
    source.close()
    assert open_files() == set()
    assert file.read(10) == content[:10]
    assert file.seek(-3, os.SEEK_END) == 199_997
    assert file.read() == content[-3:]
    assert file.seek(300_000) == 300_000
    assert file.read(10) == b""
    assert file.seek(1000) == 1000
    assert next(iter(file.chunks(300))) == content[:300]
    file.seek(1000)
    path = Path(file.temporary_file_path())
    assert path.read_bytes() == content
    assert file.temporary_file_path() == str(path)
    assert file.tell() == 1000
    assert file.read() == content[1000:]
    request.close()
    assert not path.exists()
    assert open_files() == set()
