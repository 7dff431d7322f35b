"""A browser uses the example's page: a form with a file, server-sent events, a WebSocket."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING

import pytest
from chromium import open_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chromium import Page


@pytest.fixture(scope="module")
def page(
    need: Callable[[str], str], host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    with open_page(need("chromium"), tmp_path_factory.mktemp("profile")) as page:
        page.go(f"http://{host}/page")
        yield page


def test_server_sent_events_arrive(page: Page) -> None:
    page.wait_for("document.querySelectorAll('#ticks li').length === 4")
    assert page.run("[...document.querySelectorAll('#ticks li')].map(item => item.innerText)") == [
        "0",
        "1",
        "2",
        "that was all",
    ]


def test_a_websocket_is_talked_on(page: Page) -> None:
    page.wait_for("document.querySelectorAll('#said li').length === 1")
    page.run("socket.send('привет')")
    page.wait_for("document.querySelectorAll('#said li').length === 2")
    said = page.run("[...document.querySelectorAll('#said li')].map(item => item.innerText)")
    assert said == ["you said: hello", "you said: привет"]


def test_a_websocket_is_closed_by_the_browser(page: Page) -> None:
    code = page.run(
        """new Promise(resolve => {
            socket.addEventListener("close", event => resolve([event.code, event.wasClean]));
            socket.close(4001, "bye");
        })"""
    )
    assert code == [4001, True]


def test_a_websocket_that_is_refused_does_not_open(page: Page) -> None:
    assert (
        page.run(
            """new Promise(resolve => {
            const refused = new WebSocket(new URL("nowhere", location.href.replace(/^http/, "ws")));
            refused.addEventListener("close", event => resolve(event.code));
        })"""
        )
        == 1006
    )


def test_a_file_is_downloaded_in_ranges(page: Page) -> None:
    found = page.run(
        """fetch("download", {headers: {Range: "bytes=0-2"}})
            .then(async answer => [answer.status, await answer.text()])"""
    )
    assert found == [206, '"""']


def test_a_file_is_uploaded_through_the_form(page: Page, tmp_path: Path) -> None:
    content = random.Random(3).randbytes(3_000_000)  # more than stays in memory
    file = tmp_path / 'Ünïcode "quoted".bin'
    file.write_bytes(content)
    page.choose_file("input[type=file]", file)
    page.run("document.querySelector('form button').click()")
    page.wait_for("location.pathname === '/upload' && document.readyState === 'complete'")
    answer = json.loads(page.run("document.body.innerText"))
    sha256 = hashlib.sha256(content).hexdigest()
    assert (answer["size"], answer["sha256"]) == (len(content), sha256)
    assert answer["filename"].startswith("Ünïcode")
