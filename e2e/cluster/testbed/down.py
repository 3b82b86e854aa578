"""Take a cluster down: `make cluster-down`. Nothing of it remains, and nothing is no error."""

import argparse
import shutil
import sys
from pathlib import Path

from testbed import cgroups, control
from testbed.layout import State, default_state
from testbed.steps import Steps


def main() -> None:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(prog="e2e/cluster/down", description=__doc__)
    parser.add_argument("--state", type=Path, default=default_state(), help="folder of the cluster")
    state = State(parser.parse_args().state.resolve())
    traces = [state.folder, *cgroups.folders(state.cgroup)]
    if any(trace.exists() for trace in traces):
        with Steps()("down"):
            down(state)


def down(state: State) -> None:
    """End the supervisor (with it go processes, mounts, devices, rules), then cgroups and folder."""
    control.end(state)
    if left := cgroups.remove(state.cgroup):
        told = ", ".join(map(str, left))
        print(f"cgroups that still hold a process of somebody: {told}", file=sys.stderr)
    if state.folder.exists():
        if not state.mark.is_file() and any(state.folder.iterdir()):
            sys.exit(f"{state.folder} is not the folder of a cluster; it was left as it is")
        shutil.rmtree(state.folder)


if __name__ == "__main__":
    main()
