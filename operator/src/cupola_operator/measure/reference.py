"""The reference of all metrics, generated from `table`: `python -m cupola_operator.measure.reference`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from cupola_api import generated, metrics
from cupola_operator.measure.table import (
    BOUNDS,
    CAUSES,
    CONDITIONS,
    FAILURES,
    FIGURES,
    NAMESPACES,
    OPERATOR,
    PHASES,
    RESOURCES,
    TRAINERS,
    Metric,
)

_HEADER = """\
<!-- Generated from cupola_operator.measure.table by `make crds`; do not edit. -->

# Metrics

All names begin with `cupola_`. Units are base units; counters end in `_total`; every label has a
bounded set of values, and a series goes when its object goes.
"""


def _table(rows: Iterable[Metric]) -> list[str]:
    lines = ["| name | type | unit | labels | what it says |", "|---|---|---|---|---|"]
    for one in rows:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        lines.append(f"| `{one.name}` | {one.type} | {one.unit} | {labels} | {one.help} |")
    return [*lines, ""]


def page() -> str:
    """The whole page, in Markdown."""
    lines = [
        _HEADER,
        "## Resources",
        "",
        "On port 8080 of the operator, by the replica that acts alone, so that sums are right. They",
        "are read from the status of each resource when Prometheus asks; amounts of money are those",
        "of `status.cost`.",
        "",
        *_table(RESOURCES),
        f"- `kind`: Dataset, PretrainJob, FineTune, Evaluation. `phase`: {', '.join(PHASES)}.",
        f"- `type`: {', '.join(CONDITIONS)}.",
        f"- `failure`: {', '.join(FAILURES)}.",
        f"- `cause`: {', '.join(CAUSES)}; [Money](../explanation/money.md) says what each means.",
        f"- `bound`: {', '.join(BOUNDS)}: ends of a range meant to hold the truth in 8 of 10 cases.",
        f"- `figure`: {', '.join(FIGURES)}.",
        "",
        "## Namespaces",
        "",
        "By the replica that acts alone, for namespaces that have a budget in the settings",
        "([Say who spent what, and set limits](../how-to/costs.md)).",
        "",
        *_table(NAMESPACES),
        "## Operator",
        "",
        "On port 8080 of each replica, with the `process_*` metrics of the Prometheus client.",
        "",
        *_table(OPERATOR),
        "## Trainers",
        "",
        f"On port {metrics.PORT} of the pod with rank 0 of a run, while it works; of pods that clean",
        "or tokenise a Dataset, once they have worked for some seconds.",
        "",
        *_table(TRAINERS),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with --check exit 1 if it differs from the table."""
    parser = argparse.ArgumentParser(prog="python -m cupola_operator.measure.reference")
    parser.add_argument("page", type=Path, help="the Markdown file")
    parser.add_argument("--check", action="store_true", help="exit 1 if the file differs")
    options = parser.parse_args(arguments)
    return generated.write(options.page, page(), check=options.check, source="the table of metrics")


if __name__ == "__main__":
    sys.exit(main())
