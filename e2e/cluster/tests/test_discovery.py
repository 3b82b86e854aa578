from testbed.discovery import pod_targets, service_targets


def pod(*, annotations=None, ports=(), phase="Running", address="10.88.0.9"):
    return {
        "metadata": {"namespace": "team", "name": "p", "annotations": annotations},
        "spec": {"containers": [{"ports": list(ports)}, {}]},
        "status": {"phase": phase, "podIP": address},
    }


METRICS = {"name": "metrics", "containerPort": 9400}
WANTED = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/m"}


def addresses(*pods):
    return [target["targets"][0] for target in pod_targets(list(pods))]


def test_an_annotated_pod_is_scraped_at_its_port_and_path():
    assert list(pod_targets([pod(annotations=WANTED)])) == [
        {
            "targets": ["10.88.0.9:8080"],
            "labels": {"__metrics_path__": "/m", "namespace": "team", "pod": "p", "job": "pods"},
        }
    ]


def test_a_port_named_metrics_needs_no_annotation():
    other = {"name": "http", "containerPort": 80}
    assert addresses(pod(ports=[other, METRICS])) == ["10.88.0.9:9400"]


def test_a_pod_with_both_is_scraped_once():
    assert addresses(pod(annotations=WANTED, ports=[METRICS])) == ["10.88.0.9:8080"]


def test_a_pod_that_refuses_is_left_alone():
    assert addresses(pod(annotations={"prometheus.io/scrape": "false"}, ports=[METRICS])) == []


def test_pods_that_do_not_run_have_no_target():
    ended = pod(annotations=WANTED, phase="Succeeded")
    nowhere = pod(annotations=WANTED, phase="Pending", address=None)
    assert addresses(ended, nowhere) == []


def test_ready_addresses_of_an_annotated_service_are_scraped():
    service = {"metadata": {"namespace": "a", "name": "s", "annotations": WANTED}}
    silent = {"metadata": {"namespace": "a", "name": "other"}}
    subset = {
        "addresses": [{"ip": "10.88.0.2", "targetRef": {"name": "p-1"}}],
        "notReadyAddresses": [{"ip": "10.88.0.3"}],
    }
    endpoints = [
        {"metadata": {"namespace": "a", "name": name}, "subsets": [subset]}
        for name in ("s", "other")
    ]
    assert list(service_targets([service, silent], endpoints)) == [
        {
            "targets": ["10.88.0.2:8080"],
            "labels": {"__metrics_path__": "/m", "namespace": "a", "pod": "p-1", "job": "s"},
        }
    ]
