"""A cluster goes without a trace, however it ends. Its end in good order: test_running.py."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from testbed import control

CLUSTER = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.timeout(600)


def test_ctrl_c_takes_everything_down(run):
    run.wait_for_processes()
    code, told = run.end(signal.SIGINT)
    assert code == 1
    assert "interrupted; everything was taken down" in told
    run.assert_nothing_is_left()


def test_a_killed_start_ends_the_cluster_and_down_removes_the_rest(run):
    run.wait_for_processes()
    run.end(signal.SIGKILL)
    run.assert_nobody_is_left()
    run.down()
    run.assert_nothing_is_left()


def test_the_end_of_the_supervisor_is_the_end_of_all(run):
    run.wait_for_processes()
    os.kill(control.supervisor(run.state), signal.SIGKILL)
    run.assert_nobody_is_left()
    code, told = run.end()
    assert code == 1
    assert "the cluster did not start and was taken down" in told
    run.assert_nothing_is_left()


def test_a_folder_that_is_not_a_clusters_is_left_as_it_is(launch, tmp_path):
    (tmp_path / "etc").mkdir()
    told = subprocess.run(
        [CLUSTER / "down", "--state", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 1
    assert told.stderr.strip().endswith("is not the folder of a cluster; it was left as it is")
    assert (tmp_path / "etc").is_dir()
