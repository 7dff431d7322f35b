"""Files that are changed while they are sent: the client never takes a part for the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import exchange

from penstock.handler import ASGIHandler, FileResponse
from penstock.handler.exceptions import ContentLengthMismatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 300_000


def sent(file: Path, change: Callable[[], object], **fields: Any) -> Any:
    """The result of a download during which, after its first part, the file is changed."""
    changes = [change]

    async def view(request: Any) -> FileResponse:
        return FileResponse(file)

    def on_send(message: dict[str, Any]) -> None:
        if message.get("body") and changes:
            changes.pop()()

    return exchange(ASGIHandler(view), on_send=on_send, **fields)


@pytest.mark.parametrize(
    "headers", [[], [(b"range", b"bytes=10-")], [(b"range", b"bytes=0-9,100-299999")]]
)
def test_a_file_that_shrinks_is_cut_short(
    tmp_path: Path, signals: Any, headers: list[tuple[bytes, bytes]]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * SIZE)
    result = sent(file, lambda: file.write_bytes(b"x" * 1000), headers=headers)
    assert isinstance(result.error, ContentLengthMismatch)
    assert not result.is_complete
    assert len(result.body) < int(result.header("content-length") or 0)
    assert ["error"] == signals.outcomes


def test_a_file_that_grows_is_sent_as_long_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * SIZE)
    result = sent(file, lambda: file.write_bytes(b"x" * 2 * SIZE))
    assert (SIZE, True, None) == (len(result.body), result.is_complete, result.error)


def test_a_file_that_is_replaced_or_removed_is_sent_as_it_was(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    for change in (lambda: other.replace(file), file.unlink):
        file.write_bytes(b"x" * SIZE)
        other.write_bytes(b"y" * SIZE)
        assert b"x" * SIZE == sent(file, change).body
