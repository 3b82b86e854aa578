"""images/build: what it says to a person who cannot build."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def refused(*words: str, path: Path, home: Path) -> str:
    ran = subprocess.run(
        [ROOT / "images/build", *words],
        env={"PATH": str(path), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ran.returncode == 1
    assert not ran.stdout
    assert ran.stderr.count("\n") == 1
    return ran.stderr


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with a shell's tools and nothing that builds images."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("bash", "dirname", "env"):
        (folder / tool).symlink_to(shutil.which(tool) or "")
    return folder


def test_a_machine_without_a_builder_is_told_what_to_install(bare: Path, tmp_path: Path) -> None:
    assert "neither buildah nor a running docker" in refused(path=bare, home=tmp_path)
    assert "apt-get install buildah" in refused(path=bare, home=tmp_path)


def test_an_image_that_there_is_not_is_named(bare: Path, tmp_path: Path) -> None:
    said = refused("planner", path=bare, home=tmp_path)
    assert said == "images: planner is no image; there are operator, curator and trainer\n"


def test_an_archive_needs_a_folder(bare: Path, tmp_path: Path) -> None:
    assert "--archive needs a folder" in refused("--archive", path=bare, home=tmp_path)


def test_a_pipe_needs_a_command(bare: Path, tmp_path: Path) -> None:
    assert "--pipe needs a command" in refused("--pipe", path=bare, home=tmp_path)
