from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_operator.cli import app, evidence
from cupola_operator.cli.workdir import Workdir
from cupola_operator.cluster import Key
from cupola_operator.report import page

EXAM = Key("Evaluation", "default", "python-exam")
VOID = {"meta", "br", "hr", "col"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and keeps what matters of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def run(workdir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments, "--workdir", str(workdir)])


def exam(workdir: Path, **options: Any) -> Page:
    return Page(page.render(evidence.gather(Workdir(workdir), EXAM, **options)))


@pytest.fixture(scope="module")
def shown(finished: Path) -> Page:
    """The report on the finished Evaluation."""
    return exam(finished)


def change(workdir: Path, kind: str, name: str, **status: Any) -> None:
    """Replace fields of a status; None removes one."""
    path = workdir / "objects" / kind / "default" / f"{name}.yaml"
    value = yaml.safe_load(path.read_text())
    merged = value["status"] | status
    value["status"] = {k: v for k, v in merged.items() if v is not None}
    path.write_text(yaml.safe_dump(value))


def test_the_page_is_written_and_its_path_printed(workdir: Path, tmp_path: Path) -> None:
    found = run(workdir, "python-exam")
    place = workdir / "reports" / "evaluation-python-exam.html"
    assert (found.exit_code, found.stdout) == (0, f"{place}\n")
    Page(place.read_text())
    other = tmp_path / "x" / "y.html"
    assert run(workdir, "ptj/python-base", "-o", str(other)).stdout == f"{other}\n"
    assert "Report on PretrainJob python-base" in other.read_text()


def test_the_same_work_directory_gives_the_same_bytes(workdir: Path) -> None:
    first, second = (page.render(evidence.gather(Workdir(workdir), EXAM)) for _ in range(2))
    assert first == second


