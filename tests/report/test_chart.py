from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

import pytest

from cupola_operator.report.bars import Bar, Mark, Part, ScoreRow, bars, score_rows, score_scale
from cupola_operator.report.chart import Band, Level, Series, lines, some

POINTS = [(float(i), 10.0 / i) for i in range(1, 501)]


def test_a_chart_is_well_formed_and_named() -> None:
    made = lines("Loss & co", "Falls.", [Series("<a>", POINTS)], unit="nats")
    root = ET.fromstring(made)
    picture = root.find("svg")
    assert picture is not None
    assert picture.findtext("title") == "Loss & co"
    assert picture.findtext("desc") == "Falls."
    assert picture.attrib["role"] == "img"


def test_a_curve_lies_inside_of_its_axes() -> None:
    made = lines("T", "D", [Series("a", POINTS)], levels=[Level("l", 20.0)], unit="u", height=300)
    (points,) = re.findall(r'points="([^"]*)"', made)
    places = [tuple(map(float, pair.split(","))) for pair in points.split()]
    assert len(places) == 500
    assert all(58 <= x <= 844 and 10 <= y <= 260 for x, y in places)
    assert places[0][0] == 58
    assert places[-1][0] == 844
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(places))  # downwards is more


def test_points_tell_their_value_when_pointed_at() -> None:
    made = lines("T", "D", [Series("a", POINTS)], unit="nats")
    assert made.count("<circle") == 60
    assert "a, step 1: 10 nats" in made
    assert "a, step 500: 0.02 nats" in made


def test_bands_and_levels_are_drawn_and_listed() -> None:
    made = lines(
        "T", "D", [Series("a", POINTS, 7, dashed=True)], levels=[Level("best", 2.0)],
        bands=[Band("lost", 100, 200)], unit="u",
    )  # fmt: skip
    assert 'class="curve c1 dashed"' in made
    assert '<rect x="213.9"' in made
    assert "best: 2" in made
    legend = re.findall(r"<li><span class=\"([^\"]*)\"></span>([^<]*)</li>", made)
    assert legend == [("swatch c1 dashed", "a"), ("swatch level", "best"), ("swatch band", "lost")]


def test_one_point_and_none_are_no_fault() -> None:
    assert 'class="dot c0"' in lines("T", "D", [Series("a", [(5.0, 1.0)])], unit="u")
    assert lines("T", "D", [], unit="u") == '<p class="quiet">T: nothing was recorded.</p>'


def test_some_are_evenly_spread_with_the_ends() -> None:
    assert some(POINTS[:5], 9) == POINTS[:5]
    assert [x for x, _ in some(POINTS[:101], 5)] == [1, 26, 51, 76, 101]


def test_bars_are_as_long_as_their_values() -> None:
    rows = [
        Bar("a", [Part(0, 100, "c0", "a: 100")], "100"),
        Bar("b", [Part(0, 20, "good", "x"), Part(20, 50, "bad", "y")]),
    ]
    made = bars("T", "D", rows, unit="u")
    ET.fromstring(made)
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([0-9.]+)"', made)]
    assert widths[1] / widths[0] == pytest.approx(0.2, abs=0.001)
    assert widths[2] / widths[0] == pytest.approx(0.3, abs=0.001)


def test_a_long_name_is_cut_and_whole_where_pointed_at() -> None:
    made = bars("T", "D", [Bar("n" * 60, [Part(0, 1, "c0", "t")])], unit="u")
    assert f"<title>{'n' * 60}</title>{'n' * 27}…" in made


def test_the_axis_of_a_score_shows_what_matters() -> None:
    far = ScoreRow("p", "lower is better", [Mark("m", 8.0, 0.3, "model")], 4096.0)
    near = ScoreRow("a", "higher is better", [Mark("m", 0.26, 0.02, "model")], 0.25)
    small = ScoreRow("f", "higher is better", [Mark("m", 0.6, 0.1, "model")], 0.0)
    assert score_scale(far).logarithmic
    assert not score_scale(near).logarithmic
    assert score_scale(near).low > 0.2
    assert score_scale(small).low == 0


def test_scores_have_whiskers_of_one_standard_error() -> None:
    marks = [Mark("m", 0.5, 0.1, "model"), Mark("o", 0.3, None, "other")]
    row = ScoreRow("task: acc", "higher is better", marks, 0.25)
    made = score_rows("Scores", "D", [row])
    ET.fromstring(made)
    scale = score_scale(row)
    low, high = scale.at(0.4), scale.at(0.6)
    assert f'<line x1="{low:.1f}" y1="19.0" x2="{high:.1f}" y2="19.0" class="whisker">' in made
    assert made.count("whisker") == 3
    assert "<title>m: 0.5 ± 0.1</title>" in made
    assert "<title>o: 0.3</title>" in made
    assert "<title>chance: 0.25</title>" in made


def test_an_axis_of_its_own_is_named_and_logarithmic_where_that_is_asked_for() -> None:
    far = [(10.0**i, 10.0**i) for i in range(1, 5)]
    made = lines("T", "D", [Series("a", far)], unit="USD", along="parameters", logarithmic=True)
    assert ">parameters</text>" in made
    assert "a, parameters 100: 100 USD" in made
    assert "optimizer step" not in made
    (points,) = re.findall(r'points="([^"]*)"', made)
    places = [tuple(map(float, pair.split(","))) for pair in points.split()]
    for axis in (0, 1):  # what grows tenfold each time is a straight line
        steps = [b[axis] - a[axis] for a, b in itertools.pairwise(places)]
        assert max(steps) - min(steps) < 0.3
