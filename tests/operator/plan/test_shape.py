from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api import pretrainjob
from cupola_api.run import Shape
from cupola_operator.plan import Refused, shape


def llama(*sizes: int, tied: bool) -> Shape:
    layers, hidden, heads, kv_heads, ffn, vocabulary = sizes
    return Shape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        ffn=ffn,
        vocabulary=vocabulary,
        context=4096,
        tie_embeddings=tied,
    )


@pytest.mark.parametrize(
    ("form", "published"),
    [
        (llama(32, 4096, 32, 32, 11008, 32_000, tied=False), 6_738_415_616),  # Llama 2 7B
        (llama(32, 4096, 32, 8, 14336, 128_256, tied=False), 8_030_261_248),  # Llama 3 8B
        (llama(80, 8192, 64, 8, 28672, 128_256, tied=False), 70_553_706_496),  # Llama 3 70B
        (llama(22, 2048, 32, 4, 5632, 32_000, tied=False), 1_100_048_384),  # TinyLlama
        (llama(30, 576, 9, 3, 1536, 49_152, tied=True), 134_515_008),  # SmolLM 135M
    ],
)
def test_parameters_are_those_of_published_models(form: Shape, published: int) -> None:
    assert shape.parameters(form) == published


@pytest.mark.parametrize("size", [1, 20_000, 999_999_999_999_999_000_000])
def test_a_size_that_no_sensible_shape_has_is_refused(size: int) -> None:
    with pytest.raises(Refused, match=r"spec.model.size.*write size: ") as caught:
        shape.of_size(size, vocabulary=4096, context=2048)
    assert caught.value.reason == "SizeOutOfReach"


@pytest.mark.parametrize("size", [101, 130, 175, 405, 540, 1000, 3000])
def test_a_model_that_is_split_over_many_devices_can_be_split_evenly(size: int) -> None:
    form = shape.of_size(size * 10**9, vocabulary=128_256, context=8192)
    assert (form.layers % 16, form.heads % 16) == (0, 0)
    assert shape.parameters(form) == pytest.approx(size * 10**9, rel=0.05)


@pytest.mark.parametrize(
    ("size", "vocabulary", "tolerance"),
    [
        (2_000_000, 4096, 0.05),
        (10_000_000, 32_000, 0.05),
        (125_000_000, 32_000, 0.03),
        (1_300_000_000, 32_000, 0.03),
        (7_000_000_000, 32_000, 0.03),
        (70_000_000_000, 128_256, 0.03),
        (400_000_000_000, 128_256, 0.03),
    ],
)
def test_the_shape_has_about_as_many_parameters_as_asked_for(
    size: int, vocabulary: int, tolerance: float
) -> None:
    form = shape.of_size(size, vocabulary=vocabulary, context=2048)
    assert abs(shape.parameters(form) / size - 1) < tolerance
    assert form.tie_embeddings == (size < 1_000_000_000)
    assert form.kv_heads == (8 if form.hidden >= 4096 else form.heads)
    assert 16 <= form.hidden / form.layers <= 200


@given(
    size=st.integers(0, 10**13),
    vocabulary=st.integers(512, 1_000_000),
    context=st.integers(16, 1_048_576),
)
def test_every_shape_is_one_that_the_api_accepts(size: int, vocabulary: int, context: int) -> None:
    try:
        form = shape.of_size(size, vocabulary=vocabulary, context=context)
    except Refused:
        return
    assert size / 2 <= shape.parameters(form) <= 2 * size
    pretrainjob.Shape(
        layers=form.layers,
        hidden=form.hidden,
        heads=form.heads,
        kv_heads=form.kv_heads,
        ffn=form.ffn,
    )
    assert (form.vocabulary, form.context) == (vocabulary, context)
    assert form.hidden // form.heads in (32, 64, 128)


def test_more_parameters_asked_for_are_more_parameters() -> None:
    counts = [
        shape.parameters(shape.of_size(int(2e6 * 1.3**i), vocabulary=4096, context=256))
        for i in range(40)
    ]
    assert counts == sorted(counts)


def test_a_given_shape_is_completed_and_otherwise_kept() -> None:
    given_shape = pretrainjob.Shape(layers=4, hidden=128, heads=4)
    assert shape.completed(given_shape, vocabulary=512, context=64) == Shape(
        layers=4,
        hidden=128,
        heads=4,
        kv_heads=4,
        ffn=352,
        vocabulary=512,
        context=64,
        tie_embeddings=True,
    )
    full = pretrainjob.Shape(layers=32, hidden=4096, heads=32, kv_heads=8, ffn=14336)
    large = shape.completed(full, vocabulary=128_256, context=8192)
    assert (large.kv_heads, large.ffn, large.tie_embeddings) == (8, 14336, False)


def test_training_flops_follow_the_formula_of_the_scaling_laws() -> None:
    form = llama(30, 4096, 32, 32, 11008, 102_400, tied=False)
    assert shape.flops_per_token(form) == 72 * 30 * 4096**2 + 12 * 30 * 4096 * 4096
