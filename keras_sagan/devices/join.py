"""How the processes of a run on many hosts find each other."""

import contextlib
import faulthandler
import functools
import os
import re
import signal
import sys

import tensorflow as tf

from keras_sagan.devices.cluster import addresses
from keras_sagan.devices.rendezvous import meet
from keras_sagan.errors import RunError, UsageError

resolvers = tf.distribute.cluster_resolver
# Seconds that TensorFlow may take to join processes which are all there.
JOINING = 60


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
        jobs = spec.as_dict()
        if not {"chief", "worker"}.issuperset(jobs) or len(jobs.get("chief", [])) > 1:
            raise ValueError(f"jobs {', '.join(jobs)}")
        for address in addresses(spec):
            int(address.rpartition(":")[2])
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
    # Below Linux's own ports, and other ones for each job, since jobs may share a host.
    base = 20_000 + int(os.environ.get("SLURM_JOB_ID", 0)) % 10_000
    # One "GPU" a task, for else it finds no ports; which a task really has, Slurm sees to.
    resolver = resolvers.SlurmClusterResolver(
        port_base=base,
        gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]),
        gpus_per_task=1,
        auto_set_gpu=False,
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

    Raises:
        RunError: if the others are not there within `seconds`, or cannot be joined.
    """
    spec, job, task = find()
    resolver = resolvers.SimpleClusterResolver(
        spec, task_type=job, task_id=task, num_accelerators={"GPU": gpus}, rpc_layer="grpc"
    )
    meet(addresses(spec), addresses(spec).index(spec.task_address(job, task)), seconds)
    try:
        with at_most(JOINING):
            return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{job} {task} cannot join the others: {reason}") from error


@contextlib.contextmanager
def at_most(seconds):
    """Exit code 1 if it takes longer inside, where no other thread of Python is heard.

    Nor are signals, which TensorFlow takes for itself from there on.
    """
    sys.stderr.write(f"all workers are here and join, in {seconds} seconds or not at all\n")
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
