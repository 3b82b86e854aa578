"""Mutation tests of what decides, what is built and what it costs: `make mutants`.

mutmut changes the functions of PACKAGES one thing at a time and runs the tests that call the changed
function. A change that no test notices has survived: a test is missing, or the change makes no
difference, and then docs/reference/mutants.md says why. Each package must reach MINIMUM.

It works on a copy below .cupola/mutants (laid out as mutmut expects, all packages in one src/) and
keeps its results there. Run it again after an interruption or a change: what is new, what changed and
what has survived is tried. Remove the folder to begin anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPY = ROOT / ".cupola" / "mutants"
REASONS = ROOT / "docs" / "reference" / "mutants.md"
PACKAGES = (
    "cupola_api",
    "cupola_operator.build",
    "cupola_operator.cost",
    "cupola_operator.decide",
)
MINIMUM = 90.0
"""Percent of the mutants of a package that are killed."""

PARTS = {
    "crds/src/cupola_api": "src/cupola_api",
    "operator/src/cupola_operator": "src/cupola_operator",
    "tests": "tests",
    "crds": "crds",
    "manifests/examples": "manifests/examples",
    "docs/how-to": "docs/how-to",
    "docs/reference": "docs/reference",
    "pyproject.toml": "pyproject.toml",
    "scripts/quick_first.py": "conftest.py",
}
"""What the tests read, and where it lies in the copy."""

KILLED = ("killed", "timeout")
SUFFIXES = {".py", ".yaml", ".md", ".toml", ".json"}


def sources(root: Path, parts: dict[str, str]) -> dict[Path, Path]:
    """Place in the copy -> file of the checkout."""
    found = {}
    for part, place in parts.items():
        start = root / part
        files = [start] if start.is_file() else sorted(start.rglob("*"))
        for path in files:
            if path.is_file() and path.suffix in SUFFIXES:
                found[Path(place) / path.relative_to(start)] = path
    return found


def synchronise(wanted: dict[Path, Path], copy: Path) -> bool:
    """Make the copy hold the wanted files and no others; whether anything had to change."""
    changed = False
    for place, source in wanted.items():
        target = copy / place
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)  # with a new time, by which mutmut knows a change
            changed = True
    for top in {place.parts[0] for place in wanted}:
        for path in sorted((copy / top).rglob("*")):
            place = path.relative_to(copy)
            if path.is_file() and path.suffix in SUFFIXES and place not in wanted:
                path.unlink()
                for kept in (copy / "mutants" / place, copy / "mutants" / f"{place}.meta"):
                    kept.unlink(missing_ok=True)
                changed = True
    return changed


def forget_survivors(copy: Path) -> None:
    """Drop the results of mutants that are not killed, so that the tests of today try them.

    Which test calls what is found out anew too: mutmut would ask the tests that it has not seen
    only, and take a new function that older tests call for one without tests.
    """
    (copy / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    for path in copy.glob("mutants/src/**/*.meta"):
        meta = json.loads(path.read_text())
        results = meta["exit_code_by_key"]
        meta["exit_code_by_key"] = {k: 1 if code == 1 else None for k, code in results.items()}
        path.write_text(json.dumps(meta, indent=4))


def read(lines: Iterable[str]) -> dict[str, str]:
    """Mutant -> status, from what `mutmut results` prints."""
    pairs = (line.strip().rpartition(": ") for line in lines if "__mutmut_" in line)
    return {mutant: status for mutant, _, status in pairs}


def function(mutant: str) -> str:
    """`cupola_api.errors.x__show__mutmut_4` -> `cupola_api.errors._show`."""
    module, _, name = mutant.rpartition(".")
    name = re.sub(r"__mutmut_\d+$", "", name)
    name = name[1:].strip("ǁ").replace("ǁ", ".") if name.startswith("xǁ") else name[2:]
    return f"{module}.{name}"


def table(results: dict[str, str], packages: Iterable[str]) -> tuple[list[str], bool]:
    """The table of scores in lines, and whether each package reaches MINIMUM."""
    lines = [f"{'package':26}{'mutants':>8}{'killed':>8}{'survived':>9}{'no tests':>9}{'score':>8}"]
    enough = True
    for package in packages:
        counts = Counter(v for k, v in results.items() if k.startswith(f"{package}."))
        total = counts.total()
        killed = sum(counts[status] for status in KILLED)
        score = 100 * killed / total if total else 0.0
        enough = enough and score >= MINIMUM
        lines.append(
            f"{package:26}{total:8}{killed:8}{total - killed - counts['no tests']:9}"
            f"{counts['no tests']:9}{score:7.1f}%"
        )
    return lines, enough


def mutmut(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run mutmut in the copy."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    # With CI Hypothesis draws the same examples in every run; a time without a zone is then wrong.
    environment = os.environ | {"CI": "1", "TZ": "NPT-5:45"}
    return subprocess.run(command, cwd=COPY, env=environment, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def main() -> int:
    """Copy, run, count; 1 if a package does not reach MINIMUM or a survivor has no reason."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", help="names of mutants, such as 'cupola_api.errors*'")
    parser.add_argument("--jobs", default="2", help="mutants that are tried at a time")
    options = parser.parse_args()
    if synchronise(sources(ROOT, PARTS), COPY):
        forget_survivors(COPY)
    if mutmut("run", "--max-children", options.jobs, *options.only).returncode != 0:
        print("mutmut could not run; its last lines say why", file=sys.stderr)
        return 1
    results = read(mutmut("results", "--all", "true", capture_output=True).stdout.splitlines())
    if options.only:
        return 0
    lines, enough = table(results, PACKAGES)
    survivors = [name for name, status in results.items() if status not in KILLED]
    reasons = REASONS.read_text()
    unexplained = [name for name in survivors if f"`{function(name)}`" not in reasons]
    print(*lines, sep="\n")
    (COPY / "survivors.txt").write_text("".join(f"{name}\n" for name in survivors))
    if unexplained:
        print(f"\nNo test notices these, and {REASONS.relative_to(ROOT)} does not say why:")
        print(*unexplained, sep="\n")
        print(f"\nSee one: cd {COPY.relative_to(ROOT)}; ../../.venv/bin/mutmut show NAME")
    if not enough:
        print(f"\nA package has less than {MINIMUM:.0f} % of its mutants killed.", file=sys.stderr)
    return 0 if enough and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
