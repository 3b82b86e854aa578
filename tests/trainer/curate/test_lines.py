"""Lines that many documents have, taken out of all but the first that stays."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cupola_api.filters import QUALITY_RULES
from cupola_api.run import CurateRun
from cupola_trainer.curate import dedup, work
from cupola_trainer.curate.records import BROKEN, DAMAGED, RULE_NAMES

MENU = "Home | Products | About us | Contact | Terms and conditions"
NOTICE = "All rights reserved; no part of this may be copied without leave."


def unique(draw: random.Random, lines: int = 4) -> list[str]:
    return [" ".join(f"w{draw.randrange(10**6)}" for _ in range(12)) for _ in range(lines)]


def write(folder: Path, texts: list[str], files: int = 1, name: str = "web") -> dict[str, str]:
    (folder / name).mkdir(parents=True)
    for file in range(files):
        own = texts[file * len(texts) // files : (file + 1) * len(texts) // files]
        lines = "\n".join(json.dumps({"text": text}) for text in own)
        (folder / name / f"{file:03d}.jsonl").write_text(lines)
    return {"name": name, "uri": (folder / name).as_uri(), "format": "Jsonl"}


def curated(pipeline: Any, sources: list[dict[str, str]], **dedup: Any) -> tuple[CurateRun, Any]:
    run = pipeline.listed(sources, curation={"dedup": dedup}, documents=True)
    return run, pipeline.curate(run)


def texts_of(run: CurateRun) -> set[str]:
    artifact = work.artifact_folder(run)
    assert isinstance(artifact, Path)
    unpack = zstandard.ZstdDecompressor().stream_reader
    packed = [path.read_bytes() for path in sorted((artifact / "documents").iterdir())]
    lines = b"".join(unpack(one).read() for one in packed).decode().splitlines()
    return {json.loads(line)["text"] for line in lines}


def report(run: CurateRun, source: str = "web") -> dict[str, Any]:
    artifact = work.artifact_folder(run)
    assert isinstance(artifact, Path)
    return dict(json.loads((artifact / "curation.json").read_text())["sources"][source])


def without_lines_before(texts: list[str]) -> list[str]:
    """Each text without the lines of those before it."""
    before: set[str] = set()
    found = []
    for text in texts:
        lines = text.split("\n")
        found.append("\n".join(line for line in lines if line not in before))
        before |= set(lines)
    return found


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part for each file, and as many ranges as parts."""
    monkeypatch.setattr("cupola_trainer.curate.listing._LEAST", 1)
    monkeypatch.setattr("cupola_trainer.curate.listing._MOST", 1)
    monkeypatch.setattr(CurateRun, "ranges", property(lambda run: run.parts))


def test_the_first_occurrence_stays_and_what_is_too_short_goes(
    pipeline: Any, tmp_path: Path
) -> None:
    draw = random.Random(0)
    a, b, c, d = (unique(draw) for _ in range(4))
    texts = [
        "\n".join([MENU, *a, NOTICE]),
        "\n".join([MENU.replace(" ", "  "), "", *b, "Home", NOTICE]),
        "\n".join([*c[:2], MENU, MENU, *c[2:], "Home"]),
        f"{MENU}\n{NOTICE}\nfew words of its own",
        "\n".join(d),
    ]
    run, outcome = curated(pipeline, [write(tmp_path, texts)], lines={})
    assert texts_of(run) == {
        texts[0],
        "\n".join([*b, "Home"]),
        "\n".join([*c, "Home"]),
        texts[4],
    }
    assert [(r.name, r.count) for r in outcome.dataset.dropped] == [("few-new-lines", 1)]
    # Of the documents that stay: three menus, a notice at the end of a text, and an empty line.
    assert report(run)["lines"] == {"duplicate-line": 4}
    size = len(MENU.replace(" ", "  ") + "\n\n") + len(NOTICE) + 2 * len(MENU + "\n")
    assert report(run)["lineBytes"] == {"duplicate-line": size}
    shown = work.artifact_folder(run) / "dropped" / "few-new-lines.jsonl"
    assert MENU in shown.read_text()


def test_a_line_goes_only_against_a_document_that_stays(pipeline: Any, tmp_path: Path) -> None:
    draw = random.Random(1)
    original = unique(draw, 30)
    copy, later = [*original, NOTICE], [*unique(draw), NOTICE]
    texts = ["\n".join(one) for one in (original, copy, later)]
    run, outcome = curated(pipeline, [write(tmp_path, texts)], lines={})
    assert [(r.name, r.count) for r in outcome.dataset.dropped] == [("near-duplicate", 1)]
    assert texts_of(run) == {texts[0], texts[2]}
    assert "lines" not in report(run)


