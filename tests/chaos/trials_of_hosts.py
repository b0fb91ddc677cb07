"""Trials of signals, settings, shells, editors and what happens at the same time."""

import codecs
import json
import re
import shutil
import signal
import subprocess
import sys

from user import (
    DATA,
    ENDLESS,
    ROOT,
    SIMPLE,
    SMALLEST,
    SYNTHETIC,
    copy,
    digest,
    draw_photos,
    refuse,
    run,
    smallest,
    start,
    stop,
    succeed,
    train,
    trained,
    wait_for,
)

SCRIPT = """
import signal, socket, threading
from keras_sagan.config import Config
from keras_sagan.training.run import train
reader, writer = socket.socketpair()
writer.setblocking(False)
signal.set_wakeup_fd(writer.fileno())
def call(): train(Config(**{fields}), "{name}")
{statement}
assert signal.set_wakeup_fd(-1) == writer.fileno()
"""
THREAD = "thread = threading.Thread(target=call); thread.start(); thread.join()"


def signals_of_hosts(place):
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
        run_dir = place / number.name
        process = start("train", f"--run_dir={run_dir}", DATA, *SIMPLE, *ENDLESS)
        wait_for(run_dir / "checkpoints" / "checkpoint", process)
        code, text = stop(process, number)
        assert (code, f"{number.name}: stopped at step " in text) == (0, True), text
        step = json.loads((run_dir / "stop.json").read_text())["step"] + 1
        said = succeed("train", f"--run_dir={run_dir}", f"--total_steps={step}")
        assert f"trained to step {step}" in said, said
    return "SIGHUP, SIGUSR1 and SIGTERM leave a checkpoint, from which the run resumes"


def where_python_runs(place):
    draw_photos(place / "photos")
    fields = smallest.RUN | smallest.DCGAN | {"dataset": "folder:photos", "total_steps": 1}
    cases = [(statement, given) for statement in ("call()", THREAD) for given in ("-", "script.py")]
    for i, (statement, given) in enumerate(cases):
        of_case = fields | {"data_dir": f"data{i}"}
        text = SCRIPT.format(fields=of_case, name=f"run{i}", statement=statement)
        (place / "script.py").write_text(text)
        options = {"env": {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}, "timeout": 300}
        options |= {"cwd": place, "capture_output": True, "text": True}
        result = subprocess.run([sys.executable, given], input=text, check=False, **options)
        assert result.returncode == 0, result.stderr[-500:]
        assert list((place / f"run{i}" / "checkpoints").glob("step-1.index"))
    return "standard input, a script without a guard, threads of both; the host's descriptor stays"


def settings_of_keras(place):
    (place / "keras.json").write_text('{"backend": "jax"}')
    home = {"KERAS_HOME": str(place)}
    refuse("Received: backend='jax' in ", "sample", f"--run_dir={place}", variables=home)
    for command in ("train", "prepare", "evaluate"):
        refuse("unset KERAS_BACKEND", command, variables={"KERAS_BACKEND": "torch"})
    (place / "keras.json").write_text('{"image_data_format": "channels_first"}')
    train(place / "plain")
    train(place / "first", variables=home)
    assert digest(place / "plain") == digest(place / "first"), "other weights"
    return "other backends are named in one line; with channels_first, DCGAN trains the same"


def settings_of_schedulers(place):
    for text in ("garbage", "[1]", '{"cluster": {"worker": 5}}', ""):
        given, variables = [f"--run_dir={place}/a", DATA, *SIMPLE], {"TF_CONFIG": text}
        refuse(f"Received: TF_CONFIG={text}", "train", *given, variables=variables)
    cluster, task = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, {"type": "worker", "index": 1}
    variables = {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}
    assert "works alone, although TF_CONFIG names 2" in train(place / "b", variables=variables)
    return "4 odd clusters are refused in one line; a process of a cluster that works alone says so"


def addresses_that_are_no_paths(place):
    for command, flag in (
        ("train", "run_dir"),
        ("train", "data_dir"),
        ("prepare", "preview"),
        ("sample", "output"),
        ("export", "export_dir"),
        ("evaluate", "compare"),
    ):
        part = f"Received: {flag}=gs://bucket/a"
        refuse(part, command, f"--{flag}=gs://bucket/a", cwd=place)
    assert not list(place.iterdir())
    return "6 flags with gs:// are refused in one line, and nothing is made"


def flag_files_of_other_editors(place):
    flags = "".join(f"{flag}\r\n" for flag in [*SIMPLE, DATA, "--total_steps=1"])
    forms = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE}
    for encoding, mark in (forms | {"utf-16-be": codecs.BOM_UTF16_BE}).items():
        (place / encoding).write_bytes(mark + flags.encode(encoding))
        succeed("train", f"--flagfile={place / encoding}", f"--run_dir={place}/run-{encoding}")
    (place / "latin").write_bytes("--dataset=folder:caf\xe9\n".encode("latin-1"))
    (place / "unmarked").write_bytes(flags.encode("utf-16-le"))
    for name in ("latin", "unmarked"):
        refuse(f"Received: flagfile={place / name} (", "train", f"--flagfile={place / name}")
    return "UTF-8 and UTF-16 with marks are read; two others are named in one line"


