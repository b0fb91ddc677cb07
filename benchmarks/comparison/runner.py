"""Runs of a comparison as processes: one after the other, or one on each of several GPUs."""

import ctypes
import dataclasses
import datetime
import json
import os
import re
import shlex
import signal
import subprocess
import time

from absl import flags

from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import write_atomically
from keras_sagan.progress import Progress
from keras_sagan.runs.directory import RunDirectory, differences

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
# Seconds between two looks at the processes.
LOOK = 0.2
# Of a run's time, the part that training takes in the display of progress; the rest is scoring.
TRAINING = 0.9


def play(runs, devices):
    """Brings every run to its end, and leaves an outcome beside it.

    Args:
        runs: list of `Run`s. Those that `is_finished` are skipped.
        devices: list of str, GPUs; empty: one run at a time with what it finds.
    """
    waiting = [run for run in runs if not is_finished(run)]
    jobs, free = [], list(devices) or [None]
    done = len(runs) - len(waiting)
    with Progress("percent", 100, "percent", 100 * done // len(runs)) as progress:
        progress.say(f"{done} of {len(runs)} runs are finished")
        try:
            while waiting or jobs:
                while free and (run := next((each for each in waiting if is_free(each)), None)):
                    waiting.remove(run)
                    start(run, free, jobs, progress)
                time.sleep(LOOK)
                for job in [job for job in jobs if job.process.poll() is not None]:
                    advance(job, free, jobs, progress)
                ended = len(runs) - len(waiting) - len(jobs)
                percent = int(100 * (ended + sum(map(fraction, jobs))) / len(runs))
                now = ", ".join(f"{name(job.run)} {place(job)}" for job in jobs)
                now = now or ", ".join(f"{name(run)} still ends elsewhere" for run in waiting)
                progress.update(max(percent - progress.done, 0), {"now": now})
        finally:
            for job in jobs:
                job.process.terminate()
            for job in jobs:
                job.process.wait()


@dataclasses.dataclass
class Job:
    """A run that has a device.

    Attributes:
        run: `Run`.
        config: its `Config`.
        device: str or None.
        commands: list of str, its command lines as of its start.
        left: list of command lines that follow the present one.
        process: `subprocess.Popen` of that.
    """

    run: object
    config: object
    device: str | None
    commands: list
    left: list
    process: object


def is_finished(run):
    """Whether the run is there and has ended well, by the flags that it would have now.

    Its command lines alone do not say: the flag files that they name may have changed.
    """
    try:
        outcome = json.loads(run.outcome.read_text())
        same = not differences(RunDirectory(run.path).read_config(), run.config())
        return same and outcome["status"] == "ok" and outcome["commands"] == texts(run)
    except (OSError, ValueError, flags.Error, UsageError):
        return False


def is_free(run):
    """Whether no process trains in its folder.

    After a comparison was killed, its trainer takes the end of a call of the runtime to end too.
    """
    try:
        with RunDirectory(run.path).lock():
            return True
    except RunError as error:
        return not isinstance(error.__cause__, BlockingIOError)


def texts(run):
    """Command lines as one would type them, without the path of the interpreter."""
    return [shlex.join(["python", *command[1:]]) for command in run.commands()]


def start(run, free, jobs, progress):
    """Starts a run on a free device; one whose flags are wrong ends here."""
    run.path.parent.mkdir(parents=True, exist_ok=True)
    run.log.write_text("")
    run.outcome.unlink(missing_ok=True)
    try:
        config, (train, *left) = run.config(), run.commands()
    except (flags.Error, UsageError, OSError) as error:
        conclude(run, [], "failed", " ".join(str(error).split()), progress)
        return
    device = free.pop(0)
    jobs.append(Job(run, config, device, texts(run), left, launch(run, train, device)))


def launch(run, command, device):
    """The process of a command line. It ends when this process does, however that comes."""
    environment = os.environ if device is None else os.environ | {"CUDA_VISIBLE_DEVICES": device}
    with run.log.open("a") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,  # Ctrl-C comes to this process, which then ends its own.
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),
        )


def advance(job, free, jobs, progress):
    """The next command of a job whose process has ended, or its outcome."""
    code = job.process.returncode
    stopped = code == 0 and job.left and not is_trained(job)
    if code == 0 and job.left and not stopped:
        job.process = launch(job.run, job.left.pop(0), job.device)
        return
    jobs.remove(job)
    free.append(job.device)
    status, reason = verdict(code, job.run.log.read_text(errors="replace"))
    if stopped:
        status, reason = "killed", f"after {place(job)}, before its end"
    conclude(job.run, job.commands, status, reason, progress)


def is_trained(job):
    """Whether a job's training has come to its end: one that a signal stops exits with 0 too."""
    row, minutes = last(job.run), job.config.total_minutes
    return row.get("step") == job.config.total_steps or 0 < minutes * 60 <= row.get("seconds", 0)


def verdict(code, log):
    """Status and reason of a process by its exit code and what it said."""
    if code == 0:
        return "ok", ""
    if code < 0:
        return "killed", f"by {signal.Signals(-code).name}"
    if code == 128 + signal.SIGTERM:
        return "killed", "by SIGTERM"
    said = [line for line in log.splitlines() if line.strip()] or ["no output"]
    reason = said[-1].strip()
    return "diverged" if re.search(r"error: expected finite", reason) else "failed", reason


def conclude(run, commands, status, reason, progress):
    ended = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    outcome = {"status": status, "reason": reason, "ended": ended, "commands": commands}
    write_atomically(run.outcome, json.dumps(outcome, indent=2) + "\n")
    progress.say(f"{name(run)}: {status}{f': {reason}' if reason else ''}")


def name(run):
    return f"{run.row.name} seed {run.seed}"


def place(job):
    """Where a job is, in words."""
    return f"step {last(job.run).get('step', 0)}" if job.left else "scoring"


def fraction(job):
    """Part of a run that is done."""
    if not job.left:
        return TRAINING
    row = last(job.run)
    if job.config.total_minutes:
        return TRAINING * min(row.get("seconds", 0) / 60 / job.config.total_minutes, 1)
    return TRAINING * row.get("step", 0) / job.config.total_steps


def last(run):
    """The newest record of a run's training; empty before the first."""
    try:
        return RunDirectory(run.path).last_row("train.jsonl")
    except (OSError, ValueError):  # It is being written.
        return {}
