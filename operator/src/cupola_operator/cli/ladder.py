"""`cupola ladder`: small trainings from which the loss of a large one is foretold."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer
import yaml
from rich.console import Console, RenderableType
from rich.text import Text

from cupola_api.pretrainjob import PretrainJob
from cupola_api.quantities import people
from cupola_operator import labels
from cupola_operator.cli import finished, laws, load, options, planned
from cupola_operator.cli import workdir as work
from cupola_operator.cli.plantable import grid
from cupola_operator.local import closing
from cupola_operator.local.mirror import MirrorBroken
from cupola_operator.plan import Refused
from cupola_operator.plan import pool as pools
from cupola_operator.plan.answers import document, loss, pretraining
from cupola_operator.plan.answers import ladder as ladders
from cupola_operator.plan.answers.known import Known
from cupola_operator.plan.answers.ladder import Ladder
from cupola_operator.plan.answers.loss import Own
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.estimate import Estimate
from cupola_operator.report import figures
from cupola_operator.settings import Pool

_INVALID = 2
_UNFIT = {"NothingFits", "LadderTooSmall", "TooFewRuns"}
_WIDTH = 120
_SHARE = 0.1
_SIZES = 4


class Output(StrEnum):
    """How a ladder is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class _Aim(NamedTuple):
    """The training that a ladder is for, where it would run, and what is known."""

    resource: PretrainJob
    place: Pool
    currency: str
    known: Known


def ladder(
    *,
    file: Annotated[
        list[Path],
        typer.Option(
            "--file", "-f", help="The large PretrainJob, its Datasets beside it; repeatable."
        ),
    ],
    target: Annotated[
        str | None, typer.Option(help="Its name, where the files hold several PretrainJobs.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the ladder; that of the target by default.")
    ] = None,
    share: Annotated[
        float,
        typer.Option(help="What the small trainings may cost together, of the target's cost."),
    ] = _SHARE,
    sizes: Annotated[
        int, typer.Option(help="Sizes of models, 2 to 8, each twice the last.")
    ] = _SIZES,
    pool: Annotated[
        str | None, typer.Option(help="A pool of the settings, whatever the files say.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Settings of the installation; a laptop's by default.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit the law to those trainings that have Succeeded.")
    ] = False,
    runs: finished.Option = None,
    workdir: work.Option = work.DEFAULT,
    output: Annotated[
        Output,
        typer.Option(
            "--output",
            "-o",
            help="yaml: the PretrainJobs to apply; with --fit the law, for cupola plan --law.",
        ),
    ] = Output.TABLE,
) -> None:
    """Plan a few small trainings on your own data, and foretell the loss of a large one from them.

    1. cupola ladder -f big.yaml -o yaml > ladder.yaml

    2. cupola run -f data.yaml -f ladder.yaml   (or kubectl apply, or commit it)

    3. cupola ladder -f big.yaml --fit -o yaml > law.yaml

    4. cupola plan -f big.yaml --law law.yaml

    Sizes rise by factors of two, each on 10, 20 and 40 tokens a parameter; the largest is the one with
    which all together cost --share of the target. The law is L = E + A / N^alpha + B / D^beta, fitted as
    Hoffmann et al. (2022) and Besiroglu et al. (2024) do. Of fewer than 8 finished trainings the
    exponents stay the published ones; of fewer than 4 nothing is fitted. Fitting needs scipy.

    Exit code: 0 done, 1 it cannot be done as asked, 2 the input is not valid.
    """
    try:
        if not 0 < share <= 100:
            raise options.Invalid(f"--share: must be more than 0, such as 0.1, not {share:g}")
        if not 2 <= sizes <= 8:
            raise options.Invalid(f"--sizes: must be 2 to 8, not {sizes}")
        aim = _aim(file, target, pool, settings, workdir)
        called = name or aim.resource.metadata.name
        if fit:
            own, found = _fitted(called, workdir, runs or [])
            _show_law(own, found, aim, output)
        else:
            _show(ladders.ladder(*aim, name=called, sizes=sizes, share=share), output)
    except load.InputInvalid as error:
        _refuse(error.sentences)
    except (options.Invalid, finished.ListInvalid, MirrorBroken) as error:
        _refuse([str(error)])
    except work.NotThere as error:
        _refuse([str(error)], code=1)
    except OSError as error:
        _refuse([f"{error.filename}: cannot be read: {error.strerror}"])
    except Refused as error:
        _refuse([error.message], code=1 if error.reason in _UNFIT else _INVALID)


def _aim(
    files: Sequence[Path],
    target: str | None,
    pool: str | None,
    settings: Path | None,
    workdir: Path,
) -> _Aim:
    """The PretrainJob of that name, or the only one. Raises what `ladder` says in sentences."""
    manifests = load.read(files)
    chosen = pools.all_today(load.settings(settings or closing.SETTINGS), datetime.now(UTC))
    jobs = {
        one.resource.metadata.name: one.resource
        for one in manifests
        if isinstance(one.resource, PretrainJob)
        and labels.LADDER not in one.resource.metadata.labels
    }
    names = ", ".join(sorted(jobs)) or "none"
    if target is None and len(jobs) != 1:
        raise options.Invalid(
            f"--target: say which PretrainJob the ladder is for; the files hold {names}"
        )
    resource = jobs.get(target) if target else next(iter(jobs.values()))
    if resource is None:
        raise options.Invalid(
            f"--target: the files hold no PretrainJob {target}; they hold {names}"
        )
    layout = resource.spec.parallelism
    wanted = [pool] if pool else resource.spec.pools
    place = pools.choose(chosen, wanted, nodes=layout.nodes, gpus=layout.gpus_per_node)
    return _Aim(resource, place, chosen.currency, planned.known_of(manifests, workdir))


