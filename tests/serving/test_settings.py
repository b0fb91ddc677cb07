"""The server's settings, by its own protocol buffers where there are any, and the model card."""

import json
import re

import numpy as np
import pytest
import scan
import yaml
from exports import UNCONDITIONAL, export, random_run, run_in_session
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers
from tensorflow_serving.config import model_server_config_pb2

from keras_sagan.serving.configs import configs

FILES = configs("digits")


def test_models_config_is_one_model_under_its_mount():
    parsed = text_format.Parse(FILES["models.config"], model_server_config_pb2.ModelServerConfig())
    (model,) = parsed.model_config_list.config
    assert (model.name, model.base_path) == ("digits", "/models/digits")
    assert model.model_platform == "tensorflow"


def batching_parameters():
    """The message of session_bundle_config.proto, which tensorflow-serving-api does not ship."""
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", syntax="proto3", dependency=[wrappers.DESCRIPTOR.name]
    )
    message = file.message_type.add(name="BatchingParameters")
    kinds = descriptor_pb2.FieldDescriptorProto
    fields = {
        "max_batch_size": (1, "Int64Value"),
        "batch_timeout_micros": (2, "Int64Value"),
        "max_enqueued_batches": (3, "Int64Value"),
        "num_batch_threads": (4, "Int64Value"),
        "thread_pool_name": (5, "StringValue"),
        "enable_large_batch_splitting": (8, "BoolValue"),
    }
    for name, (number, kind) in fields.items():
        message.field.add(
            name=name,
            number=number,
            label=kinds.LABEL_OPTIONAL,
            type=kinds.TYPE_MESSAGE,
            type_name=f".google.protobuf.{kind}",
        )
    message.field.add(
        name="allowed_batch_sizes", number=6, label=kinds.LABEL_REPEATED, type=kinds.TYPE_INT64
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParameters"))()


def test_batching_config_is_what_the_server_accepts():
    parsed = text_format.Parse(FILES["batching.config"], batching_parameters())
    sizes = list(parsed.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == parsed.max_batch_size.value == 32  # Otherwise the server does not start.
    assert parsed.enable_large_batch_splitting.value
    for name in ("batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"):
        assert getattr(parsed, name).value > 0


def test_compose_file_starts_the_pinned_server_on_these_files():
    service = yaml.safe_load(FILES["docker-compose.yml"])["services"]["serving"]
    assert service["image"] == "tensorflow/serving:2.20.0"
    assert [port.rpartition(":")[0].rpartition(":")[2] for port in service["ports"]] == [
        "8500",
        "8501",
    ]
    assert service["volumes"] == [".:/models/digits:ro"]
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    assert flags["enable_batching"] == "true"
    for name, file in (
        ("model_config_file", "models.config"),
        ("batching_parameters_file", "batching.config"),
    ):
        assert flags[name] == f"/models/digits/{file}"
        assert file in FILES


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"image_channels": 1}, marks=pytest.mark.slow, id="sagan"),
        pytest.param(UNCONDITIONAL, id="dcgan"),
    ],
)
def test_commands_of_the_card_are_answered(fields, tmp_path):
    run = random_run(tmp_path / "run", **fields)
    version = export(run, tmp_path / "export", model="mine")
    card = (version / "README.md").read_text()
    bodies = re.findall(r"curl -s (\S+) -d '(.*?)'", card)
    asked = {}
    for i, (url, body) in enumerate(bodies):
        assert url == "http://localhost:8501/v1/models/mine:predict"
        body = json.loads(body)
        for key, values in body["inputs"].items():
            kind = np.float32 if key == "latents" else np.int64
            asked[f"{i}/{body['signature_name']}/{key}"] = np.array(values, kind)
    meta = scan.read(version)
    assert sorted({name.split("/")[1] for name in asked}) == sorted(meta.signature_def)
    answers = run_in_session(version, tmp_path, asked)
    assert not [name for name in answers if name.endswith("/error")]


def test_card_has_classes_scores_and_training(tmp_path):
    data = tmp_path / "data" / "prepared" / "photos"
    data.mkdir(parents=True)
    record = {"sha256": "ab12", "classes": ["cats", "big\n*dogs*"], "count": 40}
    (data / "dataset.json").write_text(json.dumps(record))
    run = random_run(
        tmp_path / "run", data_dir=str(tmp_path / "data"), num_classes=2, dataset="folder:photos"
    )
    environment = {"data": {"sha256": "ab12", "count": 40}, "device": "CPU", "devices": ["a"]}
    (run.path / "environment.json").write_text(json.dumps(environment))
    (run.path / "train.jsonl").write_text('{"step": 20, "seconds": 90}\n{"step": 30, "sec')
    score = {"step": 20, "weights": "ema", "batch_norm": "moving", "n_fake": 50, "n_real": 40}
    score |= {"metric": "fid50/tfgan", "protocol": {"name": "tfgan"}, "time": "2026-01-02T03:04"}
    rows = [
        score | {"value": 99},  # Measured again, below.
        score | {"value": 12.5, "standard_deviation": 0.25},
        score | {"value": 1, "metric": "raw50/tfgan", "weights": "raw"},
        score | {"value": 2, "metric": "batch50/tfgan", "batch_norm": "batch"},
        score | {"value": 3, "metric": "old50/tfgan", "step": 10},
        score | {"value": None, "metric": "none50/tfgan"},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (run.path / "metrics.jsonl").write_text(text + '{"metric": "cut')
    card = (export(run, tmp_path / "export") / "README.md").read_text()
    assert card.startswith("# sagan, version 20\n")
    assert "\n    0  cats\n    1  big *dogs*\n" in card
    assert "| fid50/tfgan | 12.5 ± 0.25 | 50 | 40 | tfgan | 2026-01-02 |" in card
    assert "| 99" not in card
    assert not re.search("raw50|batch50|old50|none50", card)
    assert "| data | folder:photos, 40 images, sha256 ab12 |" in card
    assert "| training time | 1.5 minutes |" in card
    assert "| images seen | 80 |" in card
    command = next(line for line in card.splitlines() if "keras_sagan.train" in line)
    assert "--dataset=folder:photos" in command
    assert "--g_lr=0.01" in command
    assert "data_dir" not in command


def test_card_says_what_it_does_not_know(tmp_path):
    run = random_run(tmp_path / "run")
    card = (export(run, tmp_path / "export", ema=False) / "README.md").read_text()
    assert "0 to 9. Their names are not available here." in card
    assert "python -m keras_sagan.evaluate --run_dir=RUN_DIR --checkpoint=20" in card
    assert "| training time | not recorded |" in card
    assert "weights as trained" in card
