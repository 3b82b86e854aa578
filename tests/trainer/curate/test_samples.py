from __future__ import annotations

from cupola_trainer.curate.samples import Samples


def test_a_few_beginnings_are_kept_for_each_rule() -> None:
    samples = Samples()
    for i in range(10):
        samples.add("min-words", f"document {i} " + "x" * 500)
    samples.add("empty", "")
    found = samples.to_json()
    assert list(found) == ["min-words"]
    assert [text[:10] for text in found["min-words"]] == ["document 0", "document 1", "document 2"]
    assert all(len(text) == 200 for text in found["min-words"])


def test_private_data_is_never_shown_not_even_where_the_sample_is_cut() -> None:
    samples = Samples()
    samples.add("symbols", "x " * 94 + "annabelle@mail.org and more")
    samples.add("symbols", "card 4012888888881881")
    assert "annabelle" not in str(samples.to_json())
    assert "4012" not in str(samples.to_json())
