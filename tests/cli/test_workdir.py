from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cupola_operator.cli.workdir import NotThere, Workdir, kind_of, local_folder


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Dataset", "Dataset"),
        ("datasets", "Dataset"),
        ("dset", "Dataset"),
        ("PTJ", "PretrainJob"),
        ("pretrainjobs.cupola.dev", "PretrainJob"),
        ("finetune", "FineTune"),
        ("eval", "Evaluation"),
    ],
)
def test_a_kind_has_several_names(word: str, kind: str) -> None:
    assert kind_of(word) == kind


def test_an_unknown_kind_gets_the_nearest() -> None:
    with pytest.raises(NotThere, match=r"'evalution' is no kind here; did you mean Evaluation\?"):
        kind_of("evalution")
    with pytest.raises(NotThere, match="'pods' is no kind here; write one of Dataset, PretrainJob"):
        kind_of("pods")


def test_a_folder_that_is_no_work_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="holds no objects of cupola run; name the folder"):
        Workdir(tmp_path)
    with pytest.raises(NotThere, match="x does not exist; name the folder"):
        Workdir(tmp_path / "x")


def test_a_resource_is_found_by_name_and_by_kind_and_name(finished: Path) -> None:
    found = Workdir(finished)
    assert found.resolve("python-base", "default")["kind"] == "PretrainJob"
    assert found.resolve("ptj/python-base", "default")["kind"] == "PretrainJob"


def test_a_name_that_is_not_there_gets_the_nearest(finished: Path) -> None:
    found = Workdir(finished)
    where = f"in namespace default of {finished}"
    with pytest.raises(NotThere) as caught:
        found.resolve("python-bass", "default")
    assert str(caught.value).startswith(f"there is no resource python-bass {where}; did you mean ")
    assert "PretrainJob/python-base" in str(caught.value)
    with pytest.raises(NotThere) as caught:
        found.resolve("ptj/zzz", "default")
    assert str(caught.value) == (
        f"there is no PretrainJob zzz {where}; there is PretrainJob/python-base"
    )
    with pytest.raises(NotThere, match=r"there is no resource zzz in namespace other .*, nor any"):
        found.resolve("zzz", "other")


def test_an_ambiguous_name_lists_the_choices(workdir: Path) -> None:
    objects = workdir / "objects"
    text = (objects / "Dataset/default/python-functions.yaml").read_text()
    (objects / "Dataset/default/python-base.yaml").write_text(
        text.replace("name: python-functions", "name: python-base", 1)
    )
    with pytest.raises(NotThere) as caught:
        Workdir(workdir).resolve("python-base", "default")
    assert str(caught.value) == (
        "python-base may mean several resources; write Dataset/python-base or "
        "PretrainJob/python-base"
    )


def test_an_artifact_elsewhere_or_gone_is_said(workdir: Path) -> None:
    with pytest.raises(NotThere, match="s3://bucket/x is not on this machine"):
        local_folder("s3://bucket/x")
    shutil.rmtree(workdir / "store")
    with pytest.raises(NotThere, match=r"store is gone; raise spec\.revision to make it again"):
        local_folder((workdir / "store").as_uri())
