"""One cluster with everything: what developers and the other tests build on."""

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import boto3
import pytest
from testbed import addons, control, kube
from testbed.layout import BUCKET

CTL = Path(__file__).resolve().parents[1] / "ctl"
FROM_POD = "http://s3.cupola-e2e.svc:8333"
pytestmark = pytest.mark.timeout(600)

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module")
def cluster(launch, tmp_path_factory):
    """Up, with a namespace `team` that is restricted; nothing is left of it at the end."""
    run = launch(tmp_path_factory.mktemp("running"))
    run.wait_for_processes()
    code, told = run.end()
    assert code == 0, told
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.apply(run.state, [made("v1", "Namespace", "team", None, labels=label)])
    yield run.state
    run.down()
    run.assert_nothing_is_left()


@pytest.fixture(scope="module")
def pod(cluster):
    """A pod that serves a metric at its port and has a volume."""
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    serve = r"printf 'HTTP/1.0 200 OK\r\n\r\ncupola_test 42\n' | nc -l -p 8080"
    container = {
        "name": "c",
        "image": addons.BUSYBOX,
        "command": ["sh", "-c", f"trap exit TERM; while true; do {serve}; done"],
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    security = {"fsGroup": 65532}
    spec = {"containers": [container], "volumes": [volume], "securityContext": security}
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    objects = [
        made("v1", "PersistentVolumeClaim", "data", spec=claim),
        made("v1", "Pod", "p", annotations=notes, spec=spec),
    ]
    kube.apply(cluster, objects)
    kube.run(cluster, "-n", "team", "wait", "pod/p", "--for=condition=Ready", "--timeout=60s")
    return "p"


def made(version, kind, name, namespace="team", *, labels=None, annotations=None, **rest):
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def inside(cluster, pod, *command):
    return kube.run(cluster, "-n", "team", "exec", pod, "--", *command)


def addresses(cluster):
    return dict(line.split("=", 1) for line in cluster.environment.read_text().splitlines())


def ctl(cluster, *words):
    from_here = [CTL, "--state", cluster.folder, *words]
    return subprocess.run(from_here, check=True, timeout=120, capture_output=True, text=True).stdout


def until(question, timeout=60):
    deadline = time.monotonic() + timeout
    while not (answer := question()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return answer


def test_two_replicas_of_a_pytorch_job_find_each_other(cluster):
    container = {
        "name": "pytorch",
        "image": addons.BUSYBOX,
        "command": ["sh", "-c", "echo rank $RANK; exec /bin/nslookup $MASTER_ADDR"],
        "securityContext": RESTRICTED,
    }
    template = {"spec": {"containers": [container]}}
    waiting = {"spec": {"containers": [container | {"command": ["sleep", "5"]}]}}
    replicas = {
        "Master": {"replicas": 1, "restartPolicy": "Never", "template": waiting},
        "Worker": {"replicas": 1, "restartPolicy": "Never", "template": template},
    }
    policy = {"cleanPodPolicy": "None"}
    spec = {"runPolicy": policy, "pytorchReplicaSpecs": replicas}
    kube.apply(cluster, [made("kubeflow.org/v1", "PyTorchJob", "two", spec=spec)])
    wait = ("wait", "pytorchjob/two", "--for=condition=Succeeded", "--timeout=90s")
    kube.run(cluster, "-n", "team", *wait)
    log = kube.run(cluster, "-n", "team", "logs", "two-worker-0", "-c", "pytorch")
    assert re.fullmatch(r"rank 1\nAddress: 10\.88\.\d+\.\d+\n", log)


def test_a_pod_and_this_machine_share_the_bucket(cluster, pod):
    told = addresses(cluster)
    keys = {
        "aws_access_key_id": told["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": told["AWS_SECRET_ACCESS_KEY"],
        "region_name": told["AWS_REGION"],
    }
    as_in_pod = boto3.client("s3", endpoint_url=FROM_POD, **keys)
    here = boto3.client("s3", endpoint_url=told["AWS_ENDPOINT_URL_S3"], **keys)
    place = {"Bucket": BUCKET, "Key": "folder/x"}
    put = as_in_pod.generate_presigned_url("put_object", Params=place)
    inside(cluster, pod, "/bin/wget", "--method=PUT", "--body-data=hello", put)
    assert here.get_object(**place)["Body"].read() == b"hello"


def test_prometheus_scrapes_pods_and_the_training_operator(cluster, pod):
    base = addresses(cluster)["PROMETHEUS_URL"]

    def ask(query):
        url = f"{base}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    (found,) = until(lambda: ask(f'cupola_test{{namespace="team", pod="{pod}"}}'))
    assert found["value"][1] == "42"
    assert until(lambda: ask('up{job="training-operator"} == 1'))


def test_a_claim_gets_a_folder_that_the_pods_group_writes(cluster, pod):
    inside(cluster, pod, "sh", "-c", "echo kept > /data/x")
    assert inside(cluster, pod, "cat", "/data/x") == "kept\n"


def test_there_is_no_way_out(cluster, pod):
    with pytest.raises(kube.Failed, match="unreachable"):
        inside(cluster, pod, "/bin/wget", "http://192.0.2.1/")
    with pytest.raises(kube.Failed, match="no such host"):
        inside(cluster, pod, "/bin/wget", "http://example.com/")


def test_a_pod_that_is_cut_reaches_the_storage_alone_if_at_all(cluster, pod):
    api, s3 = "https://10.88.0.1:6443/", f"{FROM_POD}/status"

    def reaches(url):
        try:
            inside(cluster, pod, "/bin/wget", url)
        except kube.Failed as error:
            return "Timeout" not in str(error) and "timeout" not in str(error)
        return True

    assert reaches(api)  # an answer that it does not trust is an answer
    ctl(cluster, "cut", f"team/{pod}", "--keep-s3")
    assert not reaches(api)
    assert reaches(s3)
    ctl(cluster, "mend")
    ctl(cluster, "cut", f"team/{pod}")
    assert not reaches("http://10.88.0.1:8333/status")
    ctl(cluster, "mend")
    assert reaches(api)
    assert reaches(s3)


def test_a_restarted_api_server_has_lost_nothing(cluster):
    before = control.ask(cluster, do="status")["apiserver"]
    ctl(cluster, "restart", "apiserver")
    after = control.ask(cluster, do="status")
    assert after["apiserver"]["ready"]
    assert after["apiserver"]["starts"] == before["starts"] + 1
    assert after["forwarder"]["starts"] == 1
    kube.run(cluster, "get", "namespace", "team")


def test_a_component_stays_away_until_it_is_started_again(cluster):
    ctl(cluster, "stop", "prometheus")
    assert re.search(r"prometheus +stopped +pid 0 ", ctl(cluster, "status"))
    ctl(cluster, "start", "prometheus")
    assert re.search(r"prometheus +ready ", ctl(cluster, "status"))


def test_the_audit_log_tells_who_made_what(cluster, pod):
    events = [json.loads(line) for line in cluster.audit.read_text().splitlines()]
    mine = [
        (event["user"]["username"], event["verb"], event["responseStatus"]["code"])
        for event in events
        if event["objectRef"].get("resource") == "pods" and event["objectRef"].get("name") == pod
    ]
    assert ("admin", "patch", 201) in mine
    assert any(user == "system:node:node" for user, *_ in mine)