def test_the_page_needs_nothing_else_and_runs_nothing(shown: Page) -> None:
    for tag, attributes in shown.tags:
        assert tag not in {"script", "link", "iframe", "img", "object", "base", "form"}
        assert not [name for name in attributes if name.startswith("on")]
        assert not attributes.keys() & {"src", "srcset", "action", "style"}
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in shown.said
    policy = [m for m in shown.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert (policy[0]["content"] or "").startswith("default-src 'none'")


def test_what_a_model_wrote_stays_text(workdir: Path) -> None:
    text = page.render(evidence.gather(Workdir(workdir), EXAM))
    assert "<script" not in text
    assert "&lt;/code&gt;&lt;/pre&gt;&lt;script&gt;alert(" in text
    assert "</code></pre><script>alert('model')</script>" in exam(workdir).said


def test_what_people_and_pods_wrote_stays_text(workdir: Path) -> None:
    evil = "<img src=x onerror=alert(1)>\"'&"
    change(
        workdir,
        "Evaluation",
        "python-exam",
        phase="Failed",
        failedThresholds=[evil],
        conditions=[
            {"type": "Ready", "status": "False", "reason": "X", "message": evil, "lastTransitionTime": "x"}
        ],
        scores=[{"task": evil, "metric": evil, "value": 1.0}],
    )  # fmt: skip
    found = exam(workdir)
    assert not found.of("img")
    assert found.said.count(evil) >= 4


def test_sections_are_numbered_and_listed(shown: Page) -> None:
    for title in (
        "1 Summary", "2 Dataset python-functions", "2.3 What was dropped, and by which rule", "3 PretrainJob python-base",
        "3.3 Loss", "3.4 Throughput", "4 FineTune python-writer", "5 Evaluation python-exam", "5.2 Scores", "5.4 Samples",
        "6 Money, energy and time", "7 Digests and lineage",
    ):  # fmt: skip
        assert shown.said.count(title) == 2, title
    anchors = {link["href"] for link in shown.of("a")}
    assert anchors == {f"#{section['id']}" for section in shown.of("section")}


def test_the_summary_says_what_came_of_it_and_what_it_cost(shown: Page) -> None:
    said = shown.said
    assert (
        "Evaluation python-exam measured python-writer beside python-base, and all thresholds are met."
    ) in said
    assert (
        "answers: perplexity 8.134 against 31.72 (better, by 16.4 standard errors); lower is better."
    ) in said
    assert "mmlu-dev: acc 0.2632 against 0.2456 (no clear difference); higher is better." in said
    assert "It and everything it was made from cost 0.0092 USD, of which 6.6 % was wasted." in said
    assert (
        "It took 5 min 52 s from the first start to the last end; 1 of 9 attempts failed." in said
    )


def test_each_kind_is_summed_up(workdir: Path) -> None:
    def lead(kind: str, name: str) -> str:
        found = evidence.gather(Workdir(workdir), Key(kind, "default", name))
        return Page(page.render(found)).said

    assert (
        "Dataset python-functions kept 3,377 of 4,210 documents (80.2 %): 1.2M tokens to train on."
    ) in lead("Dataset", "python-functions")
    assert (
        "PretrainJob python-base is a model of 2.1M parameters, trained on 2M tokens. On held-out "
        "text its loss is 2.744 nats per token (perplexity 15.55)."
    ) in lead("PretrainJob", "python-base")


def test_data_is_counted_by_rule_and_kind(shown: Page) -> None:
    assert "833 of 4,210 documents (19.8 %) were dropped." in shown.said
    for title in (
        "near-duplicate: 402 documents (9.5 %)",
        "does-not-parse: 121 documents (2.9 %)",
        "Email: 41 findings",
    ):
        assert title in shown.said


def test_curves_show_every_attempt_and_what_was_lost(shown: Page) -> None:
    assert "Attempt 1 lost 60 steps after step 120." in shown.said
    curves = [c["class"] for c in shown.of("polyline")]
    # four charts of the pretraining with three curves each, four of the fine-tuning
    assert curves.count("curve c0 dashed") == 4
    assert curves.count("curve c1") == 4
    assert curves.count("curve c0") == 8
    for name in ("validation loss: 2.744", "unigram entropy: 5.91", "work that was lost"):
        assert name in shown.said


def test_charts_have_names_axes_and_values(shown: Page) -> None:
    charts = shown.of("svg")
    assert len(charts) == 13
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert "Training loss of PretrainJob python-base by optimizer step" in shown.said
    assert "optimizer step" in shown.said
    assert re.search(r"attempt 2, step 488: [0-9.]+ nats per token", shown.said)


def test_attempts_are_told_with_reason_and_cost(shown: Page) -> None:
    said = shown.said
    assert (
        "1 2026-11-22 10:00:30 1 min 06 s Lost NodeLost infrastructure step 120 0.0367 0.0018 USD* "
        "0.0006 USD"
    ) in said
    assert "tokenise 1 2026-11-22 10:00:15 5 s Succeeded" in said


def test_the_story_is_that_of_cupola_get(shown: Page) -> None:
    said = shown.said
    assert (
        "2026-11-22 10:00:00 \N{EN DASH} waited for Dataset python-functions "
        "2026-11-22 10:00:30 +30s attempt 1 started (1 pod, 2 devices) "
        "2026-11-22 10:01:36 +1m36s attempt 1 was lost (infrastructure): the pod was lost with its "
        "node: its end was not observed took 1 min 06 s, cost 0.0018 USD; lost 60 steps after step "
        "120, 22 s of 2 devices, 0.0006 USD its end was not observed; the figures are estimated "
        "2026-11-22 10:01:42 +1m42s attempt 2 started, going on from step 120"
    ) in said
    assert "of an earlier PretrainJob" not in said
    assert "2026-11-22 10:00:10 +10s cleaned the documents: took 5 s, cost 0.0001 USD" in said


def test_a_suspension_is_a_stretch_of_the_timeline(workdir: Path) -> None:
    path = workdir / "objects/PretrainJob/default/python-base.yaml"
    first, second = yaml.safe_load(path.read_text())["status"]["attempts"]
    first |= {"outcome": "Stopped", "reason": "Suspended", "wasted": "0", "estimated": False}
    del first["failure"]
    change(workdir, "PretrainJob", "python-base", attempts=[first, second], phase="Suspended")
    found = exam(workdir)
    assert "PretrainJob python-base: suspended for 6 s" in found.said
    assert [bar["class"] for bar in found.of("rect")].count("bar busy") == 1
    assert "PretrainJob python-base, attempt 1: Stopped, 1 min 06 s" in found.said
    target = evidence.gather(Workdir(workdir), Key("PretrainJob", "default", "python-base"))
    assert (
        "PretrainJob python-base is suspended, 100% of it is done."
        in Page(page.render(target)).said
    )
    assert "attempts failed" not in found.said


def test_money_is_summed(shown: Page) -> None:
    said = shown.said
    assert "PretrainJob python-base 0.0057 USD 0.0006 USD 10.8 % 0.1133 0.00283" in said
    assert "Together 0.0092 USD 0.0006 USD 6.6 % 0.1839 0.00460" in said


def test_scores_have_errors_chance_and_a_verdict(shown: Page) -> None:
    assert (
        "answers perplexity lower 8.134 ± 0.31 31.72 ± 1.4 better, by 16.4 standard errors 4,096 612"
    ) in shown.said
    assert "python-writer: 0.5938 ± 0.061" in shown.said
    assert "chance: 0.25" in shown.said
    assert "answers perplexity no worse than the other model" in shown.said


def test_samples_stand_side_by_side(shown: Page) -> None:
    said = shown.said
    assert (
        "functions: 1 prompt Prompt Return the larger of two numbers. python-writer answer" in said
    )
    assert "ended: no; verdict: NotEnded" in said


def test_digests_hold_together_and_a_change_shows(workdir: Path) -> None:
    assert "differs" not in exam(workdir).said
    assert exam(workdir).said.count(" holds ") == 18
    change(
        workdir, "Dataset", "python-functions", run={"revision": 1, "digest": f"sha256:{'0' * 64}"}
    )
    manifest = next((workdir / "store").rglob("python-writer/*/*/artifact/manifest.json"))
    manifest.write_text(manifest.read_text().replace('"bytes":8', '"bytes":9'))
    changed = exam(workdir).said
    assert changed.count("differs") == 3


def test_configuration_is_shown_as_written_and_as_resolved(shown: Page) -> None:
    said = shown.said
    assert "base: pretrainJob: python-base dataset: python-functions The resolved run" in said
    assert "quality: rules: Code pii: {} dedup: {} tokenizer: train: vocabSize: 4096" in said
    assert "checkpointSeconds: 30" in said


def test_alone_leaves_out_what_it_was_made_from(workdir: Path) -> None:
    found = run(workdir, "python-exam", "--alone")
    text = Path(found.stdout.strip()).read_text()
    assert "2 Evaluation python-exam" in Page(text).said
    assert "Dataset python-functions</h2>" not in text


def test_a_run_that_goes_on_is_reported_so_far(workdir: Path) -> None:
    shutil.rmtree(workdir / "objects" / "Dataset")
    change(
        workdir, "PretrainJob", "python-base", phase="Running", artifact=None, model=None,
        progress={"fraction": 0.6}, conditions=None,
    )  # fmt: skip
    found = evidence.gather(Workdir(workdir), Key("PretrainJob", "default", "python-base"))
    said = Page(page.render(found)).said
    assert "PretrainJob python-base is running, 60% of it is done." in said
    assert "Dataset/python-functions is not in the work directory" in said
    assert "wasted so far." in said


def test_a_resource_that_never_ran_is_reported(workdir: Path) -> None:
    path = workdir / "objects/Evaluation/default/python-exam.yaml"
    value = yaml.safe_load(path.read_text())
    del value["status"]
    path.write_text(yaml.safe_dump(value))
    said = exam(workdir, alone=True).said
    assert "Evaluation python-exam has not begun, 0% of it is done." not in said
    assert "Evaluation python-exam has not begun." in said
    for nothing in ("There are no scores yet.", "There was no attempt.", "Nothing was spent yet."):
        assert nothing in said


def test_files_that_are_gone_are_noted(workdir: Path) -> None:
    shutil.rmtree(workdir / "store")
    said = exam(workdir).said
    assert "PretrainJob python-base: its steps are not told:" in said
    assert "Evaluation python-exam: its artifact was not looked at:" in said
    assert "No samples lie on this machine." in said


def test_references_in_a_circle_end(workdir: Path) -> None:
    path = workdir / "objects/FineTune/default/python-writer.yaml"
    value = yaml.safe_load(path.read_text())
    value["spec"]["base"] = {"fineTune": "python-writer"}
    path.write_text(yaml.safe_dump(value))
    found = evidence.gather(Workdir(workdir), Key("FineTune", "default", "python-writer"))
    assert [subject.key.kind for subject in found.subjects] == ["Dataset", "FineTune"]


def test_what_cannot_be_reported_is_said(workdir: Path) -> None:
    path = workdir / "objects/FineTune/default/python-writer.yaml"
    value = yaml.safe_load(path.read_text())
    value["spec"] = {}
    path.write_text(yaml.safe_dump(value))
    found = run(workdir, "python-writer")
    assert found.exit_code == 1
    assert found.stderr.startswith("FineTune/python-writer cannot be reported on: spec.base: this")
    assert run(workdir, "zzz").exit_code == 1


@pytest.mark.parametrize(
    "text", ['{"step": 1}', "[1]\n", "\xff\0\n", "{" * 10_000, '{"step": "x"}\n']
)
def test_whatever_a_pod_wrote_does_no_harm(workdir: Path, text: str) -> None:
    for file in (workdir / "store").rglob("history.jsonl"):
        file.write_text(text)
    for file in (workdir / "store").rglob("samples.jsonl"):
        file.write_text(text)
    assert "Loss" in exam(workdir).said
