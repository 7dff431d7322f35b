"""The examples for penstock's runtime, by a real HTTP client at a Function URL."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from penstock.infra.runtime_api import LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Run = Callable[..., None]

EXAMPLES = Path(__file__).parents[2] / "examples"
MEBIBYTE = 1 << 20
NEVER_S = 60
"""Longer than any test may take: what is seen before that did not wait for it."""


@asynccontextmanager
async def deployed(
    example: str, command: list[str], **options: Any
) -> AsyncIterator[tuple[LocalRuntimeAPI, httpx.AsyncClient]]:
    """Run an example, and give a client of its URL."""
    environ = {"PENSTOCK_APP": "app:app", **options.pop("environ", {})}
    folder = EXAMPLES / example
    async with (
        LocalRuntimeAPI(command, folder=folder, environ=environ, **options) as api,
        httpx.AsyncClient(base_url=api.function_url, timeout=20) as client,
    ):
        yield api, client


class TestStreaming:
    """``examples/streaming``."""

    @pytest.fixture
    def deploy(self, command: list[str]) -> Any:
        def deploy() -> Any:
            environ = {"PENSTOCK_INVOKE_MODE": "response_stream"}
            return deployed(
                "streaming", command, environ=environ, invoke_mode="response_stream", timeout_s=90
            )

        return deploy

    def test_the_first_word_arrives_long_before_the_next_is_made(
        self, deploy: Any, run: Run
    ) -> None:
        async def main() -> None:
            async with (
                deploy() as (_, client),
                client.stream("GET", "/chat", params={"pause": NEVER_S}) as response,
            ):
                assert "text/event-stream" in response.headers["content-type"]
                async for line in response.aiter_lines():
                    assert 'data: {"token": "A"}' == line
                    break

        run(main())

    def test_the_words_arrive_in_their_order(self, deploy: Any, run: Run) -> None:
        async def main() -> None:
            async with deploy() as (_, client):
                response = await client.get("/chat", params={"pause": 0.01})
                *events, end = response.text.removesuffix("\n\n").split("\n\n")
                assert "data: [DONE]" == end
                words = [json.loads(event.removeprefix("data: "))["token"] for event in events]
                assert "A penstock carries water from the reservoir to the turbine" == " ".join(
                    words
                )

        run(main())

    def test_a_long_download_arrives_whole_and_is_never_whole_in_memory(
        self, deploy: Any, run: Run
    ) -> None:
        async def main() -> None:
            async with deploy() as (api, client):
                assert 200 == (await client.get("/download", params={"mebibytes": 1})).status_code
                before = peak_memory(api)
                digest, size = hashlib.sha256(), 0
                async with client.stream("GET", "/download") as response:
                    assert 'filename="numbers.bin"' in response.headers["content-disposition"]
                    async for piece in response.aiter_raw():
                        digest.update(piece)
                        size += len(piece)
                assert 100 * MEBIBYTE == size
                expected = hashlib.sha256(bytes(range(256)) * (100 * MEBIBYTE // 256))
                assert expected.digest() == digest.digest()
                assert peak_memory(api) - before < 20 * MEBIBYTE

        run(main())

    def test_the_answer_does_not_wait_for_the_work_behind_it(self, deploy: Any, run: Run) -> None:
        async def main() -> None:
            async with deploy() as (_, client):
                response = await client.post("/orders/1", params={"seconds": NEVER_S})
                assert (202, {"state": "accepted"}) == (response.status_code, response.json())

        run(main())

    def test_the_next_request_finds_the_work_done(self, deploy: Any, run: Run) -> None:
        async def main() -> None:
            async with deploy() as (_, client):
                response = await client.post("/orders/1", params={"seconds": 0.2})
                assert {"state": "accepted"} == response.json()
                assert {"state": "confirmed"} == (await client.get("/orders/1")).json()
                assert 404 == (await client.get("/orders/2")).status_code

        run(main())


class TestManagedInstances:
    """``examples/managed-instances``."""

    def test_one_process_serves_as_many_as_there_are_slots(self, run: Run) -> None:
        from runtime_process import STARTED

        async def main() -> None:
            async with deployed("managed-instances", STARTED, concurrency=16) as (api, client):
                await api.ready()
                responses = await asyncio.gather(
                    *(client.get(f"/report/{n}", params={"seconds": 0.2}) for n in range(16))
                )
                assert [str(n) for n in range(16)] == [
                    response.json()["name"] for response in responses
                ]
                assert {api.pid} == {response.json()["process"] for response in responses}

        run(main())

    def test_two_processes_share_the_slots(self, run: Run) -> None:
        from runtime_process import STARTED

        environ = {"PENSTOCK_PROCESSES": "2"}

        async def main() -> None:
            options: dict[str, Any] = {"concurrency": 16, "environ": environ}
            async with deployed("managed-instances", STARTED, **options) as (api, client):
                await api.ready()
                responses = await asyncio.gather(
                    *(client.get(f"/report/{n}", params={"seconds": 0.2}) for n in range(16))
                )
                assert [200] * 16 == [response.status_code for response in responses]
                assert 2 == len({response.json()["process"] for response in responses})

        run(main())


def peak_memory(api: LocalRuntimeAPI) -> int:
    """Return the most memory in bytes that the runtime's process has had at once."""
    status = Path(f"/proc/{api.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
