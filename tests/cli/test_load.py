from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cupola_api.base import Rule, holds
from cupola_operator.cli import load, yamltree
from cupola_operator.cli.load import InputInvalid, read
from cupola_operator.local import shell

# the first use of CEL raises the recursion limit, which hypothesis must not see in the middle of a test
holds(Rule("true", ""))

DATASET = """\
apiVersion: cupola.dev/v1alpha1
kind: Dataset
metadata:
  name: code
spec:
  sources:
  - name: web
    uri: file:///data
    format: Text
"""
PRETRAIN = """\
apiVersion: cupola.dev/v1alpha1
kind: PretrainJob
metadata: {name: base}
spec:
  datasets:
  - name: code
  model:
    size: 2M
  tokens: 2M
  schedule:
    learningRate: 3e-4
"""


def said(tmp_path: Path, text: str | bytes) -> list[str]:
    """What is said of a file, without its folder."""
    file = tmp_path / "x.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputInvalid) as caught:
        read([file])
    return [sentence.replace(f"{tmp_path}/", "") for sentence in caught.value.sentences]


def test_documents_of_files_and_folders_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "more.yml").write_text(PRETRAIN.replace("base", "other"))
    (tmp_path / "a.yaml").write_text(f"{DATASET}---\n---\n{PRETRAIN}")
    (tmp_path / "kustomization.yaml").write_text("resources: [a.yaml]")
    (tmp_path / ".hidden.yaml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    found = [
        (m.path.name, m.line, m.resource.kind, m.resource.metadata.name) for m in read([tmp_path])
    ]
    assert found == [
        ("a.yaml", 1, "Dataset", "code"),
        ("a.yaml", 12, "PretrainJob", "base"),
        ("more.yml", 1, "PretrainJob", "other"),
    ]


def test_values_are_typed_and_other_metadata_stays(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(PRETRAIN.replace("{name: base}", "{name: base, finalizers: [a/b]}"))
    (manifest,) = read([file])
    assert manifest.resource.spec.schedule.learning_rate == 3e-4
    assert manifest.resource.metadata.model_extra == {"finalizers": ["a/b"]}


def test_items_of_a_list_are_resources(tmp_path: Path) -> None:
    items = [yaml.safe_load(DATASET), yaml.safe_load(PRETRAIN.replace("3e-4", "0.0003"))]
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))
    assert [m.resource.kind for m in read([file])] == ["Dataset", "PretrainJob"]


def test_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(DATASET.replace("name: code", "name: &n code\n  labels: {of: *n}"))
    assert read([file])[0].resource.metadata.labels == {"of": "code"}


