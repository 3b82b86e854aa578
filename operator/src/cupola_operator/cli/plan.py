"""`cupola plan`: what resources, or a model of a size, would take and cost, before anything runs."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import yaml
from rich.console import Console

from cupola_api.training import Precision
from cupola_operator.cli import calibrate as calibrations
from cupola_operator.cli import finished, laws, load, options, plangenerate, planned, plantable
from cupola_operator.cli import workdir as work
from cupola_operator.local import shell
from cupola_operator.local.mirror import MirrorBroken
from cupola_operator.plan import Refused
from cupola_operator.plan import pool as pools
from cupola_operator.plan.answers import budget, document, generating, sized
from cupola_operator.plan.answers.known import USUAL_VOCABULARY
from cupola_operator.plan.answers.loss import Own
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.answers.training import Prices
from cupola_operator.plan.money.energy import PRICE_PER_MWH
from cupola_operator.plan.speed import catalogue, machine
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.report import plan as page
from cupola_operator.settings import Settings

_INVALID = 2
_UNFIT = {"NothingFits", "NoLayout", "BudgetTooSmall"}
"""Reasons of what makes sense and cannot be done."""
_GUIDE_GPU = "a100-80g"
_GUIDE_PRICE = Decimal(10_000)
"""What the guide says that an A100 costs to buy, USD."""
_MOST_GPUS = 1_000_000
_LONGEST_CONTEXT = 1_048_576
_CONTEXT = 4096
_WIDTH = 120
"""Columns where there is no terminal that says its own."""


class Output(StrEnum):
    """How a plan is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    HTML = "html"


def plan(
    *,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", help="A YAML file or a folder of them; repeatable."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Parameters of a model without a file, such as 7B.")
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(help="Tokens that it sees, such as 2T; 20 a parameter by default.")
    ] = None,
    money: Annotated[
        str | None,
        typer.Option(
            "--budget",
            help="The best model for so much money, such as 150000; with --size: of that size.",
        ),
    ] = None,
    generate: Annotated[
        str | None,
        typer.Option(help="Tokens of synthetic text that a model of --size writes, such as 1B."),
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="Tokens of an answer of --generate; 512 by default.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Tokens of the prompt of each answer; 256 by default.")
    ] = None,
    price_per_million: Annotated[
        str | None,
        typer.Option(
            metavar="IN,OUT",
            help="Prices of an endpoint to compare --generate with, a million tokens in and out.",
        ),
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(help="A GPU of the catalogue, or a cloud's instance type.")
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(help="How many; by default as many as end within 30 days."),
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help="A pool of the settings, whatever the files say.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Settings of the installation; a laptop's by default.")
    ] = None,
    price: Annotated[
        str | None, typer.Option(help="Price of a GPU hour instead of the known one.")
    ] = None,
    gpu_price: Annotated[
        str | None, typer.Option(help="Price of a GPU to own, for rent or buy.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Tokens of a sequence, without a file; 4096 by default.")
    ] = None,
    vocabulary: Annotated[
        str | None, typer.Option(help="Entries of the tokenizer, without a file; 32000 by default.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(Precision), help="Number format, without a file; BF16 by default."
        ),
    ] = None,
    law: Annotated[
        Path | None,
        typer.Option(help="The scaling law of your own data, as `cupola ladder --fit` writes it."),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Fit each pool's friction to finished PretrainJobs, and print it."
        ),
    ] = False,
    runs: finished.Option = None,
    workdir: work.Option = work.DEFAULT,
    output: Annotated[
        str,
        typer.Option(
            *("--output", "-o"),
            metavar="|".join(Output),
            help="html is a page of its own on standard output.",
        ),
    ] = Output.TABLE.value,
) -> None:
    """Say what it takes before anything runs: time, memory, money, energy, failures, data, loss.

    Ways to ask:

    cupola plan -f FILE|DIR [--pool NAME] [--settings FILE]

    cupola plan --size 7B --tokens 2T --gpu a100-80g --gpus 512

    cupola plan --budget 150000 --gpu h100-sxm

    cupola plan --generate 1B --size 7B --gpu a100-80g

    cupola plan --calibrate [--workdir DIR | --runs FILE] [--pool NAME]

    With -f the plan is of the run that the resource resolves to: its model, batch, layout and pool, as
    `cupola run` and a cluster run it. What other resources it refers to are read from the same files,
    and, where they were run, from the work directory: a finished Dataset says how many tokens it has.

    Without a file the best layout (data, tensor, pipeline, sequence, ZeRO, checkpointing, offload) is
    searched, and each kind of layout that lost says why.

    --generate plans synthetic text that a model writes as training data, on GPUs and, with
    --price-per-million, from an endpoint.

    --calibrate compares finished PretrainJobs with the planner's roofline and prints each pool's
    friction, how well it predicts runs that it was not fitted to, and the YAML for the settings. Nothing
    is changed; plans on a pool use it once its settings have it.

    Every figure is a range: low, expected, high, meant to hold the truth in 8 of 10 cases. What the
    plan takes for granted is listed below it, and what it does not know it says. Exit code: 0 planned,
    1 something does not fit or cannot run as asked, 2 the input is not valid.
    """
    shown = _output(output)
    if calibrate or runs:
        others = {"-f": file, "--size": size, "--tokens": tokens, "--budget": money, "--gpu": gpu}
        others["--generate"] = generate
        _calibrate(workdir, runs or [], pool, shown, others if calibrate else None)
        return
    try:
        written = plangenerate.wanted(
            generate,
            answer,
            prompt,
            price_per_million,
            others={"-f": file, "--tokens": tokens, "--budget": money}
            | {"--law": law, "--gpu-price": gpu_price},
        )
        prices = Prices(
            device=options.amount("--gpu-price", gpu_price) if gpu_price is not None else None
        )
        hour = options.amount("--price", price) if price is not None else None
        own = laws.read(law) if law else None
        if file:
            _alone({"--size": size, "--tokens": tokens, "--budget": money, "--gpu": gpu})
            _alone({"--gpus": gpus, "--price": price, "--context": context})
            _alone({"--vocabulary": vocabulary, "--precision": precision})
            plans = _of_files(file, settings, pool, workdir=workdir, prices=prices, law=own)
        else:
            place = _machine(gpu, pool, settings, hour)
            asked = Asked(
                machine=place,
                size=options.count("--size", size) if size is not None else 0,
                tokens=options.count("--tokens", tokens) if tokens is not None else None,
                gpus=options.whole("--gpus", gpus, _MOST_GPUS),
                context=options.whole("--context", context, _LONGEST_CONTEXT) or _CONTEXT,
                vocabulary=options.whole("--vocabulary", vocabulary, 1_000_000) or USUAL_VOCABULARY,
                precision=_precision(precision).value,
                available=place.world if pool or settings else None,
                prices=_with_guide(prices, place),
                law=own,
            )
            found = _without_file(
                asked, size, tokens, money, _others(place, settings, pool), written=written
            )
            if not (gpu or pool or settings):
                said = f"no GPU was named, so it is the guide's, {_GUIDE_GPU}; name one with --gpu"
                found = replace(found, notes=(said, *found.notes))
            plans = [found]
    except load.InputInvalid as error:
        _refuse(error.sentences)
    except (options.Invalid, laws.LawInvalid, catalogue.UnknownGpu) as error:
        _refuse([str(error)])
    except MirrorBroken as error:
        _refuse([str(error)])
    except OSError as error:
        _refuse([f"{error.filename}: cannot be read: {error.strerror}"])
    except planned.NotPlanned as error:
        _refuse(error.sentences)
    except Refused as error:
        said = error.message.replace("spec.model.size", "--size")
        _refuse([said], code=1 if error.reason in _UNFIT else _INVALID)
    _show(plans, shown)
    raise typer.Exit(0 if all(one.runs for one in plans) else 1)


