"""Each intended difference is one: Mangum and penstock do what the list says, and differ."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mangum
import pytest

from penstock.adapter import LifespanError
from penstock.adapter.mangum import Mangum
from penstock.infra.gateway import ClientRequest, make_event
from tests.differential.answer_demos import ANSWER_DEMOS
from tests.differential.both import HELLO, PLAIN, Seen, app_that_sends, invoke, run
from tests.differential.difference import outcome, unexplained
from tests.differential.differences import BEHAVIOUR_DIFFERENCES, DIFFERENCES
from tests.differential.outcome_demos import OUTCOME_DEMOS
from tests.differential.request_demos import REQUEST_DEMOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.differential.demo import Demo

DEMOS = (*REQUEST_DEMOS, *ANSWER_DEMOS, *OUTCOME_DEMOS)
GUIDE = Path(__file__).parents[2] / "docs" / "mangum.md"
EVENT = make_event("http-api", ClientRequest("GET", "/"))
BOTH: tuple[tuple[Callable[..., Any], int], ...] = ((mangum.Mangum, 0), (Mangum, 1))


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.id)
def test_demonstration(demo: Demo) -> None:
    case = run(demo.source, demo.event, demo.response, demo.options)
    assert demo.theirs == demo.look(case.theirs)
    assert demo.ours == demo.look(case.ours)
    assert demo.theirs != demo.ours
    unexplained_lines, applied = unexplained(case, DIFFERENCES)
    assert [] == unexplained_lines
    assert demo.id in applied
    others = [difference for difference in DIFFERENCES if difference.id != demo.id]
    assert unexplained(case, others)[0], "another entry explains this difference as well"


def test_every_difference_is_demonstrated() -> None:
    shown = {demo.id for demo in DEMOS} | {difference.id for difference in BEHAVIOUR_DIFFERENCES}
    assert shown == {difference.id for difference in DIFFERENCES}
    methods = {f"test_{difference.id.replace('-', '_')}" for difference in BEHAVIOUR_DIFFERENCES}
    assert methods == {name for name in vars(TestBehaviour) if name.startswith("test_")}


def test_ids_are_unique() -> None:
    ids = [difference.id for difference in DIFFERENCES]
    assert sorted(set(ids)) == sorted(ids)


class TestBehaviour:
    """Differences that show in several calls, or in what is raised, logged or waited for."""

    @pytest.fixture(autouse=True)
    def quiet(self) -> Iterator[None]:
        logging.getLogger("mangum").setLevel(logging.CRITICAL + 1)
        logging.getLogger("penstock").setLevel(logging.CRITICAL + 1)
        yield
        logging.getLogger("mangum").setLevel(logging.NOTSET)
        logging.getLogger("penstock").setLevel(logging.NOTSET)

    def outcomes(self, app: Any, options: Any = PLAIN) -> list[str]:
        seen = [invoke(class_, app, EVENT, options, Seen(scope={})) for class_, _ in BOTH]
        return [outcome(item) for item in seen]

    def test_lifespan_once(self) -> None:
        seen: list[list[str]] = [[], []]
        for class_, place in BOTH:
            adapter = class_(lifespan_app(seen[place]))
            for _ in range(3):
                adapter(EVENT, None)
            if isinstance(adapter, Mangum):
                assert ["startup"] == seen[place]
                adapter.close()
        assert [["startup", "shutdown"] * 3, ["startup", "shutdown"]] == seen

    def test_lifespan_on(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                raise OSError("no database")
            await app_that_sends(HELLO, Seen())(scope, receive, send)

        assert 200 == mangum.Mangum(app, lifespan="on")(EVENT, None)["statusCode"]  # type: ignore[arg-type]
        adapter = Mangum(app, lifespan="on")
        for _ in range(2):
            with pytest.raises(LifespanError, match="no database"):
                adapter(EVENT, None)

    @pytest.mark.parametrize("started", [False, True])
    def test_no_response(self, started: bool) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if started:
                await send({"type": "http.response.start", "status": 200, "headers": []})

        assert ["raised AttributeError", "answered 500"] == self.outcomes(app)

    def test_late_message(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await app_that_sends(HELLO, Seen())(scope, receive, send)
            await send({"type": "http.response.body", "body": b"more"})

        assert ["answered 200", "answered 500"] == self.outcomes(app)

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
    def test_exit(self, error: type[BaseException]) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise error

        assert ["answered 500", f"raised {error.__name__}"] == self.outcomes(app)

    def test_disconnect(self) -> None:
        seen: list[list[str]] = [[], []]
        for class_, place in BOTH:

            async def app(scope: Any, receive: Any, send: Any, place: int = place) -> None:
                await app_that_sends(HELLO, Seen())(scope, receive, send)
                for _ in range(2):
                    waiting = asyncio.ensure_future(receive())
                    await asyncio.sleep(0)
                    seen[place].append(waiting.result()["type"] if waiting.done() else "nothing")
                    waiting.cancel()

            invoke(class_, app, EVENT, PLAIN, Seen())
        assert [["http.disconnect", "nothing"], ["http.disconnect", "http.disconnect"]] == seen

    def test_deadline(self) -> None:
        class LateContext:
            aws_request_id = "1"

            def get_remaining_time_in_millis(self) -> int:
                return 0

        finished: list[str] = []
        for class_, _ in BOTH:

            async def app(
                scope: Any, receive: Any, send: Any, name: str = class_.__module__
            ) -> None:
                for _ in range(10):  # turns of the loop, and the deadline is over in the first
                    await asyncio.sleep(0)
                finished.append(name)
                await app_that_sends(HELLO, Seen())(scope, receive, send)

            status = class_(app, lifespan="off")(EVENT, LateContext())["statusCode"]
            assert (504 if class_ is Mangum else 200) == status
        assert ["mangum.adapter"] == finished

    @pytest.mark.filterwarnings("ignore:coroutine")
    def test_running_loop(self) -> None:
        app = app_that_sends(HELLO, Seen())

        async def call() -> list[str]:
            messages = []
            for class_, _ in BOTH:
                adapter = class_(app, lifespan="off")
                with pytest.raises(RuntimeError) as caught:
                    adapter(EVENT, None)
                messages.append(str(caught.value))
            return messages

        async def handle() -> Any:
            return await Mangum(app, lifespan="off").handle(EVENT, None)

        with asyncio.Runner() as runner:
            theirs, ours = runner.run(call())
            assert theirs == "This event loop is already running"
            assert "await adapter.handle(event, context)" in ours
            assert 200 == runner.run(handle())["statusCode"]

    def test_request_log(self, caplog: pytest.LogCaptureFixture) -> None:
        logging.getLogger("mangum").setLevel(logging.NOTSET)
        logging.getLogger("penstock").setLevel(logging.NOTSET)
        logged: list[list[str]] = []
        for class_, _ in BOTH:
            caplog.clear()
            with caplog.at_level(logging.INFO):
                adapter = class_(lifespan_app([]))
                adapter(EVENT, None)
            if isinstance(adapter, Mangum):
                adapter.close()
            names = [record.name for record in caplog.records]
            logged.append([name for name in names if name.startswith(("mangum", "penstock"))])
        assert [{"mangum.http", "mangum.lifespan"}, set()] == [set(names) for names in logged]
        assert (1, 5) == (logged[0].count("mangum.http"), logged[0].count("mangum.lifespan"))

    def test_custom_responses(self) -> None:
        seen: list[Any] = []

        class Handler:
            def __init__(self, event: Any, context: Any, config: Any) -> None:
                self.body = b""
                self.scope = {"type": "http", "method": "GET", "path": "/", "headers": []}

            @classmethod
            def infer(cls, event: Any, context: Any, config: Any) -> bool:
                return True

            def __call__(self, response: Any) -> Any:
                seen.append([[*pair] for pair in response["headers"]])
                return {"statusCode": response["status"]}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            headers = [(b"X-A", b"1"), (b"Connection", b"close"), (b"Content-Length", b"0")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body"})

        for class_, _ in BOTH:
            class_(app, lifespan="off", custom_handlers=[Handler])(EVENT, None)
        theirs = [[b"X-A", b"1"], [b"Connection", b"close"], [b"Content-Length", b"0"]]
        assert [theirs, [[b"x-a", b"1"]]] == seen


def lifespan_app(seen: list[str]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{kind}"
                seen.append(kind)
                await send({"type": f"lifespan.{kind}.complete"})
            return
        await app_that_sends(HELLO, Seen())(scope, receive, send)

    return app


class TestGuide:
    """docs/mangum.md has the same list."""

    def rows(self) -> list[tuple[str, ...]]:
        table = GUIDE.read_text(encoding="utf-8").partition("## What to do")[0]
        return [
            tuple(cell.strip() for cell in line.strip("|").split(" | "))
            for line in table.splitlines()
            if line.startswith("| `")
        ]

    def test_the_table_is_the_list(self) -> None:
        assert [difference.row for difference in DIFFERENCES] == self.rows()

    def test_what_it_refers_to_exists(self) -> None:
        ids = {difference.id for difference in DIFFERENCES}
        text = GUIDE.read_text(encoding="utf-8")
        named = set(re.findall(r"`([a-z]+(?:-[a-z0-9]+)+)`", text.partition("## What to do")[2]))
        assert named - {"content-encoding", "set-cookie", "x-forwarded-for"} <= ids
        assert len(named) > 15
