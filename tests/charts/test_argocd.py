"""The Lua for Argo CD, under its restrictions, on statuses that the operator wrote."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from lupa import lua51

from cupola_api.common import Phase
from cupola_api.kinds import KINDS
from cupola_operator.labels import RETRY

from .argo import lua
from .conftest import ROOT, Object, objects, only
from .written import condition, resources

CUSTOMIZATIONS = ROOT / "manifests/argocd/customizations.yaml"
DATA: dict[str, str] = only(objects(CUSTOMIZATIONS.read_text()), "ConfigMap")["data"]

HEALTH = {
    Phase.PENDING: "Progressing",
    Phase.WAITING: "Progressing",
    Phase.RUNNING: "Progressing",
    Phase.RECOVERING: "Progressing",
    Phase.SUCCEEDED: "Healthy",
    Phase.FAILED: "Degraded",
    Phase.STALLED: "Degraded",
    Phase.SUSPENDED: "Suspended",
}


def script(topic: str, kind: str) -> str:
    return DATA[f"resource.customizations.{topic}.cupola.dev_{kind}"]


def health(value: Object) -> Any:
    return lua(script("health", value["kind"]), value)


def action(name: str, value: Object) -> Any:
    definitions = yaml.safe_load(script("actions", value["kind"]))["definitions"]
    (text,) = (one["action.lua"] for one in definitions if one["name"] == name)
    return lua(text, value)


@pytest.mark.parametrize("topic", ["health", "actions", "ignoreResourceUpdates"])
def test_every_kind_is_spoken_of_and_no_other(topic: str) -> None:
    prefix = f"resource.customizations.{topic}.cupola.dev_"
    assert {key.removeprefix(prefix) for key in DATA if key.startswith(prefix)} == set(KINDS)


def test_libraries_are_out_of_reach() -> None:
    with pytest.raises(lua51.LuaError, match="global 'string'"):
        lua('return string.format("%d", 1)', {})


def test_the_operator_wrote_every_phase() -> None:
    assert {value["status"]["phase"] for value in resources()} == set(Phase)
    assert {value["kind"] for value in resources()} == set(KINDS)


@pytest.mark.parametrize("phase", Phase)
def test_health_of_what_the_operator_wrote(phase: Phase) -> None:
    found = [value for value in resources() if value["status"]["phase"] == phase]
    assert found
    for value in found:
        told, ready = health(value), condition(value, "Ready")
        assert told["status"] == HEALTH[phase], value["status"]
        assert f"{ready['reason']}: {ready['message']}".rstrip(": ") in told["message"]


def test_what_is_outdated_is_healthy_and_says_so() -> None:
    outdated = [v for v in resources() if condition(v, "Outdated").get("status") == "True"]
    finished = [v for v in outdated if v["status"]["phase"] == "Succeeded"]
    assert finished
    for value in finished:
        told = health(value)
        assert told["status"] == "Healthy"
        assert told["message"].startswith("Outdated: ")
        assert "raise spec.revision to run again" in told["message"]


def test_what_the_operator_has_not_seen_progresses() -> None:
    new = {"kind": "FineTune", "metadata": {"name": "new", "generation": 1}, "spec": {}}
    assert health(new)["status"] == "Progressing"
    for value in resources():
        value["metadata"]["generation"] += 1  # somebody edited it
        assert health(value) == {
            "status": "Progressing",
            "message": "the operator has not looked at its latest change yet",
        }


def offered(value: Object) -> set[str]:
    discovery = yaml.safe_load(script("actions", value["kind"]))["discovery.lua"]
    return {name for name, said in lua(discovery, value).items() if not said["disabled"]}


def test_actions_are_offered_when_they_do_something() -> None:
    for value in resources():
        phase, suspended = value["status"]["phase"], bool(value["spec"].get("suspend"))
        wanted = {"resume"} if suspended else set()
        if not suspended and phase not in ("Succeeded", "Failed"):
            wanted |= {"suspend"}
        if phase == "Failed":
            wanted |= {"retry"}
        assert offered(value) == wanted
    new = {"kind": "Dataset", "metadata": {"name": "new"}, "spec": {}}
    assert offered(new) == {"suspend"}


def test_actions_change_what_they_say_and_nothing_else() -> None:
    value = resources()[0]
    assert action("suspend", value)["spec"]["suspend"] is True
    assert action("resume", value)["spec"]["suspend"] is False
    value = {"kind": "FineTune", "metadata": {"name": "x"}, "spec": {"dataset": "d"}}
    retried = action("retry", value)
    assert retried["metadata"]["annotations"][RETRY].endswith("Z")
    assert retried["spec"] == value["spec"]


def test_the_applications_name_what_is_there() -> None:
    operator, _ = objects((ROOT / "manifests/argocd/application.yaml").read_text())
    source = operator["spec"]["source"]
    assert (ROOT / source["path"] / "Chart.yaml").is_file()


def test_the_application_gives_values_that_the_chart_takes(chart: Any) -> None:
    operator, _ = objects((ROOT / "manifests/argocd/application.yaml").read_text())
    found = chart(operator["spec"]["source"]["helm"]["valuesObject"])
    assert only(found, "Deployment")["spec"]["replicas"] == 2
