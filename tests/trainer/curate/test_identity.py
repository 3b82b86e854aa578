from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from cupola_trainer.curate.identity import Draw, identify


def test_white_space_and_composition_make_no_difference_but_letters_do() -> None:
    assert identify(" a  b\n", 0) == identify("a b", 0)
    assert identify("caf\u00e9", 0) == identify("cafe\u0301", 0)
    assert identify("A b", 0) != identify("a b", 0)


def test_the_seed_changes_the_order_and_nothing_else() -> None:
    one, other = identify("text", 0), identify("text", 1)
    assert one.key != other.key
    assert one._replace(key=0) == other._replace(key=0)


def test_identity_is_the_same_in_every_version() -> None:
    assert identify("text", 7) == (
        14242157732909174329,
        2774307902057007045,
        17184334181970210392,
        17387426835003230025,
    )


def drawn(lots: npt.NDArray[np.uint64], share: float) -> npt.NDArray[np.bool_]:
    """Who is held out, seen in two pieces."""
    draw = Draw(share)
    draw.see(lots[: len(lots) // 3])
    draw.see(lots[len(lots) // 3 :])
    return draw.held(lots)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.floats(0.001, 0.5))
def test_both_splits_hold_something_wherever_two_documents_differ(
    lots: list[int], share: float
) -> None:
    held = drawn(np.array(lots, np.uint64), share)
    assert len(held) == len(lots)
    if len(set(lots)) >= 2:
        assert held.any()
        assert not held.all()
    else:
        assert not held.any()
    assert len({(lot, bool(h)) for lot, h in zip(lots, held, strict=True)}) == len(set(lots))


def test_a_larger_share_holds_out_the_same_documents_and_more() -> None:
    lots = np.array([identify(str(i), 0).lot for i in range(2000)], np.uint64)
    small, large = drawn(lots, 0.05), drawn(lots, 0.1)
    assert (large | ~small).all()
    assert 0.03 < small.mean() < 0.07
    assert 0.08 < large.mean() < 0.12