def _output(text: str) -> Output:
    """How to print it; refuses a word that is none."""
    try:
        return Output(options.choice("--output", text, list(Output)))
    except options.Invalid as error:
        _refuse([str(error)])


def _precision(text: str | None) -> Precision:
    """The number format; that of most trainings by default. Raises Invalid."""
    if text is None:
        return Precision.BF16
    return Precision(options.choice("--precision", text, list(Precision)))


def _calibrate(
    workdir: Path,
    runs: Sequence[Path],
    pool: str | None,
    output: Output,
    asked: Mapping[str, object] | None,
) -> None:
    """Print what finished runs say of their pools; `asked`: what else is, None without --calibrate."""
    if asked is None:
        _refuse(["--runs names finished runs for --calibrate; write that too"])
    for option in (name for name, value in asked.items() if value):
        _refuse(
            [f"--calibrate looks at finished runs, and {option} says something else; leave it out"]
        )
    if output is Output.HTML:
        _refuse(["--calibrate prints a table, json or yaml; leave -o html out"])
    try:
        found, notes = calibrations.calibrations(workdir, runs, pool)
    except (calibrations.NothingToLearn, work.NotThere) as error:
        _refuse([str(error)], code=1)
    except (finished.ListInvalid, MirrorBroken) as error:
        _refuse([str(error)])
    except OSError as error:
        _refuse([f"{error.filename}: cannot be read: {error.strerror}"])
    calibrations.show(found, notes, output.value)


def _settings(path: Path | None) -> Settings:
    """The settings, with the prices that hold now; a laptop's by default."""
    return pools.all_today(load.settings(path or shell.SETTINGS), datetime.now(UTC))