COUNT = 'a count in quotes with an optional suffix K, M, B or T, such as "2M"'
KINDS = "Dataset, PretrainJob, FineTune, Evaluation"


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", [f"there is no resource in x.yaml; write one of {KINDS}"]),
        ("# nothing\n---\n", [f"there is no resource in x.yaml; write one of {KINDS}"]),
        (
            "hello",
            ["x.yaml:1: a resource is a map; write apiVersion, kind, metadata and spec"],
        ),
        ("a: b: c", ["x.yaml:1: not YAML: mapping values are not allowed here; check its indentation, colons and quotes"]),
        ("a:\n\t- b", ["x.yaml:2: not YAML: a tab stands where YAML wants spaces; indent with spaces"]),
        ("a: [b\nc: d", ["x.yaml:2: not YAML: expected ',' or ']', but got ':'; check its indentation, colons and quotes"]),
        ("a: 'b", ["x.yaml:1: not YAML: found unexpected end of stream; check its indentation, colons and quotes"]),
        ("a: b\0c", ["x.yaml:1: holds the control character U+0000; save the file as UTF-8 text"]),
        (b"a: \xff", ["x.yaml: is not UTF-8 text; save it as UTF-8"]),
        (f"{DATASET}kind: Dataset\n", ["x.yaml:10: field 'kind' is written twice, first on line 2; keep one"]),
        ("a: !!python/object/apply:os.system [id]", ["x.yaml:1: tag 'tag:yaml.org,2002:python/object/apply:os.system' is not supported; remove it"]),
        ("a: !Ref x", ["x.yaml:1: tag '!Ref' is not supported; remove it"]),
        ("a: &a {}\nb:\n  <<: *a", ["x.yaml:3: merge keys (<<) are not supported; write the fields out"]),
        ("a: *b", ["x.yaml:1: alias *b stands for nothing before it; write &b"]),
        ("a: &a [*a]", ["x.yaml:1: alias *a stands for nothing before it; write &a"]),
        (r'a: "\ud800"', [r"x.yaml:1: holds half of a character (\ud800 to \udfff); write the whole"]),
        ("{[a]: b}", ["x.yaml:1: the name of a field must be plain text"]),
        ("a: .inf", ["x.yaml:1: .inf is no finite number; quote it if it is text"]),
        ("a: 1e999", ["x.yaml:1: 1e999 is no finite number; quote it if it is text"]),
        ("[" * 100, ["x.yaml:1: nests deeper than 50 levels; write it flatter"]),
        ("x: 1", [f"x.yaml:1: kind: this field is required; write one of {KINDS}"]),
        (
            "# settings\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}",
            [f"x.yaml:3 ConfigMap/c: kind: ConfigMap is no kind of Cupola; leave it out; here go {KINDS}"],
        ),
        (
            PRETRAIN.replace("PretrainJob", "pretrainjob"),
            ["x.yaml:2 pretrainjob/base: kind: pretrainjob is no kind of Cupola; did you mean PretrainJob?"],
        ),
        (
            DATASET.replace("v1alpha1", "v1"),
            ["x.yaml:1 Dataset/code: apiVersion: is 'cupola.dev/v1'; write cupola.dev/v1alpha1"],
        ),
        (
            DATASET.replace("apiVersion: cupola.dev/v1alpha1\n", ""),
            ["x.yaml:1 Dataset/code: apiVersion: is missing; write cupola.dev/v1alpha1"],
        ),
        (
            DATASET.replace("    format: Text\n", ""),
            ["x.yaml:7 Dataset/code: spec.sources[0]: a source with a uri needs a format, such as Jsonl, and one without has none"],
        ),
        (
            PRETRAIN.replace("tokens: 2M", "tokens: 2000000").replace("2M", "2m").replace("model", "modle"),
            [
                "x.yaml:4 PretrainJob/base: spec.model: this field is required; add it",
                f"x.yaml:9 PretrainJob/base: spec.tokens: 2000000 is a number; write {COUNT}",
                "x.yaml:7 PretrainJob/base: spec.modle: there is no field 'modle' in spec; did you mean 'model'?",
            ],
        ),
        (
            DATASET.replace("name: code", "name: My_Code"),
            ["x.yaml:1 Dataset/My_Code: metadata.name must be a DNS label (lower-case letters, digits and '-') of at most 36 characters, so that the names of its children fit"],
        ),
        (
            DATASET.replace("  name: code", "  namespace: a"),
            ["x.yaml:3 Dataset: metadata.name: this field is required; add it"],
        ),
        (
            f"{DATASET}---\n{PRETRAIN}---\n{DATASET}",
            ["x.yaml:23 Dataset/code: is also in x.yaml:1; keep one, or give one of them another name"],
        ),
        ("kind: List\nitems:\n- 1\n", ["x.yaml:3: a resource is a map; write apiVersion, kind, metadata and spec"]),
        ("# " + "x" * 2**20, ["x.yaml: is larger than 512 KiB; split it"]),
    ],
)  # fmt: skip
def test_each_mistake_is_said_with_its_place(
    tmp_path: Path, text: str | bytes, sentences: list[str]
) -> None:
    assert said(tmp_path, text) == sentences


def test_mistakes_of_all_files_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: b: c")
    (tmp_path / "b.yaml").write_text("kind: Pod\napiVersion: v1\n")
    with pytest.raises(InputInvalid) as caught:
        read([tmp_path, tmp_path / "none.yaml"])
    a, b, none = caught.value.sentences
    assert a.startswith(f"{tmp_path}/a.yaml:1: not YAML")
    assert b.startswith(f"{tmp_path}/b.yaml:1 Pod: kind: Pod is no kind of Cupola")
    assert (
        none == f"{tmp_path}/none.yaml: cannot be read: No such file or directory; correct the path"
    )


def test_a_folder_without_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match=r"holds no \*.yaml or \*.yml file"):
        read([tmp_path])


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(DATASET)
    (tmp_path / "y.yaml").symlink_to("x.yaml")
    found = read([tmp_path, tmp_path / "x.yaml", tmp_path / "y.yaml"])
    assert [m.resource.metadata.name for m in found] == ["code"]


