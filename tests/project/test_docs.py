"""The documentation says what is so."""

from __future__ import annotations

import ast
import doctest
import importlib
import logging
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import options_table
import pytest

import penstock.adapter.errors
from penstock.adapter import LambdaAdapter, PenstockError
from penstock.adapter.exchange import TRANSITIONS
from penstock.adapter.settings import OPTIONS
from penstock.handler import HandlerConfig
from penstock.infra.gateway import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
)
# Without git, as in an unpacked source archive, what is there is taken.
PAGES = [ROOT / name for name in LISTED.stdout.splitlines()] or sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
)
PAGES = [path for path in PAGES if path.exists()]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def python_blocks() -> Iterator[Any]:
    """Every block of Python, with its place in the page as in the line numbers of its errors."""
    for path in PAGES:
        text = text_of(path)
        for match in FENCE.finditer(text):
            if match["language"] == "python":
                line = text.count("\n", 0, match.start()) + 1
                code = "\n" * line + textwrap.dedent(match["code"])
                yield pytest.param(path, code, id=f"{path.relative_to(ROOT)}:{line}")


BLOCKS = list(python_blocks())


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize(("path", "code"), BLOCKS)
def test_python_blocks_compile_and_whole_programs_run(path: Path, code: str) -> None:
    compiled = compile(code, path, "exec")
    if not code.lstrip().startswith(("import ", "from ")):
        return  # a part of a program
    before = logging.getLogger("penstock").level
    namespace: dict[str, Any] = {"__name__": "documentation"}
    try:
        exec(compiled, namespace)
        handler = namespace.get("handler")
        if isinstance(handler, LambdaAdapter):
            answer = handler({"httpMethod": "GET", "path": "/hello/world"}, None)
            assert answer["statusCode"] in {200, 204, 404}
            handler.close()
    finally:
        logging.getLogger("penstock").setLevel(before)


UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def invocations() -> Iterator[Any]:
    """The commands of the README that call what the block of Python before them makes."""
    program = ""
    for match in FENCE.finditer(text_of(ROOT / "README.md")):
        if match["language"] == "python":
            program = match["code"]
        elif match["code"].startswith("$ penstock invoke app:handler"):
            command, _, printed = match["code"].partition("\n")
            yield pytest.param(program, command.removeprefix("$ "), printed, id=command)


INVOCATIONS = list(invocations())


def test_there_are_invocations() -> None:
    assert len(INVOCATIONS) >= 2


@pytest.mark.parametrize(("program", "command", "printed"), INVOCATIONS)
def test_commands_print_what_the_readme_says(
    program: str, command: str, printed: str, tmp_path: Path
) -> None:
    """Message ids aside, which are new each time."""
    (tmp_path / "app.py").write_text(program, encoding="utf-8")
    name, *arguments = shlex.split(command)
    done = subprocess.run(
        [Path(sys.executable).with_name(name), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert UUID.sub("id", printed) == UUID.sub("id", done.stdout)


def test_the_settings_of_the_handler_are_those_of_the_page() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]+?) \|", text_of(ROOT / "docs/handler.md"), re.MULTILINE
    )
    settings = {name: default for name, default in rows if name in HandlerConfig.__slots__}
    values = {
        name: ast.literal_eval(re.sub(r"(?<=\d) (?=\d)", "", default.strip("`")))
        for name, default in settings.items()
    }
    config = HandlerConfig()
    assert {name: getattr(config, name) for name in HandlerConfig.__slots__} == values


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
    return kept.strip().replace(" ", "-")


def anchors(path: Path) -> set[str]:
    plain = FENCE.sub("", text_of(path))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", plain, re.MULTILINE)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_internal_links_resolve(path: Path) -> None:
    plain = FENCE.sub("", text_of(path))
    broken = []
    for match in LINK.finditer(plain):
        target, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (path.parent / unquote(target)) if target else path
        known = found.exists() and found.resolve().is_relative_to(ROOT)
        if not known or (anchor and anchor not in anchors(found)):
            broken.append(match["target"])
    assert [] == broken


