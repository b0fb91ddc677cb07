"""Executes the runs of a comparison: one at a time, or one on each of several GPUs."""

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

from benchmarks.comparison.suite import Run, current_command
from keras_sagan.config import Config
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import write_atomically
from keras_sagan.progress import Progress
from keras_sagan.runs.directory import RunDirectory, differences
from keras_sagan.signals import ENDING

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
# Seconds between two polls of the processes.
POLL = 0.2
# Fraction of a run that progress assigns to training; the rest is scoring.
TRAINING = 0.9


def execute_runs(runs: list[Run], devices: list[str]) -> None:
    """Executes all runs that are not finished, to the end, and writes the outcome of each.

    Each of `devices`, GPUs, executes one at a time; without any, the default devices do.
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
                    start_run(run, free, jobs, progress)
                time.sleep(POLL)
                for job in [job for job in jobs if job.process.poll() is not None]:
                    advance_job(job, free, jobs, progress)
                ended = len(runs) - len(waiting) - len(jobs)
                percent = int(100 * (ended + sum(map(done_fraction, jobs))) / len(runs))
                now = ", ".join(f"{run_name(job.run)} {describe_stage(job)}" for job in jobs)
                now = now or ", ".join(f"{run_name(run)} ends elsewhere" for run in waiting)
                progress.update(max(percent - progress.done, 0), {"now": now})
        finally:
            for job in jobs:
                job.process.terminate()
            for job in jobs:
                job.process.wait()


@dataclasses.dataclass
class Job:
    """A run that is being executed."""

    run: Run
    config: Config
    device: str | None  # A GPU; None: the default devices.
    commands: list[str]  # The run's command lines when it started, as text.
    left: list[list[str]]  # Command lines after the current one.
    process: subprocess.Popen  # Of the current command line.


def is_finished(run: Run) -> bool:
    """Whether the run exists and was successful with the flags that it would have now.

    Its command lines do not suffice, because the flag files in them may have changed.
    """
    try:
        outcome = json.loads(run.outcome.read_text("utf-8"))
        same = not differences(RunDirectory(run.path).read_config(), run.config())
        extractor = run.suite.extractor
        commands = [current_command(line, extractor) for line in outcome["commands"]]
        return same and outcome["status"] == "ok" and commands == command_lines(run)
    except (OSError, ValueError, flags.Error, UsageError):
        return False


def is_free(run: Run) -> bool:
    """Whether no process trains in the run's folder.

    After a comparison is killed, its trainer still finishes a call of the runtime.
    """
    try:
        with RunDirectory(run.path).lock():
            return True
    except RunError as error:
        return not isinstance(error.__cause__, BlockingIOError)


def command_lines(run: Run) -> list[str]:
    """Command lines as one would type them, without the path of the interpreter."""
    return [shlex.join(["python", *command[1:]]) for command in run.commands()]


def start_run(run, free, jobs, progress):
    """Starts a run on a free device; a run with invalid flags fails here."""
    run.path.parent.mkdir(parents=True, exist_ok=True)
    run.log.write_text("", "utf-8")
    run.outcome.unlink(missing_ok=True)
    try:
        config, (train, *left) = run.config(), run.commands()
    except (flags.Error, UsageError, OSError) as error:
        write_outcome(run, [], "failed", " ".join(str(error).split()), progress)
        return
    device = free.pop(0)
    process = launch_command(run, train, device)
    jobs.append(Job(run, config, device, command_lines(run), left, process))


def launch_command(run, command, device):
    """Starts a process that ends whenever this process does, for whatever reason."""
    environment = os.environ if device is None else os.environ | {"CUDA_VISIBLE_DEVICES": device}
    with run.log.open("a", encoding="utf-8") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches this process, which then ends its children.
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),
        )


def advance_job(job, free, jobs, progress):
    """Starts the next command of a job whose process has ended, or writes its outcome."""
    code = job.process.returncode
    stopped = code == 0 and job.left and not is_trained(job)
    if code == 0 and job.left and not stopped:
        job.process = launch_command(job.run, job.left.pop(0), job.device)
        return
    jobs.remove(job)
    free.append(job.device)
    status, reason = explain_exit(code, job.run.log.read_text("utf-8", errors="replace"))
    if stopped:
        status, reason = "killed", f"after {describe_stage(job)}, before the end"
    write_outcome(job.run, job.commands, status, reason, progress)


def is_trained(job):
    """Whether a job's training reached its end; after a signal it also exits with 0."""
    row, minutes = last_record(job.run), job.config.total_minutes
    return row.get("step") == job.config.total_steps or 0 < minutes * 60 <= row.get("seconds", 0)


def explain_exit(code: int, log: str) -> tuple[str, str]:
    """Status and reason of a process, from its exit code and its log."""
    if code == 0:
        return "ok", ""
    if code < 0:
        return "killed", f"by {signal.Signals(-code).name}"
    if code - 128 in ENDING:
        return "killed", f"by {signal.Signals(code - 128).name}"
    output = [line for line in log.splitlines() if line.strip()] or ["no output"]
    reason = output[-1].strip()
    return "diverged" if re.search(r"error: expected finite", reason) else "failed", reason


def write_outcome(run, commands, status, reason, progress):
    ended = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    outcome = {"status": status, "reason": reason, "ended": ended, "commands": commands}
    write_atomically(run.outcome, json.dumps(outcome, indent=2) + "\n")
    progress.say(f"{run_name(run)}: {status}{f': {reason}' if reason else ''}")


def run_name(run):
    return f"{run.row.name} seed {run.seed}"


def describe_stage(job):
    return f"step {last_record(job.run).get('step', 0)}" if job.left else "scoring"


def done_fraction(job):
    """The completed fraction of a run."""
    if not job.left:
        return TRAINING
    row = last_record(job.run)
    if job.config.total_minutes:
        return TRAINING * min(row.get("seconds", 0) / 60 / job.config.total_minutes, 1)
    return TRAINING * row.get("step", 0) / job.config.total_steps


def last_record(run):
    """The newest record of a run's training; empty before the first."""
    try:
        return RunDirectory(run.path).last_row("train.jsonl")
    except (OSError, ValueError):  # It is being written now.
        return {}
