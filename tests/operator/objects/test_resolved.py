"""What a person wrote stands in the resolved run, whatever it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_api.mixing import Mixing
from cupola_api.run import ORDER
from cupola_operator.build import run as build
from cupola_operator.cluster import Object, key_of
from cupola_operator.plan import Refused
from cupola_operator.plan.schedule import HIGHEST_RATE
from cupola_operator.world import World

TASK = {"input": "question", "output": "answer"}
LISTED = {"listing": "file:///data/l.json", "inputsDigest": digest_of("files"), "parts": 3}
TRAINING = {
    "weightDecay": 0.25,
    "gradientClipping": 0.5,
    "precision": "FP32",
    "seed": 7,
    "schedule": {"learningRate": 0.002, "warmup": 0.5, "final": 0.3},
    "parallelism": {
        "nodes": 2,
        "gpusPerNode": 1,
        "zeroStage": 3,
        "activationCheckpointing": True,
    },
    "output": "store:///team",
}
PLACES = ("output", "namespace", "name")


def seen(kit: Any, value: Object, *others: Object) -> World:
    cluster = kit.Cluster()
    key = key_of(cluster.create(value))
    for other in others:
        cluster.create(other)
    world = kit.world(cluster, key)
    assert isinstance(world, World)
    return world


def dataset(kit: Any, status: dict[str, Any], **spec: Any) -> World:
    value = kit.resource("Dataset", **spec)
    value["status"] = {"run": {"revision": 1}, **status}
    return seen(kit, value, kit.done("Dataset", "other"))


def test_a_dataset_lists_its_sources_in_the_store_of_the_installation(kit: Any) -> None:
    sources = [
        {"name": "a", "uri": "store:///raw/a", "format": "Jsonl", "text": "body"},
        {"name": "b", "uri": "file:///b", "format": "Text"},
    ]
    run = build.list_run(dataset(kit, {}, sources=sources, output="file:///outX/"))
    assert [(s.name, s.uri, s.text) for s in run.sources] == [
        ("a", "file:///data/raw/a", "body"),
        ("b", "file:///b", "text"),
    ]
    assert [getattr(run, place) for place in PLACES] == [
        "file:///outX/default/dataset/data",
        "default",
        "data",
    ]


def test_weights_are_of_the_curation_and_not_of_the_listing(kit: Any) -> None:
    source = {"name": "a", "uri": "store:///raw/a", "format": "Jsonl"}
    plain, weighted = [source], [source | {"weight": 2}]
    lists = [build.list_run(dataset(kit, {}, sources=some)).digest for some in (plain, weighted)]
    assert lists[0] == lists[1]
    run = build.curate_run(dataset(kit, LISTED, sources=weighted))
    assert (run.sources[0].weight, run.mixing) == (2, Mixing())
    run = build.curate_run(dataset(kit, LISTED, sources=plain))
    assert {"mixing", "weight"}.isdisjoint({*run.to_json(), *run.to_json()["sources"][0]})
    wanted = {"temperature": 2.0, "maxRepeats": 3}
    run = build.curate_run(dataset(kit, LISTED, sources=plain, mixing=wanted))
    assert run.mixing == Mixing(temperature=2, max_repeats=3)


def test_a_dataset_trains_a_tokenizer_or_takes_that_of_another(kit: Any) -> None:
    trained = build.curate_run(dataset(kit, LISTED, tokenizer={"train": {"vocabSize": 1024}}))
    assert (trained.vocab_size, trained.tokenizer) == (1024, None)
    taken = build.curate_run(dataset(kit, LISTED, tokenizer={"dataset": "other"}))
    assert taken.vocab_size is None
    assert taken.tokenizer is not None
    assert taken.tokenizer.digest == digest_of("Dataset/other")


def test_a_tokenizer_from_a_file_is_listed_and_its_place_is_no_part_of_the_digest(kit: Any) -> None:
    here, there = (
        dataset(kit, LISTED, tokenizer={"uri": uri})
        for uri in ("store:///t.json", "s3://any/t.json")
    )
    wanted = [{"name": "tokenizer", "uri": "file:///data/t.json"}]
    assert build.list_run(here).to_json()["files"] == wanted
    run = build.curate_run(here)
    assert (run.vocab_size, run.tokenizer) == (None, None)
    assert run.to_json()["tokenizerFile"] == wanted[0]
    assert run.digest == build.curate_run(there).digest
    assert run.digest != build.curate_run(dataset(kit, LISTED)).digest
    assert build.list_run(dataset(kit, LISTED)).files is None


def test_block_lists_and_benchmarks_are_listed_and_found_in_the_store(kit: Any) -> None:
    curation = {
        "blockLists": [{"name": "words", "uri": "store:///lists/words.txt", "matches": "Words"}],
        "decontamination": {
            "benchmarks": [{"name": "exam", "uri": "s3://exams/exam.jsonl"}],
        },
    }
    here = dataset(kit, LISTED, curation=curation)
    listed = [(one["name"], one["uri"]) for one in build.list_run(here).to_json()["files"]]
    assert listed == [
        ("block-words", "file:///data/lists/words.txt"),
        ("benchmark-exam", "s3://exams/exam.jsonl"),
    ]
    resolved = build.curate_run(here).curation.files()
    assert [(one.name, one.uri) for one in resolved] == listed


def test_a_tokenizer_is_trained_by_the_algorithm_that_the_dataset_names(kit: Any) -> None:
    train = {"vocabSize": 1024, "algorithm": "WordPiece"}
    assert (
        build.curate_run(dataset(kit, LISTED, tokenizer={"train": train})).algorithm == "WordPiece"
    )
    assert build.curate_run(dataset(kit, LISTED)).algorithm == "Bpe"


def test_a_curation_is_what_the_dataset_says(kit: Any) -> None:
    spec: dict[str, Any] = {
        "curation": {"dedup": {"similarity": 0.9, "scope": "Source"}, "maxBad": 0.2},
        "task": TASK,
        "validation": 0.25,
        "seed": 5,
        "output": "store:///team",
    }
    run = build.curate_run(dataset(kit, LISTED, **spec))
    assert (run.curation.to_json(), run.validation, run.seed) == (spec["curation"], 0.25, 5)
    assert (run.listing, run.listing_digest, run.parts) == tuple(LISTED.values())
    assert run.task is not None
    assert run.task.to_json() == TASK
    assert [s.uri for s in run.sources] == ["file:///data/raw"]
    assert run.output == "file:///data/team/default/dataset/data"


@pytest.mark.parametrize("lost", LISTED)
def test_without_a_listing_there_is_nothing_to_curate(kit: Any, lost: str) -> None:
    status = {key: value for key, value in LISTED.items() if key != lost}
    with pytest.raises(Refused, match=r"raise spec\.revision") as caught:
        build.curate_run(dataset(kit, status))
    assert caught.value.reason == "NotListed"


def test_a_pretraining_is_what_its_spec_says(kit: Any) -> None:
    spec: dict[str, Any] = {
        **TRAINING,
        "datasets": [{"name": "data", "weight": 3}, {"name": "more", "weight": 0.5}],
        "model": {
            "shape": {"layers": 3, "hidden": 64, "heads": 4, "kvHeads": 2, "ffn": 96},
            "context": 128,
            "attention": "WithinDocuments",
        },
        "tokens": "1M",
        "batch": "512",
        "optimizer": {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-6},
        "checkpoint": {"every": "90s", "keep": 9},
    }
    value = kit.resource("PretrainJob", **spec)
    world = seen(kit, value, kit.done("Dataset"), kit.done("Dataset", "more"))
    run = build.pretrain_run(world, kit.SETTINGS.pools[0])
    assert [(d.kind, d.name, d.weight, d.digest) for d in run.datasets] == [
        ("Dataset", "data", 3, digest_of("Dataset/data")),
        ("Dataset", "more", 0.5, digest_of("Dataset/more")),
    ]
    assert (run.order, run.attention) == (ORDER, "WithinDocuments")
    shape = run.shape.to_json()
    assert {k: shape[k] for k in spec["model"]["shape"]} == spec["model"]["shape"]
    assert (shape["context"], shape["vocabulary"]) == (128, 4096)
    assert (run.sequences_per_step, run.micro_batch) == (4, 2)
    assert run.steps == -(-1_000_000 // 512)
    assert run.hyperparameters.to_json() == {
        "optimizer": spec["optimizer"],
        "learningRate": 0.002,
        "warmupSteps": round(run.steps / 2),
        "finalRatio": 0.3,
        "weightDecay": 0.25,
        "gradientClipping": 0.5,
        "precision": "FP32",
        "seed": 7,
    }
    assert run.world.to_json() == {"nodes": 2, "gpusPerNode": 1, "threads": 3, "device": "Cpu"}
    assert (run.zero_stage, run.activation_checkpointing) == (3, True)
    assert (run.checkpoint_seconds, run.checkpoint_keep) == (90, 9)
    assert run.output == "file:///data/team/default/pretrainjob/base"


@pytest.mark.parametrize(("every", "seconds"), [("0s", 1), ("1s", 1), ("2s", 2)])
def test_a_second_is_the_shortest_time_between_checkpoints(
    kit: Any, every: str, seconds: int
) -> None:
    world = seen(kit, kit.resource("PretrainJob", checkpoint={"every": every}), kit.done("Dataset"))
    assert build.pretrain_run(world, kit.SETTINGS.pools[0]).checkpoint_seconds == seconds
    base = kit.done("PretrainJob")
    value = kit.resource("FineTune", checkpoint={"every": every})
    world = seen(kit, value, kit.done("Dataset", task=TASK), base)
    assert build.fine_tune_run(world, kit.SETTINGS.pools[0]).checkpoint_seconds == seconds


def test_a_fine_tuning_is_what_its_spec_says(kit: Any) -> None:
    spec: dict[str, Any] = {
        **TRAINING,
        "tuning": {"lora": {"rank": 4, "merge": False}},
        "epochs": 1.5,
        "examplesPerStep": 6,
        "maxLength": 64,
        "checkpoint": {"every": "90s", "keep": 9},
    }
    value = kit.resource("FineTune", **spec)
    world = seen(kit, value, kit.done("Dataset", task=TASK), kit.done("PretrainJob"))
    run = build.fine_tune_run(world, kit.SETTINGS.pools[0])
    assert (run.base.digest, run.dataset.digest) == (
        digest_of("PretrainJob/base"),
        digest_of("Dataset/data"),
    )
    assert run.tuning.lora is not None
    assert (run.tuning.lora.rank, run.tuning.lora.merge) == (4, False)
    assert (run.epochs, run.examples_per_step, run.max_length) == (1.5, 6, 64)
    assert (run.warmup_ratio, run.zero_stage, run.activation_checkpointing) == (0.5, 3, True)
    assert (run.checkpoint_seconds, run.checkpoint_keep) == (90, 9)
    found = run.hyperparameters
    assert (found.weight_decay, found.gradient_clipping, found.seed) == (0.25, 0.5, 7)
    assert (found.learning_rate, found.warmup_steps, found.final_ratio) == (0.002, 0, 0.3)
    assert found.precision == "FP32"
    assert run.world.to_json() == {"nodes": 2, "gpusPerNode": 1, "threads": 3, "device": "Cpu"}
    assert run.output == "file:///data/team/default/finetune/tuned"


def test_a_larger_base_is_tuned_at_a_lower_rate(kit: Any) -> None:
    def rate(parameters: int) -> float:
        base = kit.done("PretrainJob")
        base["status"]["model"]["parameters"] = parameters
        world = seen(kit, kit.resource("FineTune"), kit.done("Dataset", task=TASK), base)
        return build.fine_tune_run(world, kit.SETTINGS.pools[0]).hyperparameters.learning_rate

    assert rate(10**6) > rate(10**9) > rate(10**11)


def test_a_base_whose_size_is_not_known_is_tuned_as_the_smallest(kit: Any) -> None:
    base = kit.done("PretrainJob")
    del base["status"]["model"]
    world = seen(kit, kit.resource("FineTune"), kit.done("Dataset", task=TASK), base)
    run = build.fine_tune_run(world, kit.SETTINGS.pools[0])
    assert run.hyperparameters.learning_rate == pytest.approx(HIGHEST_RATE / 10)


def test_only_trainings_make_models(kit: Any) -> None:
    made = [kit.done("PretrainJob"), kit.done("Dataset", task=TASK)]
    world = seen(kit, kit.resource("FineTune"), *made)
    summaries = {key.kind: build.model_summary(ref) for key, ref in world.references.items()}
    assert summaries["Dataset"] is None
    assert summaries["PretrainJob"] is not None
    assert summaries["PretrainJob"].parameters == 2_000_000


def test_an_evaluation_is_what_its_spec_says(kit: Any) -> None:
    spec: dict[str, Any] = {
        "model": {"pretrainJob": "base"},
        "compareTo": {"fineTune": "tuned"},
        "tasks": [
            {"name": "text", "perplexity": {"dataset": "data", "limit": 9}},
            {"name": "code", "pythonFunction": {"dataset": "more"}},
            {"name": "exam", "harness": {"task": "arc", "data": "store:///arc", "shots": 2}},
        ],
        "thresholds": [],
        "seed": 11,
        "output": "store:///team",
    }
    made = [kit.done("PretrainJob"), kit.done("FineTune"), kit.done("Dataset")]
    world = seen(kit, kit.resource("Evaluation", **spec), *made, kit.done("Dataset", "more"))
    run = build.evaluate_run(world, kit.SETTINGS.pools[0])
    assert run.compare_to is not None
    assert (run.model.name, run.compare_to.name) == ("base", "tuned")
    assert [task.task.to_json()["name"] for task in run.tasks] == ["text", "code", "exam"]
    assert [task.dataset and task.dataset.name for task in run.tasks] == ["data", "more", None]
    assert [task.folder for task in run.tasks] == [None, None, "file:///data/arc"]
    assert (run.seed, run.threads, run.device) == (11, 6, "Cpu")
    assert run.output == "file:///data/team/default/evaluation/exam"
    alone = seen(kit, kit.resource("Evaluation", compareTo=None, thresholds=[]), *made)
    assert build.evaluate_run(alone, kit.SETTINGS.pools[1]).compare_to is None
    assert build.evaluate_run(alone, kit.SETTINGS.pools[1]).threads == 12


def test_a_model_whose_first_base_is_gone_has_no_known_context(kit: Any) -> None:
    value = kit.resource("FineTune", "second", base={"fineTune": "tuned"})
    world = seen(kit, value, kit.done("FineTune"), kit.done("Dataset", task=TASK))
    with pytest.raises(Refused, match=r"PretrainJob/base.*create it again") as caught:
        build.fine_tune_run(world, kit.SETTINGS.pools[0])
    assert caught.value.reason == "ContextUnknown"


def test_a_base_that_was_not_looked_at_is_not_there(kit: Any) -> None:
    value = kit.resource("FineTune", "second", base={"fineTune": "tuned"})
    world = seen(kit, value, kit.done("FineTune"), kit.done("Dataset", task=TASK))
    known = {k: v for k, v in world.references.items() if k.kind != "PretrainJob"}
    with pytest.raises(Refused, match="PretrainJob/base") as caught:
        build.fine_tune_run(replace(world, references=known), kit.SETTINGS.pools[0])
    assert caught.value.reason == "ContextUnknown"


def test_models_that_go_back_to_each_other_have_no_known_context(kit: Any) -> None:
    value = kit.resource("FineTune", "third", base={"fineTune": "first"})
    first = kit.done("FineTune", "first", base={"fineTune": "second"})
    second = kit.done("FineTune", "second", base={"fineTune": "first"})
    world = seen(kit, value, first, second, kit.done("Dataset", task=TASK))
    with pytest.raises(Refused, match="FineTune/first") as caught:
        build.fine_tune_run(world, kit.SETTINGS.pools[0])
    assert caught.value.reason == "ContextUnknown"
