"""A page in a headless chromium, driven over the DevTools protocol."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.sync.connection import Connection

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_PATIENCE = 60.0  # seconds: a cold browser on a busy machine


class PageLeft(RuntimeError):
    """Another page was loaded meanwhile."""


class Page:
    """One page. Errors of the browser and of scripts are raised."""

    def __init__(self, connection: Connection, session: str) -> None:
        self._connection = connection
        self._session = session
        self._number = 0

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the DevTools protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=_PATIENCE))
            if answer.get("id") == self._number and answer.get("sessionId", "") == self._session:
                if "error" in answer:
                    text = answer["error"]["message"]
                    left = "navigated" in text or "context was destroyed" in text
                    raise (PageLeft if left else RuntimeError)(f"{method}: {text}")
                return answer["result"]

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression; promises are awaited."""
        result = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, condition: str) -> Any:
        """Return the value of an expression as soon as it is true, on whichever page it is."""
        script = f"""new Promise((resolve, reject) => {{
            const until = Date.now() + {_PATIENCE * 1000};
            (function look() {{
                const value = ({condition});
                if (value) resolve(value);
                else if (Date.now() > until) reject(new Error("never true"));
                else setTimeout(look, 20);
            }})();
        }})"""
        while True:
            try:
                return self.run(script)
            except PageLeft:
                continue

    def go(self, url: str) -> None:
        """Load a page and wait until it is there."""
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in a form, as a visitor does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


@contextmanager
def open_page(chromium: str, profile: Path) -> Iterator[Page]:
    """Start a browser with a new profile, yield a page of it, and stop the browser."""
    process = subprocess.Popen(
        [chromium, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        address = _address(process.stderr)
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        with connect(address, max_size=None, open_timeout=_PATIENCE) as connection:
            browser = Page(connection, "")
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
            yield Page(connection, attached["sessionId"])
            browser.call("Browser.close")
        process.wait(_PATIENCE)
        drain.join(_PATIENCE)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _address(output: IO[str]) -> str:
    """Return where the browser listens, which it says on its standard error."""
    said = []
    for line in output:
        said.append(line)
        found = re.search(r"DevTools listening on (ws://\S+)", line)
        if found is not None:
            return found[1]
    raise RuntimeError(f"chromium did not start:\n{''.join(said)}")