def options_of_python(place):
    options, given = {"python": ["-OO"]}, f"--run_dir={place}/run"
    succeed("prepare", DATA, *SIMPLE, **options)
    succeed("train", given, DATA, *SMALLEST, *SYNTHETIC, "--total_steps=1", **options)
    succeed("sample", given, f"--output={place}/a.png", **options)
    succeed("explore", given, f"--output={place}/a.html", **options)
    succeed("export", given, f"--export_dir={place}/e", **options)
    succeed("evaluate", given, "--num_samples=16", **options)
    for command in ("sample", "client", "doctor"):
        assert "removes the description" in succeed(command, "--help", **options)
    return "6 commands and the help of 3 work with -OO"


def reading_beside_a_fast_training(place):
    given = f"--run_dir={place}/run", "--steps_per_call=1", "--log_every=1000"
    data = f"--data_dir={place}/data"  # Here, no classifier has been trained yet.
    process = start("train", data, *SMALLEST, *SYNTHETIC, *ENDLESS, *given)
    try:
        wait_for(place / "run" / "checkpoints" / "checkpoint", process)
        for checkpoint in ("newest", "all", "best"):
            succeed("evaluate", given[0], "--num_samples=2000", f"--checkpoint={checkpoint}")
        succeed("sample", given[0], f"--output={place}/a.html")
        succeed("explore", given[0], f"--output={place}/b.html", "--checkpoint=all")
        succeed("export", given[0], f"--export_dir={place}/e")
        assert process.poll() is None
    finally:
        stop(process, signal.SIGKILL)
    steps = re.findall(r'"step": (\d+)', (place / "run/metrics.jsonl").read_text())
    return f"6 commands end well beside it; scored were the steps {', '.join(dict.fromkeys(steps))}"


def two_preparations_at_once(place):
    given = [f"--dataset=folder:{draw_photos(place / 'photos', 100)}", f"--data_dir={place}/data"]
    given += [*SMALLEST, "--total_steps=1"]
    processes = [start("prepare", *given) for _ in range(2)]
    processes += [start("train", f"--run_dir={place}/{name}", *given) for name in "ab"]
    for process in processes:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    (found,) = (place / "data" / "prepared").glob("photos-*")
    return f"2 trainers and 2 preparations end well with one set, {found.name}"


def resume_by_hand(place):
    _, run_dir = copy(place)
    assert "trained to step 3" in succeed("train", f"--run_dir={run_dir}", "--total_steps=3")
    assert digest(run_dir) == digest(trained() / "runs/straight")
    part = "another configuration: d_lr=0.0004 -> 0.5. Use"
    refuse(part, "train", f"--run_dir={run_dir}", "--d_lr=0.5")
    return "--run_dir and --total_steps suffice; of flags that differ, only those given are named"


def texts_and_locales(place):
    folder, _ = copy(place)
    folder.rename(place / "ü")
    options = {"variables": {"LC_ALL": "C", "PYTHONUTF8": "0"}, "cwd": place}
    succeed("train", "--run_dir=ü/runs/run", "--total_steps=3", **options)
    succeed("export", "--run_dir=ü/runs/run", "--export_dir=ü/e", **options)
    succeed("sample", "--run_dir=ü/runs/run", "--output=ü/a.html", **options)
    assert "猫" in (place / "ü/e/3/README.md").read_text("utf-8")
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    for command, flag in (("train", "run_dir"), ("train", "data_dir"), ("export", "export_dir")):
        refuse(f"{flag} must be a path in UTF-8", command, f"--{flag}={place}/{name}")
    return "the class 猫 and a run in ü/ work with LC_ALL=C; 3 names in Latin-1 are refused at once"


def closed_pipes(place):
    given = f"--run_dir={trained()}/runs/straight"
    for command in (
        f"evaluate {given} --num_samples=16",
        f"sample {given} --output={place}/a.png",
        "train -h",
    ):
        for reader in ("head -1", "true"):
            line = f"'{sys.executable}' -m keras_sagan.{command} | {reader}"
            options = {"cwd": ROOT, "capture_output": True, "text": True, "check": False}
            result = subprocess.run(["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"], **options)
            assert result.returncode in (0, 141), result.stderr
            assert "Error" not in result.stderr, result.stderr
    return "3 commands are quiet before head -1 and before a reader that has ended"


def pasted_command_of_a_model_card(place):
    folder, run_dir = copy(place)
    shutil.rmtree(run_dir)
    straight = folder / "runs" / "straight"
    succeed("export", f"--run_dir={straight}", f"--export_dir={place}/e")
    card = (place / "e" / "3" / "README.md").read_text("utf-8")
    command = card[card.index("python -m keras_sagan.train") :].replace("RUN_DIR", "again")
    line = f"python() {{ '{sys.executable}' \"$@\"; }}\n{command} --data_dir=data"
    line = line.replace("\n --data_dir", " --data_dir")
    variables = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    options = {"cwd": folder, "capture_output": True, "text": True, "env": variables}
    result = subprocess.run(["bash", "-c", line], check=False, **options)
    assert result.returncode == 0, result.stderr[-500:]
    assert digest(folder / "again") == digest(straight), "another run"
    return f"{' '.join(command.split()[-4:])}: the same digest"


def doctor_of_a_broken_host(place):
    variables = {"KERAS_BACKEND": "torch", "TF_CONFIG": "{", "LC_ALL": "C", "PYTHONUTF8": "0"}
    code, page, _ = run("doctor", f"--run_dir={place}", variables=variables)
    problems = page.partition("\nProblems\n")[2].strip().splitlines()
    assert (code, len(problems)) == (1, 2), page
    return f"{len(problems)} problems, and {len(page.splitlines())} lines of facts"