class TestOptions:
    """docs/options.md has the table that the options print."""

    def test_the_page_is_up_to_date(self) -> None:
        text = text_of(options_table.PAGE)
        assert options_table.page(text) == text, "run scripts/options_table.py --write"

    def test_every_option_is_in_it(self) -> None:
        lines = text_of(options_table.PAGE).splitlines()
        rows = [line for line in lines if line.startswith("| `")]
        assert len(OPTIONS) == len(rows)
        for option, row in zip(OPTIONS, rows, strict=True):
            name, variable, default, meaning = row.strip("| ").split(" | ", 3)
            assert (f"`{option.name}`", f"`{option.variable}`") == (name, variable)
            assert option.meaning == meaning
            assert options_table.default(option) == default

    def test_the_script_prints_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        argv, sys.argv = sys.argv, ["options_table.py"]
        try:
            options_table.main()
        finally:
            sys.argv = argv
        assert f"{options_table.table()}\n" == capsys.readouterr().out

    def test_no_page_names_a_variable_that_is_none(self) -> None:
        known = {option.variable for option in OPTIONS} | process_variables() | {"PENSTOCK_OPTION"}
        for path in PAGES:
            assert set(re.findall(r"PENSTOCK_[A-Z_]*[A-Z]", text_of(path))) <= known, path


def process_variables() -> set[str]:
    """The variables that say how the runtime's process is run."""
    files = [path for path in (ROOT / "adapter" / "runtime").iterdir() if path.is_file()]
    options = {option.variable for option in OPTIONS}
    return set(re.findall(r"PENSTOCK_[A-Z_]*[A-Z]", "".join(map(text_of, files)))) - options


def test_the_variables_of_the_process_are_documented() -> None:
    rows = re.findall(r"^\| `(PENSTOCK_\w+)` \|", text_of(ROOT / "docs/runtime.md"), re.MULTILINE)
    assert process_variables() == set(rows)


def error_names() -> list[str]:
    return [
        name
        for name, value in vars(penstock.adapter.errors).items()
        if isinstance(value, type) and issubclass(value, PenstockError)
    ]


@pytest.mark.parametrize("name", error_names())
def test_every_error_is_documented(name: str) -> None:
    pages = text_of(ROOT / "docs" / "errors.md") + text_of(ROOT / "README.md")
    if name == "ApplicationError":  # the base of what the table lists under "the application's"
        assert "the application's" in pages
    else:
        assert f"`{name}`" in pages


@pytest.mark.parametrize("source", SOURCES)
def test_every_front_door_is_in_the_readme(source: str) -> None:
    rows = [
        line for line in text_of(ROOT / "README.md").splitlines() if f"| `{source}` | yes |" in line
    ]
    assert len(rows) == 1


def test_the_states_in_the_architecture_are_those_of_the_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `([^`]+)` \| `(\w+)` \|$",
        text_of(ROOT / "docs/architecture.md"),
        re.MULTILINE,
    )
    expected = [(str(state), event, str(after)) for (state, event), after in TRANSITIONS.items()]
    assert expected == rows


def test_every_file_has_its_line_in_the_architecture() -> None:
    text = text_of(ROOT / "docs/architecture.md")
    for package in ("adapter", "handler", "infra"):
        _, _, table = text.partition(f"`{package}/`\n\n| File |")
        rows = re.findall(r"^\| `([\w/]+\.py)` \|", table.partition("\n\n")[0], re.MULTILINE)
        files = [path.relative_to(ROOT / package) for path in (ROOT / package).rglob("*.py")]
        assert sorted(rows) == sorted(path.as_posix() for path in files)


def modules() -> list[str]:
    return sorted(
        "penstock."
        + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for folder in ("adapter", "infra")
        for path in (ROOT / folder).rglob("*.py")
    )


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert failed == 0


def test_there_are_examples_in_docstrings() -> None:
    counts = [doctest.testmod(importlib.import_module(name)).attempted for name in modules()]
    assert sum(counts) >= 8
