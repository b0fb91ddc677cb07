"""Commands that are killed at random moments: `python kill.py FOLDER KILLS SEED JIT_COMPILE`.

TensorFlow is imported once, and each command is a fork of that: its runtime starts in the fork.
What the command is at, it notes in memory that this process sees. First `FOLDER/killed` is trained,
killed and trained on KILLS times, then to its end; then `FOLDER/straight` to the same step,
undisturbed; then `killed` is scored, which is killed KILLS // 10 times, and scored. Prints a JSON
line for each kill and a last one for the whole.
"""

import contextlib
import importlib
import json
import mmap
import os
import pathlib
import random
import signal
import sys
import time
import traceback

from keras_sagan import commands
from keras_sagan.errors import RunError
from keras_sagan.evaluation import scorer, scoring
from keras_sagan.runs import checkpoint_files
from keras_sagan.runs.checkpoint_files import check_seal, list_checkpoints, step_of
from keras_sagan.runs.checkpoints import Checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training import session, xla
from keras_sagan.training import start as before_training
from keras_sagan.training.records import Log, Records, Score
from keras_sagan.training.state import State

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Records that end between checkpoints: a run that resumes must know what they were begun with.
CHECKPOINT_EVERY = 50
# Fewest steps of a run, by --jit_compile: auto does not measure shorter runs.
LEAST = {"auto": 1000, "off": 0}
TRAIN = [
    "--model=dcgan",
    "--g_attention=none",
    "--d_attention=none",
    "--nog_spectral_norm",
    "--nod_spectral_norm",
    "--image_size=16",
    "--image_channels=1",
    "--z_dim=4",
    "--g_channels=2",
    "--d_channels=2",
    "--batch_size=4",
    "--ema_start=3",
    "--steps_per_call=5",
    "--log_every=20",
    "--sample_every=100",
    f"--checkpoint_every={CHECKPOINT_EVERY}",
]
ENDLESS = "--total_steps=1000000"
EVALUATE = ["--num_samples=64", "--json"]
# Share of the kills that come before the first step; seconds within which they come.
EARLY, START = 0.15, 6.0
# Share of those that come in a phase, which most moments miss: seconds from its beginning at most.
AIMED, PHASES, PHASE = 0.4, ("checkpoint", "seal", "list", "score", "grid", "record"), 0.05
# Of the others: most steps that are let be, then most seconds, about those of a checkpoint's work.
STEPS, SECONDS = 75, 0.4
# Where evaluations are killed, in turn, and seconds from there at most.
EVALUATION, EVALUATING = ("classifier", "real images", "fakes", "metrics.jsonl"), 2.0
# What notes that it is being done: an owner's function, and the words for it.
NOTED = (
    (RunDirectory, "write_config", "config.json"),
    (RunDirectory, "write_environment", "environment.json"),
    (RunDirectory, "drop_rows_after", "earlier records"),
    (Log, "write_record", "record"),
    (Records, "write_scalars", "TensorBoard"),
    (Records, "write_grid", "grid"),
    (Score, "act", "score"),
    (RunDirectory, "write_stop", "stop.json"),
    (checkpoint_files, "write_seal", "seal"),
    (checkpoint_files, "write_list", "list"),
    (Checkpoints, "save_best", "best checkpoint"),
    (Checkpoints, "save", "checkpoint"),
    (before_training, "open_run_data", "data"),
    (State, "create", "networks"),
    (xla, "choose_xla", "XLA"),
    (scoring, "open_run_data", "data"),
    (scorer, "train_extractor", "classifier"),
    (scorer, "real_set", "real images"),
    (scorer.Scorer, "score_generator", "fakes"),
    (scoring, "record_scores", "metrics.jsonl"),
)


class Mark:
    """What a command is at, and the steps it has done, seen by the process that forked it.

    Attributes:
        before: function of a phase, called when it begins.
    """

    def __init__(self):
        self.memory, self.before = mmap.mmap(-1, mmap.PAGESIZE), lambda phase: None
        self.at("start")

    def at(self, phase, step=-1):
        self.memory[:40] = f"{phase:20}{step:20}".encode()

    def read(self):
        text = self.memory[:40].decode()
        return text[:20].strip(), int(text[20:])

    @contextlib.contextmanager
    def during(self, phase):
        """Of nested phases one that fails is the last."""
        outer, step = self.read()
        self.at(phase, step)
        self.before(phase)
        yield
        self.at(outer, self.read()[1])

    def note(self, owner, name, phase):
        function = getattr(owner, name)

        def noted(*arguments, **named):
            with self.during(phase):
                return function(*arguments, **named)

        setattr(owner, name, noted)

    def note_calls(self):
        """Of the runtime: the first one compiles."""
        make_train_call = session.make_train_call

        def make_noted(strategy, game):
            train, phases = make_train_call(strategy, game), iter(["first call"])
            if self.read()[0] == "XLA":  # Its steps are measured, not trained.
                return train

            def noted(iterator, step, num_steps):
                with self.during(next(phases, "steps")):
                    numbers, bad = train(iterator, step, num_steps)
                    numbers = {name: float(value) for name, value in numbers.items()}
                self.at("between", int(step.numpy()))
                return numbers, bad

            return noted

        session.make_train_call = make_noted


