"""A stand-in for TensorFlow Serving: its REST and gRPC contracts, over a Session.

Written from the server's sources (model_servers/http_rest_api_util.cc, http_server.cc,
util/json_tensor.cc, servables/tensorflow/predict_util.cc, get_model_status_impl.cc): paths, codes
and messages are theirs. Requests that wait together run together, as with --enable_batching. Not
here: classify and regress, version labels, and every check of a JSON document that our client
cannot fail.
"""

import concurrent.futures
import pathlib
import threading

import grpc
from server_grpc import Service
from server_rest import HTTPServer, handler
from session import Failed, Version
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)


class Server:
    """Serves a base folder of versions on two free ports of 127.0.0.1; a context manager.

    Attributes:
        rest, grpc: str, HOST:PORT.
        delay: seconds before an answer, or until `reset`.
        unavailable: int, so many next requests are answered with UNAVAILABLE.
        change_files, change_text: functions of PNG files, and of the text of a REST answer, which
            may spoil them.
        requests: int, those that came so far.
    """

    def __init__(self, base, model):
        self.model = model
        folders = [path for path in pathlib.Path(base).iterdir() if path.name.isdecimal()]
        self.versions = {int(path.name): Version(path) for path in folders}
        self.lock, self.is_reset = threading.Lock(), threading.Event()
        self.reset()
        self.http = HTTPServer(("127.0.0.1", 0), handler(self))
        self.rest = f"127.0.0.1:{self.http.server_port}"
        self.rpc = grpc.server(
            concurrent.futures.ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)]
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(self), self.rpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(Service(self), self.rpc)
        self.grpc = f"127.0.0.1:{self.rpc.add_insecure_port('127.0.0.1:0')}"

    def reset(self):
        """Takes all faults back."""
        self.is_reset.set()
        self.is_reset = threading.Event()
        self.delay, self.unavailable, self.requests = 0, 0, 0
        self.change_files = self.change_text = lambda value: value

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.rpc.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
        self.rpc.stop(0).wait()

    def arrive(self):
        """What happens to every request first."""
        with self.lock:
            self.requests += 1
            refuse = self.unavailable > 0
            self.unavailable -= refuse
        self.is_reset.wait(self.delay)
        if refuse:
            raise Failed("UNAVAILABLE", "The batch scheduling queue is full")

    def find(self, model, version):
        """Number and `Version`; `version` None: the newest."""
        wanted = max(self.versions) if version is None else version
        if model != self.model or wanted not in self.versions:
            asked = f"Latest({model})" if version is None else f"Specific({model}, {version})"
            raise Failed("NOT_FOUND", f"Servable not found for request: {asked}")
        return wanted, self.versions[wanted]

    def predict(self, version, signature, inputs):
        outputs = version.predict(signature, inputs)
        if "image_bytes" in outputs:
            outputs["image_bytes"] = self.change_files(list(outputs["image_bytes"]))
        return outputs

    def status(self, model, version):
        if model != self.model:
            raise Failed("NOT_FOUND", f"Could not find any versions of model {model}")
        if version is not None and version not in self.versions:
            raise Failed("NOT_FOUND", f"Could not find version {version} of model {model}")
        answer = get_model_status_pb2.GetModelStatusResponse()
        for number in sorted(self.versions, reverse=True) if version is None else [version]:
            each = answer.model_version_status.add(version=number, state="AVAILABLE")
            each.status.error_code = 0
        return answer

    def signatures(self, model, version):
        """Number of the version, and its SignatureDefMap."""
        number, found = self.find(model, version)
        answer = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in found.signatures.items():
            answer.signature_def[name].CopyFrom(signature)
        return number, answer
