"""How processes find each other, and what keeps them from it."""

import json
import re
import threading

import pytest
from process import free_ports

from keras_sagan.devices.cluster import Cluster
from keras_sagan.devices.join import check_tf_config, find_place
from keras_sagan.devices.rendezvous import wait_for_all
from keras_sagan.devices.strategy import make_cluster
from keras_sagan.errors import RunError, UsageError


def test_a_process_alone_is_its_own_chief():
    cluster = Cluster()
    assert cluster.is_chief
    assert cluster.size == 1
    assert cluster.broadcast({"a": (1,)}) == {"a": (1,)}
    assert cluster.run_on_chief(lambda: cluster) is cluster
    assert cluster.any_process([False, True]) == [False, True]


def test_processes_meet_whoever_comes_first():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    threads = [
        threading.Thread(target=wait_for_all, args=(addresses, place, 600), daemon=True)
        for place in (2, 0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
        assert not thread.is_alive()


def test_those_that_do_not_come_are_named():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    caught = []

    def chief():
        with pytest.raises(RunError) as error:
            wait_for_all(addresses, 0, 4)
        caught.append(str(error.value))

    thread = threading.Thread(target=chief)
    thread.start()
    with pytest.raises(RunError, match=f"no call to {addresses[0]}"):
        wait_for_all(addresses, 1, 1)
    thread.join()
    assert caught == [
        f"expected 3 workers within join_seconds=4. Received: no call from {addresses[2]}"
    ]


def tf_config(monkeypatch, **cluster):
    task = {"type": "worker", "index": 1}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))


def test_tf_config_names_the_cluster(monkeypatch):
    tf_config(monkeypatch, chief=["c:1"], worker=["a:1", "b:2"])
    spec, job, task = find_place()
    assert spec.as_dict() == {"chief": ["c:1"], "worker": ["a:1", "b:2"]}
    assert (job, task) == ("worker", 1)


def test_slurm_names_it_in_its_own_order(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in {
        "STEP_NODELIST": "gpu[9-10]",
        "STEP_TASKS_PER_NODE": "2(x2)",
        "STEP_NUM_TASKS": "4",
        "PROCID": "2",
        "JOB_ID": "1234567",
    }.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    spec, job, task = find_place()
    assert spec.as_dict() == {"worker": ["gpu9:24567", "gpu9:24568", "gpu10:24567", "gpu10:24568"]}
    assert (job, task) == ("worker", 2)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "one"}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_other_variables_are_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match="needs the addresses of workers.* Received: TF_CONFIG="):
        find_place()


UNREADABLE = ["", "garbage", "[1]", '"cluster"', "[" * 100_000, '{"cluster": null}']
UNREADABLE += ['{"cluster": ["a:1"]}', '{"cluster": {"worker": 5}}', '{"cluster": {"worker": [5]}}']
UNREADABLE += ['{"cluster": {"worker": {"a": "b:1"}}}']


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_tensorflow_cannot_read_is_refused_under_every_strategy(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    message = re.escape(f"JSON object of a cluster, or unset. Received: TF_CONFIG={text} (")
    with pytest.raises(UsageError, match=message):
        check_tf_config("mirrored")


def test_a_process_of_several_that_works_alone_says_so(monkeypatch, capsys):
    for workers, strategy in ((["a:1"], "mirrored"), (["a:1", "b:1"], "multi_worker")):
        tf_config(monkeypatch, worker=workers)
        check_tf_config(strategy)
        assert capsys.readouterr().err == ""
    check_tf_config("mirrored")
    assert "this process works alone, although TF_CONFIG names 2; " in capsys.readouterr().err


def test_without_variables_or_with_an_odd_batch_nothing_starts(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UsageError, match="needs the variable TF_CONFIG, .* Received: neither"):
        make_cluster("multi_worker", batch_size=8)
    tf_config(monkeypatch, worker=["a:1", "b:1", "c:1"])
    with pytest.raises(UsageError, match="multiple of the replicas.* 8 images for 3 replicas"):
        make_cluster("multi_worker", batch_size=8)
    with pytest.raises(UsageError, match="1 for each worker .* without GPUs. Received: 2"):
        make_cluster("multi_worker", replicas=2, batch_size=8)
