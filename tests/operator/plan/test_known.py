from __future__ import annotations

from cupola_operator.plan.answers.known import USUAL_VOCABULARY

from . import planning


def test_the_vocabulary_is_that_of_the_tokenizer_wherever_it_is_from() -> None:
    web = planning.dataset("web", 50_000)
    code = planning.resource(
        "Dataset",
        "code",
        sources=[{"name": "a", "uri": "store:///a", "format": "Text"}],
        tokenizer={"dataset": "web"},
    )
    known = planning.known(web, code)
    assert known.vocabulary("code", "default") == 50_000
    assert known.vocabulary("none", "default") is None
    assert planning.known(code).vocabulary("code", "default") is None


def test_tokenizers_that_go_round_in_a_circle_end() -> None:
    source = [{"name": "a", "uri": "store:///a", "format": "Text"}]
    one = planning.resource("Dataset", "a", sources=source, tokenizer={"dataset": "b"})
    other = planning.resource("Dataset", "b", sources=source, tokenizer={"dataset": "a"})
    assert planning.known(one, other).vocabulary("a", "default") is None


def test_a_summary_counts_only_of_a_dataset_that_is_finished() -> None:
    data = planning.dataset()
    assert planning.known(data).summary("web", "default") is None
    found = planning.known(planning.finished(data, 7)).summary("web", "default")
    assert found is not None
    assert found.tokens == 7


def test_a_shape_without_its_dataset_is_not_certain() -> None:
    one = planning.pretraining()
    form, certain = planning.known().shape_of(one.spec, "default")
    assert not certain
    assert form.vocabulary == USUAL_VOCABULARY
    assert planning.known(planning.dataset()).shape_of(one.spec, "default")[1]
