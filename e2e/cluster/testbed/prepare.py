"""Make this machine ready for `make e2e`: packages, and the programs that are built from source."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from testbed import host, prerequisites
from testbed.layout import default_state
from testbed.steps import Steps

ROOM = 18
"""GB for what a run writes: the images as containerd keeps them (twice), and the data of the tests."""

CACHES = 22
"""GB that the first run leaves besides: Go's caches, the programs, the layers of the images."""


def main() -> None:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(prog="e2e/cluster/prepare", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="say what this machine lacks, and change nothing"
    )
    packages = {**prerequisites.DEBIAN, **prerequisites.IMAGES}
    checking = parser.parse_args().check
    folder = default_state()
    needed = ROOM if any(folder.parent.glob("bin-*")) else ROOM + CACHES
    if lacks := host.lacking(packages) or host.room(folder, needed):
        sys.exit(lacks)
    if not checking:
        prepare(Steps(), packages)


def prepare(steps: Steps, packages: Mapping[str, str]) -> Path:
    """Install and build what is missing; the folder of the programs. Exits with a sentence."""
    with steps("packages"):
        lacks = host.lacking(packages)
        if not lacks and prerequisites.install(packages):
            lacks = host.lacking(packages)  # what was installed tells more
        if lacks:
            sys.exit(lacks)
    with steps("programs"):
        return prerequisites.binaries()


if __name__ == "__main__":
    main()