def start(mark, log, command, *given):
    """The id of a process that is `python -m keras_sagan.COMMAND GIVEN`."""
    mark.at("start")
    child = os.fork()
    if child:
        return child
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [command, *given]
    code = 1
    try:
        module = importlib.import_module(f"keras_sagan.{command}")
        commands.run(module.main, module.__doc__)
        mark.at("end", mark.read()[1])
        code = 0
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def finish(*arguments):
    """Runs a command to its end."""
    code = ended(start(*arguments))
    if code:
        raise SystemExit(f"{arguments[2:]} ended with {code}: {arguments[1].read_text()}")


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def await_moment(numbers, mark):
    """Until a random moment of a training."""
    if numbers.random() < EARLY:
        time.sleep(numbers.uniform(0, START))
        return
    await_until(lambda: mark.read()[1] >= 0)
    begun, steps = mark.read()[1], numbers.randrange(STEPS)
    await_until(lambda: mark.read()[1] >= begun + steps)
    if numbers.random() < AIMED:
        aim = numbers.choice(PHASES)
        await_until(lambda: mark.read()[0] == aim)
        time.sleep(numbers.uniform(0, PHASE))
    else:
        time.sleep(numbers.uniform(0, SECONDS))


def await_until(true):
    while not true():
        time.sleep(0.0005)


def kill(child, mark, number):
    """Sends a signal; returns what the process was at, its steps in the end, its exit code."""
    phase, _ = mark.read()
    os.kill(child, number)
    code = ended(child)
    return phase, mark.read()[1], code


def train_killed(folder, kills, numbers, mark, jit_compile):
    """Returns the last step of which anything is known."""
    run, log, last = RunDirectory(folder / "killed"), folder / "log", 0
    given = ["train", f"--run_dir={run.path}", f"--data_dir={folder / 'data'}", *TRAIN, ENDLESS]
    given.append(jit_compile)
    for i in range(kills):
        number = SIGNALS[i % 3]
        begun = time.monotonic()
        child = start(mark, log, *given)
        await_moment(numbers, mark)
        phase, step, code = kill(child, mark, number)
        newest = max(map(step_of, list_checkpoints(run.checkpoints)), default=0)
        report(
            command="train",
            signal=signal.Signals(number).name,
            phase=phase,
            code=code,
            step=step,
            lost=max(step - newest, 0),
            seconds=round(time.monotonic() - begun, 2),
            broken=broken_checkpoints(run),
            log=log.read_text() if code in (1, 2) or "Traceback" in log.read_text() else "",
        )
        last = max(last, step, newest)
    return last


def broken_checkpoints(run):
    broken = []
    for path in list_checkpoints(run.checkpoints) + list_checkpoints(run.checkpoints / "best"):
        try:
            check_seal(path)
        except RunError as error:
            broken.append(str(error))
    return broken


def evaluate_killed(folder, kills, numbers, mark):
    log, metrics = folder / "log", folder / "killed" / "metrics.jsonl"
    given = ["evaluate", f"--run_dir={folder / 'killed'}", *EVALUATE]
    for i in range(kills):
        child = start(mark, log, *given)
        aim, number = EVALUATION[i % len(EVALUATION)], SIGNALS[i % 3]
        await_until(lambda aim=aim: mark.read()[0] == aim)
        time.sleep(numbers.uniform(0, EVALUATING))
        phase, _, code = kill(child, mark, number)
        text = metrics.read_text() if metrics.exists() else ""
        report(
            command="evaluate",
            signal=signal.Signals(number).name,
            phase=phase,
            code=code,
            rows=[json.loads(line)["metric"] for line in text.splitlines()],
            log=log.read_text() if code in (1, 2) or "Traceback" in log.read_text() else "",
        )
    finish(mark, log, *given)


def report(**values):
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main(folder, kills, seed, jit_compile):
    numbers, mark = random.Random(seed), Mark()
    for owner, name, phase in NOTED:
        mark.note(owner, name, phase)
    mark.note_calls()
    begun = time.monotonic()
    least, jit_compile = LEAST[jit_compile], f"--jit_compile={jit_compile}"
    last = max(train_killed(folder, kills, numbers, mark, jit_compile), least)
    total = f"--total_steps={(last // CHECKPOINT_EVERY + 2) * CHECKPOINT_EVERY}"
    for name in ("killed", "straight"):
        place = [f"--run_dir={folder / name}", f"--data_dir={folder / 'data'}"]
        finish(mark, folder / "log", "train", *place, *TRAIN, total, jit_compile)
    if kills >= 10:
        evaluate_killed(folder, kills // 10, numbers, mark)
    report(total=total, seconds=round(time.monotonic() - begun, 1))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