def _fitted(
    name: str, workdir: Path, listed: Sequence[Path]
) -> tuple[Own, list[finished.Training]]:
    """The law of the ladder's finished trainings, and they."""
    found = [
        one
        for one in finished.trainings(finished.objects(workdir, listed))
        if one.labels.get(labels.LADDER) == name
        and one.status.artifact
        and one.status.model
        and one.status.model.validation_loss
    ]
    try:
        from cupola_operator.plan.answers import scaling  # noqa: PLC0415  scipy takes a second
    except ModuleNotFoundError as missing:
        raise work.NotThere(
            f"to fit a law takes {missing.name}, which is not installed; install "
            "cupola-operator[ladder]"
        ) from missing
    runs = [
        scaling.Run(float(model.parameters), float(model.tokens), model.validation_loss or 0.0)
        for one in found
        if (model := one.status.model)
    ]
    return scaling.fit(name, runs), found


def _show(found: Ladder, output: Output) -> None:
    if output is Output.YAML:
        manifests = [rung.manifest() for rung in found.rungs]
        print(yaml.safe_dump_all(manifests, sort_keys=False), end="")
    elif output is Output.JSON:
        value = {
            "name": found.name,
            "share": float(f"{found.share:.4g}"),
            "target": document.of(found.target),
            **document.together(found.plans),
        }
        print(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        _print(_ladder(found))


def _ladder(found: Ladder) -> Iterator[RenderableType]:
    target = found.target
    yield Text(f"Ladder {found.name}: {len(found.rungs)} small trainings", style="bold")
    rows = [(plan.name, *_sizes(plan), *_costs(plan)) for plan in (*found.plans, target)]
    head = ("PretrainJob", "Parameters", "Tokens", "Steps", "GPU hours", "Cost")
    yield grid(head, rows, right=5)
    cost = document.total(found.plans)
    money = f", {figures.span(cost)}" if cost else ""
    yield Text(f"Together {found.share:.1%} of what {target.name} takes{money}.")
    for note in target.notes:
        yield Text(f"Note: {note}.", style="yellow")
    yield Text("Write them with -o yaml, run them, then fit their law with --fit.")


def _sizes(plan: Plan) -> tuple[str, str, str]:
    training = plan.training
    if training is None:
        return "", "", ""
    return people(training.parameters), people(training.tokens), f"{training.steps:,}"


def _costs(plan: Plan) -> tuple[str, str]:
    if plan.bill is None:
        return "", ""
    hours = figures.few(plan.bill.device_hours, figures.count)
    return hours, figures.span(plan.bill.on_demand) if plan.bill.on_demand else "no price"


def _show_law(own: Own, runs: Sequence[finished.Training], aim: _Aim, output: Output) -> None:
    if output is Output.TABLE:
        _print(_law(own, runs, aim))
        return
    value = laws.document(own)
    if output is Output.JSON:
        print(json.dumps(value, indent=2))
    else:
        print(yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=100), end="")


def _law(own: Own, runs: Sequence[finished.Training], aim: _Aim) -> Iterator[RenderableType]:
    law = own.law
    yield Text(f"Law of the ladder {own.name}, fitted to {own.runs} runs", style="bold")
    rows = []
    for one in runs:
        if (model := one.status.model) and model.validation_loss:
            said = law.loss(model.parameters, model.tokens)
            off = f"{model.validation_loss / said - 1:+.1%}"
            sizes = (people(model.parameters), people(model.tokens))
            rows.append((one.key.name, *sizes, f"{model.validation_loss:.3f}", f"{said:.3f}", off))
    yield grid(("Run", "Parameters", "Tokens", "Loss", "Law", "Off"), rows, right=5)
    yield Text(
        f"L = {law.e:.3f} + {law.a:.4g} / N^{law.alpha:.3f} + {law.b:.4g} / D^{law.beta:.3f} nats a token"
    )
    if not own.free:
        yield Text(
            "Note: that is too few runs to fit all five constants: the exponents are the published ones "
            "(Besiroglu et al. 2024), and E, A and B were fitted.",
            style="yellow",
        )
    yield from _foretold(own, aim)


def _foretold(own: Own, aim: _Aim) -> Iterator[RenderableType]:
    """What the law says of the target, and of other splits of its compute."""
    before = pretraining.on_pool(*aim)
    found = pretraining.on_pool(aim.resource, aim.place, aim.currency, replace(aim.known, law=own))
    training = found.training
    if training is None:
        return
    if training.loss is None:
        yield Text(f"Of {found.name} the law says no more than a guess would.", style="yellow")
        return
    sizes = f"{people(training.parameters)} parameters on {people(training.tokens)} tokens"
    yield Text(f"{found.name}, {sizes}: loss {_nats(training.loss)}", style="bold")
    if before.training and before.training.loss:
        yield Text(f"The published law says {_nats(before.training.loss)}.")
    beyond = training.parameters / own.parameters[1]
    if beyond > 1:
        yield Text(
            f"It is {beyond:.3g} times as large as the largest run: the range grows with that."
        )
    best = loss.best(6.0 * training.parameters * training.tokens, own)
    yield Text(
        f"Best split of the same compute: {people(round(best.parameters))} parameters on "
        f"{people(round(best.tokens))} tokens, loss {_nats(best.loss)}."
    )
    yield Text("Write the law with -o yaml, and plan with cupola plan --law FILE.")


def _nats(estimate: Estimate) -> str:
    return figures.few(estimate, lambda nats: f"{nats:.3f}")


def _print(parts: Iterator[RenderableType]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))


def _refuse(sentences: Sequence[str], code: int = _INVALID) -> NoReturn:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    raise typer.Exit(code)
