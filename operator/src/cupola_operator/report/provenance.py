"""The section on digests: how the artifact follows from the run, and the run from its inputs.

Digests are not only repeated but taken again here, from what lies in the work directory.
"""

from __future__ import annotations

from typing import NamedTuple

from cupola_operator.report import words
from cupola_operator.report.evidence import Evidence, Subject
from cupola_operator.report.html import Html, el, paragraph, table
from cupola_operator.report.section import Section


class Check(NamedTuple):
    """Something that must be equal to something else."""

    what: str
    digest: str | None
    holds: bool | None
    """None: it could not be looked at."""
    why: str


def section(evidence: Evidence) -> Section:
    """All digests of the report and how they hang together."""
    return Section(
        "Digests and lineage",
        [
            paragraph(
                "A run's digest is the sha256 of its resolved configuration, the digests of its "
                "inputs included. An artifact's digest is the sha256 of its manifest.json, which "
                "lists the sha256 of every file, the run's digest and the inputs' digests. So the "
                "digest of the last artifact fixes every byte before it, up to the source text."
            ),
            _chain(evidence),
            *(
                el(
                    "div",
                    el("h4", subject.title),
                    _table(checks(subject, evidence)),
                    *_files(subject),
                )
                for subject in evidence.subjects
            ),
        ],
    )


def checks(subject: Subject, evidence: Evidence) -> list[Check]:
    """What was compared for one resource."""
    status, found = subject.status, []
    run = status.run.digest if status.run else None
    if run:
        again = subject.run.run.digest if subject.run else None
        found.append(
            Check(
                "run",
                run,
                None if again is None else again == run,
                "taken again from its ConfigMap",
            )
        )
    if status.artifact:
        manifest, sealed = subject.sealed or (None, None)
        same = sealed.digest == status.artifact.digest if sealed else None
        why = "taken again from its manifest.json"
        found.append(Check("artifact", status.artifact.digest, same, why))
        made = manifest.run == run if manifest and run else None
        found.append(
            Check("run in the manifest", manifest.run if manifest else None, made, "equals the run")
        )
    for entry in status.lineage:
        before = next(
            (s for s in evidence.subjects if (s.key.kind, s.key.name) == (entry.kind, entry.name)),
            None,
        )
        now = before.status.artifact.digest if before and before.status.artifact else None
        if entry.kind == "Source":
            found.append(
                Check(
                    f"input {entry.kind} {entry.name}",
                    entry.digest,
                    None,
                    "digest of the source files as listed",
                )
            )
        else:
            holds = None if now is None else now == entry.digest
            why = (
                "equals the artifact above"
                if holds is not False
                else "the resource has been made again since"
            )
            found.append(Check(f"input {entry.kind} {entry.name}", entry.digest, holds, why))
    return found


def _chain(evidence: Evidence) -> Html:
    """The resources in the order of making, each with what it was made from."""
    items = []
    for subject in evidence.subjects:
        digest = subject.status.artifact.digest if subject.status.artifact else None
        inputs = ", ".join(f"{entry.kind} {entry.name}" for entry in subject.status.lineage)
        items.append(
            el(
                "li",
                el("strong", subject.title),
                " ",
                el("code", words.short(digest)),
                f" from {inputs}" if inputs else "",
            )
        )
    return el("ol", *items, class_="chain")


def _table(found: list[Check]) -> Html:
    if not found:
        return el("p", "It has no digest yet.", class_="quiet")
    rows = []
    for check in found:
        style, word = {
            True: ("good", "holds"),
            False: ("bad", "differs"),
            None: ("busy", "not checked"),
        }[check.holds]
        rows.append(
            (
                check.what,
                el("code", (check.digest or words.NONE).removeprefix("sha256:"), class_="digest"),
                el("span", word, class_=f"badge {style}"),
                check.why,
            )
        )
    return table(("What", "sha256", "Check", "How"), rows)


def _files(subject: Subject) -> list[Html]:
    if not subject.status.artifact:
        return []
    place = subject.status.artifact.uri
    size = f"{subject.status.artifact.bytes:,} bytes"
    number = f"{words.plural(len(subject.sealed[0].files), 'file')}, " if subject.sealed else ""
    return [paragraph("Artifact: ", el("code", place, class_="digest"), f" ({number}{size})")]
