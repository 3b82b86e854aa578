"""Two nodes with kubelets: pods start, their programs work, end and are told to end; nodes go away."""

from __future__ import annotations

from cupola_api import metrics
from cupola_api.artifact import digest_of
from cupola_api.outcome import FailureClass, OutcomeKind, Timing
from cupola_api.run import ATTEMPT
from cupola_operator import labels
from cupola_operator.children import DIGEST
from cupola_operator.cluster import Key, Object
from cupola_operator.local import podstatus
from cupola_operator.local.controller import phase_of

from .cluster import EPOCH, Api, text
from .program import STEPS, Store, begun, said, stepped, success
from .runs import NODES, Gang, Run
from .specs import SPOT

LISTING = digest_of("listing")
"""Of what a Dataset's sources hold."""


def node_name(number: int) -> str:
    """The name of a node."""
    return f"node-{number}"


def is_spot(number: int) -> bool:
    """Whether a node can be taken away."""
    return number % 2 == 1


class Nodes:
    """What happens to pods on their nodes."""

    def __init__(self, api: Api, store: Store) -> None:
        self.api = api
        self.store = store
        self.runs: dict[str, Run] = {}
        self.gangs: dict[str, Gang] = {}
        self.skew = [0.0] * NODES
        self.cut: set[int] = set()
        """Nodes that the API server does not hear."""
        self.down: set[int] = set()
        """Nodes without power; cut as well."""
        self.saves: list[float] = []
        """When checkpoints were complete."""
        self.listing = LISTING
        self.mute = False
        self.full: set[str] = set()
        """Pools that have no room."""
        self.strange: set[str] = set()
        """ConfigMaps that hold no run."""
        for number in range(NODES):
            metadata = {"name": node_name(number), "labels": SPOT if is_spot(number) else {}}
            api.objects["Node"][Key("Node", "", node_name(number))] = {"metadata": metadata}
        api.watchers.append(self._seen)

    def clock(self, node: int) -> float:
        """Unix time, as a node believes."""
        return EPOCH + self.api.clock() + self.skew[node]

    def pod(self, run: Run) -> Object | None:
        """The object of a pod, if it is still there."""
        value = self.api.objects["Pod"].get(run.key)
        return value if value and value["metadata"]["uid"] == run.uid else None

    # What goes well.

    def take(self, run: Run) -> bool:
        """The scheduler and a node take a pod."""
        pod = self.pod(run)
        if pod is None or run.taken is not None or run.node in self.cut:
            return False
        if phase_of(pod) != "Pending":
            return False
        if pod["metadata"]["labels"][labels.POOL] in self.full:
            return self._leave(pod)
        run.taken = self.api.clock()
        now = text(int(run.taken + self.skew[run.node]))
        ready = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
        name = pod["spec"]["containers"][0]["name"]
        waiting = {"waiting": {"reason": "ContainerCreating"}}
        pod = {**pod, "spec": {**pod["spec"], "nodeName": node_name(run.node)}}
        self._put(
            pod,
            {
                "phase": "Pending",
                "startTime": now,
                "conditions": [ready],
                "containerStatuses": [{"name": name, "state": waiting}],
            },
        )
        return True

    def _leave(self, pod: Object) -> bool:
        """The scheduler finds no node for a pod, and says so once."""
        if pod.get("status", {}).get("conditions"):
            return False
        now = text(int(self.api.clock()))
        no_room = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "no node has room",
            "lastTransitionTime": now,
        }
        self._put(pod, {"phase": "Pending", "conditions": [no_room]})
        return True

    def anew(self, job: str) -> None:
        """Other pods of a job come: they form another gang."""
        if gang := self.gangs.get(job):
            self.gangs[job] = Gang(saved=gang.saved)

    def start(self, run: Run) -> bool:
        """The containers of a pod start, if the run that it mounts is there."""
        if run.begun is not None:
            return False
        moved = self.take(run)
        pod = self.pod(run)
        if moved and run.taken is None:
            return True
        if pod is None or run.taken is None or run.over is not None:
            return False
        if run.node in self.cut or run.asked is not None:
            return False
        name = pod["spec"]["volumes"][0]["configMap"]["name"]
        file = self.api.get(Key("ConfigMap", run.key.namespace, name))
        if file is None or name in self.strange:
            return False
        run.digest = file["metadata"]["annotations"][DIGEST]
        environment = pod["spec"]["containers"][0]["env"]
        run.folder = next(one["value"] for one in environment if one["name"] == ATTEMPT)
        run.begun = self.api.clock()
        running = podstatus.running(pod, address=run.uid, started=int(self.clock(run.node)))
        self._put(pod, {**running, "startTime": pod["status"]["startTime"]})
        if run.size:
            self._join(run)
        return True

    def _join(self, run: Run) -> None:
        """A rank waits for the others; when all are there, they go on from the newest checkpoint."""
        gang = self.gangs.setdefault(run.job, Gang())
        if gang.formed:
            return
        gang.members = [one for one in gang.members if one.alive and one is not run] + [run]
        if len(gang.members) < run.size:
            return
        gang.formed = True
        gang.step, gang.weights = self.store.newest(run.digest)
        gang.resumed = gang.step

    def train(self, run: Run, steps: int = 1) -> bool:
        """A gang does steps, to the last one at most."""
        gang = self.gangs.get(run.job)
        if gang is None or not gang.whole or gang.step == STEPS:
            return False
        if gang.first is None:
            gang.first = self.api.clock()
        for _ in range(min(steps, STEPS - gang.step)):
            gang.weights = stepped(gang.weights, gang.step)
            gang.step += 1
        return True

    def save(self, run: Run) -> bool:
        """A gang makes a checkpoint."""
        gang = self.gangs.get(run.job)
        if gang is None or not gang.whole:
            return False
        self.store.save(run.digest, gang.step, gang.weights)
        gang.saved = (gang.step, self.api.clock())
        gang.kept = gang.validated
        self.saves.append(self.api.clock())
        return True

    def wait(self, run: Run, seconds: float, *, saves: bool) -> bool:
        """Steps of a gang wait, for a checkpoint or for validation; whether there are any."""
        gang = self.gangs.get(run.job)
        if gang is None or not gang.whole or gang.first is None:
            return False
        if saves:
            gang.waited += seconds
        else:
            gang.validated += seconds
        return True

    def _timing(self, run: Run, *, finished: bool = False) -> Timing | None:
        """What a pod says of its time: rank 0 of a gang that was formed."""
        gang = self.gangs.get(run.job)
        if gang is None or not gang.formed or not run.master:
            return None
        return gang.timing(EPOCH + self.skew[run.node], finished=finished)

    def finish(self, run: Run) -> bool:
        """A program comes to its end, all of its gang's with it."""
        if not run.alive:
            return False
        if run.size:
            gang = self.gangs[run.job]
            if not gang.whole:
                return False
            found = self.store.found(run.digest)
            if found is None:
                self.train(run, STEPS)
                found = self.store.commit(run.digest, run.folder, gang.weights)
            for one in gang.members:
                timing = self._timing(one, finished=True)
                message = success(run.stage, found, timing=timing) if one.master else ""
                self.end(one, 0, message)
            return True
        found = self.store.found(run.digest) if run.stage != "list" else None
        if found is None and run.stage in ("publish", "evaluate"):
            found = self.store.commit(run.digest, run.folder, begun(run.digest))
        listing = self.listing if run.stage == "list" else ""
        run.begins_work()
        worked = None if run.worked is None else EPOCH + self.skew[run.node] + run.worked
        self.end(run, 0, success(run.stage, found, listing, worked=worked))
        return True

    def scrape(self, address: str) -> dict[str, float]:
        """What a pod serves on /metrics."""
        run = self.runs.get(address)
        if run is None or not run.alive or self.mute or run.node in self.cut:
            return {}
        gang = self.gangs.get(run.job)
        if gang is None or not gang.formed:
            return {}
        value = {
            metrics.STEP: float(gang.step),
            metrics.STEPS: float(STEPS),
            metrics.PROGRESS: gang.step / STEPS,
            metrics.RESUMED_STEP: float(gang.resumed),
        }
        if gang.step > gang.resumed:
            # each step of the simulator stands for ten, of one and three seconds in turns
            measured = 10.0 * (gang.step - gang.resumed)
            value |= {
                metrics.MEASURED_STEPS: measured,
                metrics.STEP_SECONDS: 2 * measured,
                metrics.STEP_SQUARES: 5 * measured,
            }
        if gang.saved:
            at = EPOCH + gang.saved[1] + self.skew[run.node]
            value |= {metrics.CHECKPOINT_STEP: gang.saved[0], metrics.CHECKPOINT_TIME: at}
        timing = gang.timing(EPOCH + self.skew[run.node])
        if timing.first_step_at is not None:
            value[metrics.FIRST_STEP_TIME] = timing.first_step_at
            value[metrics.CHECKPOINT_SECONDS] = timing.checkpoint_seconds
            value[metrics.EVALUATION_SECONDS] = timing.evaluation_seconds
        return value

    # What a kubelet does on request.

    def stop(self, run: Run) -> bool:
        """A pod whose deletion was asked for gets SIGTERM, saves if it can, and ends."""
        pod = self.pod(run)
        if pod is None or run.asked is None or run.node in self.cut:
            return False
        if run.alive:
            self.terminate(run)
            return True
        if run.begun is None and run.over is None:
            run.over = self.api.clock()
            self._put(pod, {**pod["status"], "phase": "Failed"})
            return True
        return False

    def terminate(self, run: Run, disruption: tuple[str, str] | None = None) -> None:
        """SIGTERM: all ranks agree on a step, save, and end; one that cannot agree just ends."""
        if not run.size:
            self.end(run, 143, said(OutcomeKind.STOPPED, "Stopped", None, None), disruption)
            return
        gang = self.gangs[run.job]
        if not gang.whole:
            self.end(run, 143, "", disruption)
            return
        self.save(run)
        for one in list(gang.members):
            timing = self._timing(one)
            message = said(OutcomeKind.STOPPED, "Stopped", None, gang.step, timing)
            self.end(one, 143, message if one.master else "", disruption if one is run else None)

    def remove(self, run: Run) -> bool:
        """A pod that ended and whose deletion was asked for goes."""
        pod = self.pod(run)
        if pod is None or run.asked is None or run.node in self.cut:
            return False
        if phase_of(pod) not in ("Succeeded", "Failed"):
            return False
        self.api.remove(run.key)
        return True

    # What goes wrong.

    def fail(self, run: Run, failure: FailureClass, reason: str = "Because") -> None:
        """A program fails and says why."""
        self.end(run, 1, said(OutcomeKind.FAILED, reason, failure, None, self._timing(run)))

    def end(
        self,
        run: Run,
        code: int,
        message: str = "",
        disruption: tuple[str, str] | None = None,
        reason: str = "",
    ) -> None:
        """A program ends; its node says so, as soon as it can."""
        pod = self.pod(run)
        run.over = self.api.clock()
        run.said = message
        if pod is None or phase_of(pod) in ("Succeeded", "Failed"):
            return
        status = podstatus.ended(
            pod,
            exit_code=code,
            signal=None,
            reason=reason or ("Completed" if code == 0 else "Error"),
            message=message,
            finished=int(self.clock(run.node)),
            disruption=disruption,
        )
        if run.node in self.cut:
            run.silent = status
        else:
            self._put(pod, status)

    def unknown(self, run: Run) -> None:
        """A node came back without the container: nobody saw its end."""
        pod = self.pod(run)
        run.over = self.api.clock() if run.over is None else run.over
        if pod is None or phase_of(pod) in ("Succeeded", "Failed"):
            return
        ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": None}
        name = pod["spec"]["containers"][0]["name"]
        state = {"name": name, "state": {"terminated": ended}}
        self._put(pod, {**pod["status"], "phase": "Failed", "containerStatuses": [state]})

    def lose(self, run: Run) -> None:
        """The cluster gives up a pod on a node that it does not hear: Failed, NodeLost."""
        pod = self.pod(run)
        if pod is None or phase_of(pod) in ("Succeeded", "Failed"):
            return
        gone = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastTransitionTime": text(int(self.api.clock())),
        }
        conditions = [*pod.get("status", {}).get("conditions", []), gone]
        status = {**pod.get("status", {}), "phase": "Failed", "reason": "NodeLost"}
        self._put(pod, {**status, "conditions": conditions})

    def cut_off(self, node: int, *, power: bool) -> None:
        """A node is not heard any more; without `power` its programs end there and then."""
        self.cut.add(node)
        if not power:
            self.down.add(node)
            for run in self.runs.values():
                if run.node == node and run.alive:
                    run.over = self.api.clock()

    def heal(self, node: int) -> None:
        """A node is back: it ends what was given up, and says what it could not say."""
        self.cut.discard(node)
        lost = node in self.down
        self.down.discard(node)
        for run in self.runs.values():
            if run.node != node:
                continue
            pod = self.pod(run)
            if pod is None or phase_of(pod) in ("Succeeded", "Failed"):
                if run.alive:
                    run.over = self.api.clock()
            elif run.silent:
                self._put(pod, run.silent)
            elif lost and run.begun is not None:
                self.unknown(run)
            run.silent = None

    def _put(self, pod: Object, status: Object) -> None:
        self.api.put({**pod, "status": status})

    def _seen(self, key: Key, value: Object) -> None:
        """Note a new pod, and that there is news of one."""
        if key.kind != "Pod":
            return
        if run := self.runs.get(value["metadata"]["uid"]):
            if run.asked is None and "deletionTimestamp" in value["metadata"]:
                run.asked = self.api.clock()
            return
        self.runs[value["metadata"]["uid"]] = Run.of(key, value, self._job(value))

    def _job(self, pod: Object) -> Object | None:
        """The job that a pod is of."""
        metadata = pod["metadata"]
        owner = metadata["ownerReferences"][0]
        return self.api.get(Key(owner["kind"], metadata["namespace"], owner["name"]))