def _of_files(
    files: Sequence[Path],
    settings: Path | None,
    pool: str | None,
    *,
    workdir: Path,
    prices: Prices,
    law: Own | None,
) -> list[Plan]:
    """A plan for each resource in the files, in their order."""
    manifests = load.read(files)
    chosen = _settings(settings)
    if pool:
        _pool(chosen, pool)
    kwh = _energy_price(chosen.currency)
    return planned.of_manifests(
        manifests, chosen, workdir, wanted=pool, prices=replace(prices, kwh=kwh), law=law
    )


def _without_file(
    asked: Asked,
    size: str | None,
    tokens: str | None,
    money: str | None,
    others: list[Machine],
    *,
    written: plangenerate.Wanted | None,
) -> Plan:
    """The plan of a size, of an amount of money, or of text that a model of a size writes."""
    if written:
        return plangenerate.plan(asked, written, others)
    if money is not None:
        if tokens is not None:
            raise options.Invalid(
                "--tokens and --budget: the money says how many tokens; leave one of them out"
            )
        amount = options.money(money, asked.machine.price.currency)
        return _with_synthetic(asked, budget.plan(asked, amount, size=asked.size or None))
    if size is None:
        raise options.Invalid(
            "say what to plan: -f FILE, or --size 7B, or --budget 150000; cupola plan --help shows more"
        )
    found = sized.plan(asked)
    more = sized.elsewhere(asked, found, others)
    return _with_synthetic(asked, replace(found, alternatives=(*found.alternatives, *more)))


def _with_synthetic(asked: Asked, found: Plan) -> Plan:
    """The plan with what text that such a model writes would cost."""
    if found.training is None:
        return found
    said = generating.besides(replace(asked, size=found.training.parameters))
    return replace(found, notes=(*found.notes, said)) if said else found


_COMPARED = ("a100-80g", "h100-sxm", "h200")
"""GPUs that a plan without a file is compared with."""


def _others(place: Machine, settings: Path | None, pool: str | None) -> list[Machine]:
    """Machines to compare with: the other pools of the settings, or usual GPUs."""
    if pool or settings:
        chosen = _settings(settings)
        found = []
        for one in chosen.pools:
            with suppress(Refused):  # a pool whose GPU is not known is nothing to compare with
                found.append(machine.of_pool(one, chosen.currency))
        return [one for one in found if one.name != place.name]
    usual = [catalogue.typical(name) for name in _COMPARED]
    return [one for one in usual if one.gpu.name != place.gpu.name]


def _machine(
    gpu: str | None, pool: str | None, settings: Path | None, hour: Decimal | None
) -> Machine:
    """Where it computes: a GPU of the catalogue, an instance type, or a pool of the settings."""
    if gpu and (pool or settings):
        raise options.Invalid(
            "--gpu names a GPU of the catalogue, and --pool one of the settings; say one"
        )
    if pool or settings:
        chosen = _settings(settings)
        one = _pool(chosen, pool) if pool else pools.cheapest(chosen)
        place = machine.of_pool(one, chosen.currency)
    else:
        name = gpu or _GUIDE_GPU
        place = catalogue.instance(name) or catalogue.typical(name)
    if hour is None:
        return place
    return replace(place, price=replace(place.price, on_demand=hour, reserved=None))


def _pool(settings: Settings, name: str) -> planned.Pool:
    """The pool of that name."""
    found = settings.pool(name)
    if found:
        return found
    names = sorted(one.name for one in settings.pools)
    near = difflib.get_close_matches(name, names, n=3)
    what = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(names)}"
    raise options.Invalid(f"--pool: there is no pool {name!r} in the settings; {what}")


def _with_guide(prices: Prices, place: Machine) -> Prices:
    """The prices with those of the guide, where it has one in this currency."""
    usd = place.price.currency == "USD"
    device = prices.device
    if device is None and usd and place.gpu.name.startswith("a100"):
        device = _GUIDE_PRICE
    return Prices(device=device, kwh=place.energy_price or _energy_price(place.price.currency))


def _energy_price(currency: str) -> Decimal | None:
    return PRICE_PER_MWH / 1000 if currency == "USD" else None


def _alone(others: dict[str, object]) -> None:
    """Refuse options that are about a model without a file."""
    given = [name for name, value in others.items() if value is not None]
    if given:
        verb = "says" if len(given) == 1 else "say"
        raise options.Invalid(
            f"-f plans what the files ask for, and {' and '.join(given)} {verb} something else; leave one "
            "of them out"
        )


def _show(plans: Sequence[Plan], output: Output) -> None:
    """Print the plans."""
    if output is Output.TABLE:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
        for part in plantable.tables(plans):
            console.print(part)
        return
    if output is Output.HTML:
        print(page.render(plans), end="")
        return
    value = document.of(plans[0]) if len(plans) == 1 else document.together(plans)
    if output is Output.JSON:
        print(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100), end="")


def _refuse(sentences: Sequence[str], code: int = _INVALID) -> NoReturn:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    raise typer.Exit(code)