def test_a_pipe_that_has_a_writer_is_read(tmp_path: Path) -> None:
    out, into = os.pipe()
    os.write(into, DATASET.encode())
    os.close(into)
    try:
        assert len(read([Path(f"/dev/fd/{out}")])) == 1
    finally:
        os.close(out)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_at_the_beginning_is_no_mistake(tmp_path: Path, mark: str) -> None:
    (tmp_path / "x.yaml").write_text(mark + DATASET)
    assert len(read([tmp_path])) == 1


def test_settings_are_typed_and_the_store_may_be_another(tmp_path: Path) -> None:
    found = load.settings(shell.SETTINGS, store="file:///elsewhere")
    assert found.resolve("store:///x") == "file:///elsewhere/x"
    assert found.pool(found.data_pool)


def test_a_kustomization_that_was_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="is for kustomize; name the files"):
        read([tmp_path / "kustomization.yaml"])


def test_one_name_in_two_namespaces_or_kinds_is_fine(tmp_path: Path) -> None:
    other = DATASET.replace("name: code", "name: code\n  namespace: b")
    (tmp_path / "x.yaml").write_text(
        f"{DATASET}---\n{other}---\n{PRETRAIN.replace('base', 'code')}"
    )
    assert len(read([tmp_path])) == 3


def test_an_alias_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    lines = ["a0: &a0 [" + ", ".join(["x"] * 10) + "]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert said(tmp_path, "\n".join(lines)) == [
        "x.yaml:5: holds more than 20000 values, aliases included; split the file"
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4), ("1.5", 1.5), (".5", 0.5), ("7", 7), ("-7", -7), ("0x1F", 31), ("010", 8),
        ("0", 0), ("1_000", 1000), ("yes", True), ("Off", False), ("true", True), ("~", None),
        ("null", None), ("''", ""), ("'7'", "7"), ("!!str 7", "7"), ("12:30:00", "12:30:00"),
        ("2026-01-01", "2026-01-01"), ("2M", "2M"), ("1e", "1e"), ("08", 8.0), ("e5", "e5"), ("_1", "_1"),
    ],
)  # fmt: skip
def test_scalars_are_read_as_kubectl_reads_them(text: str, value: Any) -> None:
    if value is None:
        assert yamltree.documents(text) == []
        text = f"- {text}"
        value = [None]
    (document,) = yamltree.documents(text)
    assert document.value == value
    assert type(document.value) is type(value)


FRAGMENTS = [
    "a", "kind: ", "PretrainJob", "List", "items", ": ", "- ", "\n", "  ", "&a ", "*a", "!!", "!x ", "{", "}",
    "[", "]", ",", "'", '"', "|", ">", "%", "@", "?", "#", "---\n", "...", "\t", "é", "\\ud800", "0", "1e9",
    "apiVersion: cupola.dev/v1alpha1\n", "spec:", "metadata: {name: a}\n", "kind: Dataset\n", "\r", "\ufeff",
]  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
        st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(lambda p: "".join(p).encode()),
    )
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(data)
    with contextlib.suppress(InputInvalid):
        read([file])


def json_values(floats: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | floats | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
        ),
        max_leaves=10,
    )


JSON = json_values(st.floats())


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["Dataset", "PretrainJob", "FineTune", "Evaluation"]),
    metadata=JSON,
    spec=JSON,
    status=JSON,
)
def test_any_resource_is_read_or_refused(
    tmp_path: Path, kind: str, metadata: Any, spec: Any, status: Any
) -> None:
    value = {"apiVersion": "cupola.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump(value | {"status": status}, allow_unicode=True))
    with contextlib.suppress(InputInvalid):
        read([file])


@settings(max_examples=200, deadline=None)
@given(value=json_values(st.floats(allow_nan=False, allow_infinity=False)))
def test_json_values_are_read_back(value: Any) -> None:
    (document,) = yamltree.documents(yaml.safe_dump([value], default_style='"'))
    assert document.value == [value]


def test_a_large_file_is_read_in_time(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("- " * (load.MAX_BYTES // 2))
    with pytest.raises(InputInvalid, match="nests deeper"):
        read([file])