def test_a_line_does_not_go_for_a_document_of_which_too_little_is_left(
    pipeline: Any, tmp_path: Path
) -> None:
    draw = random.Random(5)
    texts = ["\n".join(one) for one in ([MENU, *unique(draw)], [MENU, NOTICE], unique(draw))]
    texts.append("\n".join([*unique(draw), NOTICE]))
    run, outcome = curated(pipeline, [write(tmp_path, texts)], lines={})
    assert [(r.name, r.count) for r in outcome.dataset.dropped] == [("few-new-lines", 1)]
    assert texts_of(run) == {texts[0], *texts[2:]}
    assert "lines" not in report(run)


def test_no_rule_of_copies_has_the_name_of_another() -> None:
    assert not set(dedup._RULES.values()) & {*QUALITY_RULES, *BROKEN, *DAMAGED, *RULE_NAMES}


def test_within_sources_lines_of_other_sources_stay(pipeline: Any, tmp_path: Path) -> None:
    draw = random.Random(2)
    old = ["\n".join([MENU, *unique(draw)]) for _ in range(3)]
    new = ["\n".join([*unique(draw), MENU]) for _ in range(2)]
    sources = [write(tmp_path, old, name="old"), write(tmp_path, new, name="new")]
    run, _ = curated(pipeline, sources, scope="Source", lines={"unit": "Line"})
    assert [report(run, name)["lines"]["duplicate-line"] for name in ("old", "new")] == [2, 1]
    run, _ = curated(pipeline, sources, lines={})
    assert [report(run, name)["lines"]["duplicate-line"] for name in ("old", "new")] == [2, 2]


def test_paragraphs_go_as_a_whole(pipeline: Any, tmp_path: Path) -> None:
    draw = random.Random(3)
    a, b = unique(draw), unique(draw)
    texts = ["\n".join([MENU, NOTICE, "", *a]), "\n".join([MENU, NOTICE, "", MENU, *b])]
    run, _ = curated(pipeline, [write(tmp_path, texts)], lines={"unit": "Paragraph"})
    assert texts_of(run) == {texts[0], "\n".join([MENU, *b])}


def test_prompts_and_answers_keep_their_lines(pipeline: Any, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text(
        "\n".join(json.dumps({"q": f"{NOTICE}\n{i}", "a": f"{MENU}\n{i}"}) for i in range(20))
    )
    source = {"name": "web", "uri": (tmp_path / "tasks.jsonl").as_uri(), "format": "Jsonl"}
    run = pipeline.listed(
        [source],
        task={"input": "q", "output": "a"},
        curation={"dedup": {"similarity": 1, "lines": {}}},
    )
    assert pipeline.curate(run).dataset.documents_kept == 20
    assert "lines" not in report(run)


@pytest.mark.usefixtures("small_parts")
def test_the_bytes_are_the_same_for_any_division_and_any_memory(
    pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(4)
    pool = [line for _ in range(15) for line in unique(draw)]
    texts = ["\n".join([*draw.sample(pool, 5), *unique(draw, i % 4)]) for i in range(30)]
    source = write(tmp_path, texts, files=3)
    run, outcome = curated(pipeline, [source], lines={"minLeft": 300})
    expected = outcome.artifact.digest
    enough = [
        text
        for text, left in zip(texts, without_lines_before(texts), strict=True)
        if left == text or len(f"{left}\n") >= 300
    ]
    stays = texts_of(run)
    assert stays == set(without_lines_before(enough))
    assert 0 < len(enough) < len(texts)
    # Of what stays no line is lost, and none is there twice.
    lines = [line for text in stays for line in text.split("\n")]
    assert sorted(lines) == sorted({line for text in enough for line in text.split("\n")})
    monkeypatch.setattr("cupola_trainer.curate.entries._BLOCK", 7)
    monkeypatch.setattr("cupola_trainer.curate.line_signatures._PIECE", 80)
    monkeypatch.setattr("cupola_trainer.curate.signatures._PIECE", 80)
    monkeypatch.setattr("cupola_trainer.curate.line_copies._ROWS", 9)
    monkeypatch.setattr(CurateRun, "ranges", 2)
    pipeline.output = tmp_path / "again"
    run = pipeline.listed([source], curation={"dedup": {"lines": {"minLeft": 300}}}, documents=True)
    assert pipeline.curate(run, reversed(range(run.parts))).artifact.digest == expected
