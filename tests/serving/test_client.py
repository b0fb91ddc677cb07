"""The client over real sockets, REST and gRPC, against a server that fails on demand."""

import concurrent.futures
import contextlib
import io
import itertools
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import tiny
from dropping import Dropping
from PIL import Image
from server import Server

from keras_sagan.errors import RunError, UsageError
from keras_sagan.serving import client as client_module
from keras_sagan.serving import over_grpc
from keras_sagan.serving.client import ROWS_PER_REQUEST, Client
from keras_sagan.serving.failures import Unavailable

ROOT = pathlib.Path(__file__).parents[2]
SIGNATURES = {
    "attention": ["labels", "seeds"],
    "latents": ["labels", "latents"],
    "png": ["labels", "seeds"],
    "serving_default": ["labels", "seeds"],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    base = tmp_path_factory.mktemp("sagan")
    tiny.Tiny(has_names=True).save(base / "3")
    tiny.Tiny(channels=1).save(base / "20")
    with Server(base, "sagan") as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    yield running
    running.reset()


@pytest.fixture(params=["rest", "grpc"])
def protocol(request):
    return request.param


def ask(server, protocol, **options):
    return Client(getattr(server, protocol), protocol=protocol, **options)


def expected(labels, seeds, channels=1):
    pairs = zip(labels, seeds, strict=True)
    return np.stack([tiny.image(label, seed, channels) for label, seed in pairs])


def test_images_are_those_of_the_labels_and_seeds_in_order(server, protocol):
    rng = np.random.default_rng(0)
    count = 2 * ROWS_PER_REQUEST + 3
    labels, seeds = rng.integers(0, 10, count), rng.integers(-(2**63), 2**63 - 1, count)
    images = ask(server, protocol).images(labels, seeds)
    np.testing.assert_array_equal(images, expected(labels, seeds))
    assert images.dtype == np.uint8
    assert server.requests == 3
    images = ask(server, protocol, version=3).images([7], [2])
    np.testing.assert_array_equal(images, expected([7], [2], channels=3))


def test_network_without_classes_takes_seeds_alone(tmp_path, protocol):
    tiny.Tiny(has_classes=False).save(tmp_path / "1")
    with Server(tmp_path, "plain") as server:
        client = ask(server, protocol, model="plain")
        np.testing.assert_array_equal(client.images(None, [4, 2]), expected([0, 0], [4, 2], 3))
        # Columns of JSON would leave the labels out of account, without a word.
        with pytest.raises(UsageError, match="labels"):
            client.images([3], [4])


def test_classes_are_asked_for_by_name(server, protocol):
    client = ask(server, protocol, version=3)
    assert client.class_names() == tiny.NAMES
    server.requests = 0
    images = client.images(["KA\u0308FER", 7, "black, white"], [0, 1, 2])
    np.testing.assert_array_equal(images, expected([3, 7, 2], [0, 1, 2], channels=3))
    assert server.requests == 2
    with pytest.raises(UsageError, match="expected names of classes: ant, .* Received: 'cat'"):
        client.images(["cat"], [0])
    with pytest.raises(UsageError, match='by name need a model .*"classes".* not found'):
        ask(server, protocol).images(["bee"], [0])


def test_rows_of_64_requests_at_a_time_come_back_in_order(server, protocol):
    client = ask(server, protocol)
    batches = server.versions[20].batch_sizes
    del batches[:]

    def one(i):
        labels, seeds = [i % 10, (i + 3) % 10, i // 10], [i, i + 1, i + 2]
        return client.images(labels, seeds), expected(labels, seeds)

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        for images, right in pool.map(one, range(64)):
            np.testing.assert_array_equal(images, right)
    assert sum(batches) == 3 * 64
    assert len(batches) < 64  # The server did run requests of several clients together.


def test_answers_of_more_than_4_mb_come_through(server, protocol):
    server.change_files = lambda files: [file + bytes(2**20) for file in files]
    seeds = range(ROWS_PER_REQUEST)
    images = ask(server, protocol).images([1] * ROWS_PER_REQUEST, seeds)
    np.testing.assert_array_equal(images, expected([1] * ROWS_PER_REQUEST, seeds))


def test_status_and_metadata_are_the_same_over_both_protocols(server, protocol):
    client = ask(server, protocol)
    version = {"state": "AVAILABLE", "error": ""}
    assert client.status() == [{"version": 20} | version, {"version": 3} | version]
    assert ask(server, protocol, version=3).status() == [{"version": 3} | version]
    found = client.metadata()
    assert {name: sorted(each["inputs"]) for name, each in found.items()} == SIGNATURES
    assert found["png"] == {
        "inputs": {"labels": ("int64", [None]), "seeds": ("int64", [None])},
        "outputs": {"image_bytes": ("string", [None])},
    }
    assert found["latents"]["inputs"]["latents"] == ("float32", [None, tiny.Z_DIM])
    assert found["serving_default"]["outputs"]["images"] == ("uint8", [None, 4, 4, 1])
    found = ask(server, protocol, version=3).metadata()
    assert found["serving_default"]["outputs"]["images"] == ("uint8", [None, 4, 4, 3])


@pytest.mark.slow_except("rest")
def test_slow_server_meets_the_deadline(server, protocol):
    server.delay = 600
    begun = time.monotonic()
    with pytest.raises(RunError, match="before the deadline"):
        ask(server, protocol, timeout=2).images([1], [1])
    assert time.monotonic() - begun < 300
    assert server.requests == 1  # What is late is not asked again.


@pytest.mark.parametrize(("pieces", "pause"), [(200, 0.3), (10**9, 0)])
def test_deadline_holds_for_answers_in_pieces(pieces, pause):
    """Of a server that says no more after a while, and of one that does not stop."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):

        def trickle():
            connection, _ = listener.accept()
            with connection:
                connection.recv(2**16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                for _ in range(pieces):
                    connection.sendall(b" ")
                    time.sleep(pause)
                connection.recv(1)  # Until the other end hangs up.

        sending = pool.submit(trickle)
        begun = time.monotonic()
        with pytest.raises(RunError, match="before the deadline"):
            Client(f"127.0.0.1:{listener.getsockname()[1]}", timeout=1).images([1], [1])
        assert time.monotonic() - begun < 30  # Pieces come for a minute, or without end.
        assert isinstance(sending.exception(), OSError | None)


def test_unavailable_server_is_asked_again_ever_later(server, protocol, monkeypatch):
    pauses = []
    monkeypatch.setattr(client_module.time, "sleep", pauses.append)
    monkeypatch.setattr(client_module.random, "uniform", lambda least, most: most)
    server.unavailable = 3
    client = ask(server, protocol, retries=3)
    np.testing.assert_array_equal(client.images([1], [1]), expected([1], [1]))
    assert server.requests == 4
    # The server's own pauses are shorter.
    assert [pause for pause in pauses if pause > 0.1] == [0.2, 0.4, 0.8]
    server.unavailable, server.requests = 5, 0
    with pytest.raises(RunError, match=r"queue is full \(tries: 4\)"):
        client.images([1], [1])
    assert server.requests == 4


class Clock:
    """In place of `time`: only pauses take any."""

    def __init__(self):
        self.pauses = []

    def monotonic(self):
        return sum(self.pauses)

    def sleep(self, seconds):
        self.pauses.append(seconds)


def test_no_retry_goes_beyond_the_deadline(server, protocol, monkeypatch):
    monkeypatch.setattr(client_module.random, "uniform", lambda least, most: most)
    clock = Clock()
    monkeypatch.setattr(client_module, "time", clock)
    server.unavailable = 100
    with pytest.raises(RunError, match="queue is full"):
        ask(server, protocol, retries=99, timeout=100).images([1], [1])
    # 51 seconds have passed, so that there is no time for another pause of 51.2.
    assert clock.pauses == pytest.approx([0.2 * 2**i for i in range(8)])
    assert server.requests == 9


@pytest.mark.parametrize("after", [0, 200])
def test_dropped_connection_is_tried_again(server, protocol, after):
    # The headers of a REST answer take some 150 bytes.
    count = 1 if protocol == "grpc" else 2
    with Dropping(getattr(server, protocol), count, after) as way:
        client = Client(way.address, protocol=protocol, retries=2)
        server.change_files = lambda files: [file + bytes(1000) for file in files]
        np.testing.assert_array_equal(client.images([4], [5]), expected([4], [5]))
        assert way.dropped == count
    with Dropping(getattr(server, protocol), 100, after) as way:
        client = Client(way.address, protocol=protocol, retries=1)
        with pytest.raises(RunError, match=r"expected an answer\. Received: .*tries: 2"):
            client.images([4], [5])


def test_refused_connection_is_tried_again_and_named(protocol):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(RunError, match=f"server={address}.*efused.*tries: 2"):
        Client(address, protocol=protocol, retries=1).images([1], [1])


def test_server_that_comes_up_is_reached_at_the_next_try(server, protocol, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setattr(client_module, "BACKOFF", 0.1)
    client = Client(f"127.0.0.1:{port}", protocol=protocol, retries=1)
    ask_once = client.transport.request_status
    with contextlib.ExitStack() as stack:

        def request_status(*arguments, **options):
            try:
                return ask_once(*arguments, **options)
            except Unavailable:
                way = Dropping(getattr(server, protocol), count=0, port=port)
                stack.enter_context(way)
                raise

        monkeypatch.setattr(client.transport, "request_status", request_status)
        assert len(client.status()) == 2


def test_failed_connection_of_another_thread_is_not_shared(server):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failed = threading.Event()

    def notice(state):
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            failed.set()

    address = f"127.0.0.1:{port}"
    with grpc.insecure_channel(address, over_grpc.OPTIONS) as other:
        other.subscribe(notice, try_to_connect=True)
        assert failed.wait(10)
        with Dropping(server.grpc, count=0, port=port):
            assert len(Client(address, protocol="grpc", retries=0).status()) == 2


def questions(client):
    return [client.status, client.metadata, lambda: client.images([1], [1])]


def test_wrong_model_and_version_are_named(server, protocol):
    for options, part in (({"model": "a/b: c"}, "a/b: c"), ({"version": 7}, "version=7.*7")):
        for question in questions(ask(server, protocol, **options)):
            with pytest.raises(UsageError, match=f"expected a model that the server has.*{part}"):
                question()


def test_wrong_signature_has_the_text_of_the_server(server, protocol, monkeypatch):
    client = ask(server, protocol)
    monkeypatch.delitem(server.versions[20].signatures, "png")
    with pytest.raises(UsageError, match='"png".* not found'):
        client.images([1], [1])


def test_signature_with_another_output_is_an_error(server, protocol, monkeypatch):
    signatures = server.versions[20].signatures
    monkeypatch.setitem(signatures, "png", signatures["serving_default"])
    with pytest.raises(RunError, match="expected image_bytes.*Received: server=.*images|255"):
        ask(server, protocol).images([1], [1])


def test_label_outside_the_classes_has_the_text_of_the_server(server, protocol):
    for label in (-1, 10):
        with pytest.raises(UsageError, match=r"takes\. Received: .*labels must be in 0\.\.\.9"):
            ask(server, protocol).images([3, label], [0, 0])


def test_answer_that_is_no_image_is_an_error(server, protocol):
    client = ask(server, protocol)
    header = b"\x89PNG\r\n\x1a\n" + bytes(30)
    for change in (
        lambda files: [b"GIF89a" for _ in files],
        lambda files: [file[:-20] for file in files],
        lambda files: [header for _ in files],
    ):
        server.change_files = change
        with pytest.raises(RunError, match="expected PNG files. Received: server="):
            client.images([1], [1])
    server.change_files = lambda files: [png("RGBA", 4)]
    with pytest.raises(RunError, match="expected gray or RGB images. Received: .*RGBA"):
        client.images([1], [1])
    server.change_files = lambda files: [png("1", 5000)]
    with pytest.raises(RunError, match="at most 16,777,216 pixels. Received: .*5000 x 5000"):
        client.images([1], [1])
    server.change_files = lambda files: [png("L", 4), png("L", 8)]
    with pytest.raises(RunError, match="expected images of one shape"):
        client.images([1, 2], [1, 2])
    server.change_files = lambda files: files[:-1]
    with pytest.raises(RunError, match="expected 2 images. Received: .*: 1"):
        client.images([1, 2], [1, 2])


def png(mode, size):
    file = io.BytesIO()
    Image.new(mode, (size, size)).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize("text", ["<html>", "[]", "{}", '{"predictions": ["a"]}', "null"])
def test_rest_answer_that_is_no_answer_is_an_error(server, text):
    server.change_text = lambda _: text
    for question in questions(ask(server, "rest")):
        with pytest.raises(RunError, match="Received: server="):
            question()


def test_each_protocol_says_so_at_the_port_of_the_other(server):
    for protocol, address, part in (
        ("rest", server.grpc, "no HTTP.*is it the port of gRPC"),
        ("grpc", server.rest, "Failed parsing HTTP/2"),
    ):
        with pytest.raises(RunError, match=part) as caught:
            Client(address, protocol=protocol, retries=0).images([1], [1])
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"server": "localhost"}, "expected HOST:PORT, e.g. localhost:8501"),
        ({"server": "localhost:0"}, "expected HOST:PORT"),
        ({"server": "http://localhost:8501/"}, "expected HOST:PORT"),
        ({"server": "a..b:8501"}, "expected HOST:PORT"),
        ({"server": "a b:8501"}, "expected HOST:PORT"),
        ({"server": f"{'a' * 64}:8501"}, "expected HOST:PORT"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"retries": -1}, "retries=-1"),
        ({"protocol": "soap"}, "expected rest or grpc. Received: protocol=soap"),
    ],
)
def test_impossible_arguments_are_named(options, part):
    with pytest.raises(UsageError, match=part):
        Client(**{"server": "localhost:8501"} | options)


@pytest.mark.parametrize(
    ("labels", "seeds", "part"),
    [
        ([1], [1, 2], "of the same length"),
        ([], [], "at least one seed"),
        (None, [], "at least one seed"),
        ([1.5], [1], "64-bit integers"),
        ([1], [2**63], "64-bit integers"),
    ],
)
def test_rows_that_cannot_be_are_not_sent(server, labels, seeds, part):
    with pytest.raises(UsageError, match=part):
        ask(server, "rest").images(labels, seeds)
    assert server.requests == 0


def run(*flags, before=""):
    """The command in a process of its own: exit code, standard output, standard error."""
    code = f"{before}\nimport runpy; runpy.run_module('keras_sagan.client', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *flags],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


@pytest.mark.slow_except("rest")
def test_command_draws_a_row_a_label_and_a_column_a_seed(server, tmp_path, protocol):
    output = tmp_path / "new" / "grid.png"
    address = f"--server={getattr(server, protocol)}"
    # With REST TensorFlow must not be there to be imported.
    before = "import sys; sys.modules['tensorflow'] = None" if protocol == "rest" else ""
    more = ["--labels=3,Bee", "--seeds=0,1,5", f"--output={output}", f"--protocol={protocol}"]
    code, out, err = run(address, *more, "--version=3", before=before)
    assert (code, out) == (0, f"6 images, one row for each of the labels [3, 1]: {output}\n"), err
    picture = np.asarray(Image.open(output))[::16, ::16]
    assert picture.shape == (2 * 5 - 1, 3 * 5 - 1, 3)
    for row, column in itertools.product(range(2), range(3)):
        place = picture[5 * row : 5 * row + 4, 5 * column : 5 * column + 4]
        np.testing.assert_array_equal(place, tiny.image([3, 1][row], [0, 1, 5][column]))


def test_command_prints_status_and_metadata(server):
    address = f"--server={server.rest}"
    assert run(address, "--status")[:2] == (0, "version 20: AVAILABLE\nversion 3: AVAILABLE\n")
    code, out, _ = run(address, "--metadata")
    assert code == 0
    line = "png: labels int64 [None], seeds int64 [None] -> image_bytes string [None]"
    assert line in out.splitlines()


def test_command_says_in_one_line_what_is_wrong(server, tmp_path):
    address = f"--server={server.rest}"
    file = tmp_path / "file"
    file.write_text("")
    server.delay = 0.5
    for flags, exit_code, part in (
        ([], 2, "--server is required"),
        ([address, "--labels=10"], 2, "labels must be in 0...9"),
        ([address, "--labels=a"], 2, "README.md of the export lists the labels: "),
        ([address, "--labels=a", "--version=3"], 2, "or names of classes: ant, bee, "),
        ([address, "--labels="], 2, "--labels must be numbers in "),
        ([address, "--seeds="], 2, "--seeds must be whole numbers"),
        ([address], 2, "keys must be equal to: labels,seeds"),
        ([address, "--model=other", "--status"], 2, "Could not find any versions of model other"),
        ([address, "--labels=1", "--timeout=0.1"], 1, "before the deadline"),
        ([address, "--labels=1", f"--output={file / 'a.png'}"], 1, "cannot be written"),
        ([address, "--status", "--metadata"], 2, "exclude each other"),
    ):
        code, out, err = run(*flags)
        assert (code, out) == (exit_code, ""), err
        assert err.count("\n") == 1, err
        assert part in err


def test_grpc_without_its_packages_names_the_extra():
    before = "import sys; sys.modules['tensorflow_serving'] = None"
    code, _, err = run("--server=localhost:8500", "--protocol=grpc", before=before)
    assert (code, err.count("\n")) == (2, 1)
    assert "pip install '.[serving]'" in err
