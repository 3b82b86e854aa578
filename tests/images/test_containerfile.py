"""images/Containerfile: what each image is, and what makes its large layer be built again."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
NAMES = ("operator", "curator", "trainer")
FROM = re.compile(r"(\S+) AS (\S+)")


class Instruction(NamedTuple):
    word: str
    rest: str

    @property
    def source(self) -> str | None:
        """The stage that a COPY copies from, or None: the context."""
        found = re.search(r"--from=(\S+)", self.rest)
        return found[1] if found else None


class Stage(NamedTuple):
    base: str
    instructions: list[Instruction]


@cache
def stages() -> dict[str, Stage]:
    text = (IMAGES / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found: dict[str, Stage] = {}
    for line in "\n".join(lines).replace("\\\n", "").splitlines():
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, name = FROM.fullmatch(rest).groups()  # type: ignore[union-attr]
            found[name] = Stage(base, [])
        elif found:
            found[name].instructions.append(Instruction(word, " ".join(rest.split())))
    return found


def instructions(name: str) -> list[Instruction]:
    """All that makes an image, that of the stages below it first."""
    stage = stages().get(name)
    return [*instructions(stage.base), *stage.instructions] if stage else []


def last(name: str, word: str) -> str:
    return [each.rest for each in instructions(name) if each.word == word][-1]


def index(name: str, word: str, part: str) -> int:
    places = [
        place
        for place, each in enumerate(instructions(name))
        if each.word == word and part in each.rest
    ]
    assert len(places) == 1
    return places[0]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_runs_as_nobody_in_particular(name: str) -> None:
    # By number, so that Kubernetes sees that it is not root.
    assert last(name, "USER") == "65532:65532"


@pytest.mark.parametrize("name", NAMES)
def test_process_1_is_an_init_and_what_it_runs_is_no_shell(name: str) -> None:
    assert json.loads(last(name, "ENTRYPOINT")) == ["/usr/bin/tini", "--"]
    assert json.loads(last(name, "CMD"))[0] == "python"


@pytest.mark.parametrize("name", NAMES)
def test_an_image_says_what_it_is(name: str) -> None:
    labels = dict(word.split("=", 1) for word in shlex.split(last(name, "LABEL")))
    prefix = "org.opencontainers.image"
    licence = tomllib.loads((ROOT / "operator/pyproject.toml").read_text())["project"]["license"]
    assert labels.pop(f"{prefix}.description")
    assert labels == {
        f"{prefix}.title": f"cupola-{name}",
        f"{prefix}.licenses": licence,
        f"{prefix}.version": "${VERSION}",
        f"{prefix}.revision": "${REVISION}",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_our_code_builds_the_thin_layer_alone(name: str) -> None:
    install = index(name, "RUN", "uv pip sync")
    packages = index(name, "COPY", "--from=packages")
    assert install < packages
    below = [each for each in instructions(name)[:install] if each.word in {"COPY", "ADD"}]
    assert [each.source for each in below] == ["requirements"]


@pytest.mark.parametrize("name", NAMES)
def test_a_version_builds_no_layer_again(name: str) -> None:
    """Labels that change with each commit come after all that takes time."""
    words = [each.word for each in instructions(name)]
    assert words[index(name, "ARG", "VERSION") :] == ["ARG", "ARG", "LABEL"]


def test_requirements_come_from_the_lock_and_from_no_source() -> None:
    copied = [each.rest for each in stages()["requirements"].instructions if each.word == "COPY"]
    files = {file for rest in copied for file in rest.split()[:-1]}
    members = {"crds/pyproject.toml", "operator/pyproject.toml", "trainer/pyproject.toml"}
    assert files == {"pyproject.toml", "uv.lock"} | members


@pytest.mark.parametrize("name", NAMES)
def test_the_package_manager_stays_behind(name: str) -> None:
    below = {name}
    while (base := stages()[name].base) in stages():
        below.add(name := base)
    assert "uv" not in below


def test_no_build_argument_holds_an_address_or_a_secret() -> None:
    names = {each.rest.split("=")[0] for stage in stages().values() for each in stage.instructions
             if each.word == "ARG"}  # fmt: skip
    assert names == {"PYTHON", "UV", "VERSION", "REVISION"}


def test_a_build_reads_what_it_copies_and_nothing_else() -> None:
    first, *kept = [
        line
        for line in (IMAGES / "Containerfile.dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert first == "*"
    allowed = {line.removeprefix("!") for line in kept if line.startswith("!")}
    copied = {
        file.rstrip("/")
        for stage in stages().values()
        for each in stage.instructions
        if each.word == "COPY" and each.source is None
        for file in each.rest.split()[:-1]
    }
    assert {file.split("/")[0] for file in allowed} == {file.split("/")[0] for file in copied}
    assert allowed - copied == {"crds/src", "operator/src", "trainer/src"}
