from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from surface import Client, json_of

from penstock.infra.gateway import ClientRequest, make_event, make_trigger_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from emulator import Emulator

    RunApp = Callable[..., AbstractContextManager[Emulator]]

LIMIT_BYTES = 6_291_556
ROUND_ENVELOPE = 1_000
UNDER = LIMIT_BYTES - ROUND_ENVELOPE


@pytest.fixture(scope="module", params=["AWS_Lambda_python3.13", None], ids=["managed", "other"])
def execution_env(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def emulator(execution_env: str | None, run_app: RunApp) -> Iterator[Emulator]:
    with run_app("sized", environment={"AWS_EXECUTION_ENV": execution_env}) as emulator:
        yield emulator


class TestPayloadLimit:
    """Lambda fails an invocation whose answer is too long: that must not be the adapter's."""

    @pytest.fixture
    def client(self, emulator: Emulator) -> Client:
        return Client("function-url", emulator.invoke)

    def test_an_answer_just_below_the_limit_arrives(self, client: Client) -> None:
        response = client.request("GET", f"/?text=a&size={UNDER}")
        assert (200, UNDER) == (response.status, len(response.body))
        assert response.body.strip(b"a") == b""

    @pytest.mark.parametrize(
        "target",
        [
            f"/?text=a&size={LIMIT_BYTES}",
            f"/?text=%22&size={LIMIT_BYTES // 2 + 1}",
            f"/?text=a&type=image/png&size={LIMIT_BYTES // 4 * 3}",
        ],
        ids=["text", "text-that-json-escapes", "base64"],
    )
    def test_a_longer_answer_becomes_a_502_of_the_adapter(
        self, client: Client, emulator: Emulator, target: str
    ) -> None:
        response = client.request("GET", target)
        assert response.status == 502
        assert str(LIMIT_BYTES).encode() in response.body.replace(b" ", b"").replace(b",", b"")
        assert "ResponseSizeTooLarge" not in emulator.read_log()

    @pytest.mark.parametrize("size", [1_000_000, 1_100_000, UNDER // 2, UNDER])
    def test_letters_outside_ascii_count_as_lambda_gets_them(
        self, client: Client, emulator: Emulator, execution_env: str | None, size: int
    ) -> None:
        # AWS's client escapes such letters, unless it runs on one of the managed runtimes.
        sent = size * (len("\\u00e9") if execution_env is None else len("é".encode()))
        response = client.request("GET", f"/?text=%C3%A9&size={size}")
        assert response.status == (200 if sent <= UNDER else 502)
        assert response.status == 502 or "é" * size == response.body.decode()
        assert "ResponseSizeTooLarge" not in emulator.read_log()

    def test_a_long_request_arrives(self, client: Client) -> None:
        body = b"0123456789abcdef" * 390_000
        headers = (("Content-Type", "text/plain"),)
        response = client.request("POST", "/", headers=headers, body=body)
        measure = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        assert measure == json.loads(response.body)


class TestDeadline:
    """A late application gets ``http.disconnect``, its client a 504, and Lambda goes on."""

    def test_the_sandbox_survives(self, run_app: RunApp) -> None:
        with run_app("waiting", timeout_s=1) as emulator:
            client = Client("http-api", emulator.invoke)
            before = json_of(client.request("GET", "/"))
            assert before["happened"] == ["startup"]
            assert client.request("GET", "/wait").status == 504
            after = json_of(client.request("GET", "/"))
            assert before["process"] == after["process"]
            expected = ["startup", "http.request", "http.disconnect", "cancelled"]
            assert expected == after["happened"]
            assert "Task timed out" not in emulator.read_log()


class TestStartUp:
    """The lifespan start-up belongs to Lambda's init phase."""

    def test_a_failure_is_an_error_of_the_init_phase(self, run_app: RunApp) -> None:
        with run_app("failing") as emulator:
            status, body = emulator.post(make_event("http-api", ClientRequest("GET", "/")))
            assert status == 502
            assert "the database is away" in error_of(body)["errorMessage"]
            assert "LifespanError" in error_of(body)["errorType"]

    def test_a_long_one_is_finished_by_the_first_invocation(self, run_app: RunApp) -> None:
        with run_app("slow") as emulator:
            client = Client("http-api", emulator.invoke)
            expected = ["begun in init", "still in init", "completed"]
            assert expected == json_of(client.request("GET", "/"))
            assert expected == json_of(client.request("GET", "/"))


class TestOtherEventsSwitchedOff:
    """Without ``events_path``, an event that is not HTTP must not look as if it were done."""

    def test_the_invocation_fails_and_names_the_option(self, run_app: RunApp) -> None:
        with run_app("waiting") as emulator:
            error = emulator.invoke(make_trigger_event("sqs", ["hello"]))
            assert error["errorType"] == "UnsupportedEvent"
            assert "events_path" in error["errorMessage"]


def error_of(body: bytes) -> dict[str, Any]:
    """Return the error that Lambda reports for an invocation."""
    error: dict[str, Any] = json.loads(body)
    return error
