"""How the processes of a run on many hosts find each other."""

import contextlib
import functools
import os
import re
import signal
import socket
import sys
import threading
import time

import tensorflow as tf

from keras_sagan.errors import RunError, UsageError
from keras_sagan.training.cluster import addresses
from keras_sagan.training.preemption import SIGNALS

resolvers = tf.distribute.cluster_resolver


def find():
    """This process's place in the cluster, by `TF_CONFIG` or else the variables of Slurm's `srun`.

    Returns:
        `ClusterSpec` of jobs "chief" and "worker", the job of this process, and its task.

    Raises:
        UsageError: if there are no such variables, or they say something else.
    """
    if "TF_CONFIG" in os.environ:
        source, read = f"TF_CONFIG={os.environ['TF_CONFIG']}", tf_config
    elif "SLURM_STEP_NODELIST" in os.environ:
        source, read = "the variables of Slurm", slurm
    else:
        raise UsageError(
            "strategy=multi_worker needs the variable TF_CONFIG, or those that Slurm's srun sets. "
            "Received: neither"
        )
    try:
        spec, job, task = read()
        spec.task_address(job, task)  # Raises, where there is no such task.
        if (
            not {"chief", "worker"}.issuperset(spec.jobs)
            or len(spec.as_dict().get("chief", [])) > 1
        ):
            raise ValueError(f"jobs {', '.join(spec.jobs)}")
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        raise UsageError(
            "strategy=multi_worker needs the addresses of workers, and of one chief at most, and "
            f"which of them this process is. Received: {source} ({error})"
        ) from error
    return spec, job, task


def tf_config():
    resolver = resolvers.TFConfigClusterResolver()
    return resolver.cluster_spec(), resolver.task_type, resolver.task_id


def slurm():
    # One "GPU" a task gives each its port; which GPUs a task has, Slurm itself sees to.
    most = max(
        int(n) for n in re.findall(r"\d+(?=\(|,|$)", os.environ["SLURM_STEP_TASKS_PER_NODE"])
    )
    # Below Linux's own ports, and with another one for each job, since jobs may share a host.
    base = 20_000 + int(os.environ.get("SLURM_JOB_ID", 0)) % 10_000
    resolver = resolvers.SlurmClusterResolver(
        port_base=base, gpus_per_node=most, gpus_per_task=1, auto_set_gpu=False
    )
    spec = resolver.cluster_spec()
    # It sorts n10 before n9, and Slurm, which numbers the tasks, does not.
    tasks = sorted(spec.as_dict()["worker"], key=natural)
    return tf.train.ClusterSpec({"worker": tasks}), *resolver.get_task_info()


def natural(text):
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


@functools.lru_cache(maxsize=1)  # A process joins once, whatever it does then.
def join(gpus, seconds):
    """The strategy of all workers, each with `gpus` devices or, for 0, its CPU.

    Ends this process if the others are not there within `seconds`.
    """
    spec, job, task = find()
    resolver = resolvers.SimpleClusterResolver(
        spec, task_type=job, task_id=task, num_accelerators={"GPU": gpus}, rpc_layer="grpc"
    )
    try:
        with waiting(addresses(spec), seconds):
            return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{job} {task} cannot join the others: {reason}") from error


@contextlib.contextmanager
def waiting(others, seconds):
    """What TensorFlow does inside may take `seconds`; a signal ends it, too.

    It would wait for other processes without end, and take note of SIGTERM and go on.
    """
    done = threading.Event()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    thread = threading.Thread(target=watch, args=(done, others, seconds), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # In place of TensorFlow's.
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def watch(done, others, seconds):
    end = time.monotonic() + seconds
    while not done.is_set():
        if received := signal.sigtimedwait(SIGNALS, 0.1):
            leave(
                f"{signal.Signals(received.si_signo).name} before training", 128 + received.si_signo
            )
        if time.monotonic() > end:
            absent = ", ".join(each for each in others if not answers(each)) or "none of them"
            leave(
                f"expected {len(others)} workers within join_seconds={seconds}. No answer from: "
                f"{absent}",
                1,
            )


def answers(address):
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=2):
        return True
    return False


def leave(reason, code):
    """Ends the process, which no exception would reach."""
    try:
        sys.stderr.write(f"error: {reason}\n")
        sys.stderr.flush()
    finally:
        os._exit(code)
