from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cupola_operator.cli import app
from cupola_operator.cli.lazy import COMMANDS, load


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_itself(name: str) -> None:
    function = getattr(importlib.import_module(f"cupola_operator.cli.{name}"), name)
    assert function.__doc__.splitlines()[0] == COMMANDS[name]
    assert load(name).name == name


def test_help_lists_all_commands_without_importing_them() -> None:
    program = (
        "import sys\n"
        "from cupola_operator.cli import main\n"
        "sys.argv = ['cupola', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n"
        "    slow = [m for m in ('pydantic', 'celpy', 'yaml') if m in sys.modules]\n"
        "    raise SystemExit(f'{end.code} {slow}')\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.stderr == "0 []\n"
    assert all(name in found.stdout for name in COMMANDS)


def test_an_unknown_command_is_refused() -> None:
    found = CliRunner().invoke(app, ["frobnicate"])
    assert found.exit_code == 2
    assert "No such command 'frobnicate'" in found.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name: str) -> None:
    found = CliRunner().invoke(app, [name, "--help"])
    assert found.exit_code == 0
    assert f"Usage: cupola {name}" in found.stdout
