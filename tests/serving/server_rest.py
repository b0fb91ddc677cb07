"""The REST side of the stand-in for TensorFlow Serving."""

import base64
import contextlib
import http.server
import json
import re
import urllib.parse

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from session import Failed

PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(?:(:predict)|/(metadata))?")
CODES = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503}


class HTTPServer(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # The test has 64 connections at a time; the default is 5.


def handler(server):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer()

        def do_POST(self):
            self.answer()

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                server.arrive()
                code, text = 200, rest(server, self.command, self.path, body)
            except Failed as failed:
                code, text = CODES[failed.code], json.dumps({"error": failed.text})
            data = server.change_text(text).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            with contextlib.suppress(ConnectionError):  # The client may not have waited.
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


def rest(server, method, path, body):
    """The JSON text of an answer."""
    found = PATH.fullmatch(path)
    if not found or bool(found[3]) != (method == "POST"):
        raise Failed("INVALID_ARGUMENT", f"Malformed request: {method} {path}")
    model, version = urllib.parse.unquote(found[1]), int(found[2]) if found[2] else None
    if found[3]:
        return rest_predict(server, server.find(model, version)[1], json.loads(body))
    names = {"always_print_fields_with_no_presence": True}
    if not found[4]:
        return json_format.MessageToJson(server.status(model, version), **names)
    number, signatures = server.signatures(model, version)
    signatures = json_format.MessageToDict(signatures, preserving_proto_field_name=True, **names)
    spec = {"name": model, "signature_name": "", "version": str(number)}
    return json.dumps({"model_spec": spec, "metadata": {"signature_def": signatures}})


def rest_predict(server, version, request):
    name = request.get("signature_name") or "serving_default"
    if name not in version.signatures:
        text = f'Serving signature name: "{name}" not found in signature def'
        raise Failed("INVALID_ARGUMENT", text)
    infos = version.signatures[name].inputs
    if "instances" in request:
        inputs = inputs_of_rows(request["instances"], infos)
    else:
        inputs = request["inputs"]
        inputs = inputs if isinstance(inputs, dict) else dict.fromkeys(infos, inputs)
        for key in set(infos) - set(inputs):
            text = f"Missing named input: {key} in 'inputs' object."
            raise Failed("INVALID_ARGUMENT", text)
    arrays = {
        key: np.asarray(inputs[key], tf.dtypes.as_dtype(info.dtype).as_numpy_dtype)
        for key, info in infos.items()
    }
    outputs = server.predict(version, name, arrays)
    columns = {key: plain(key, value) for key, value in outputs.items()}
    single = next(iter(columns.values())) if len(columns) == 1 else None
    if "instances" not in request:
        return json.dumps({"outputs": columns if single is None else single})
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"predictions": rows if single is None else single})


def inputs_of_rows(rows, infos):
    if not isinstance(rows[0], dict):
        if len(infos) > 1:
            raise Failed(
                "INVALID_ARGUMENT",
                "instances is a plain list, but expecting list of objects as multiple input "
                "tensors required as per tensorinfo_map",
            )
        return dict.fromkeys(infos, rows)
    for number, row in enumerate(rows):
        if set(row) != set(infos):
            raise Failed(
                "INVALID_ARGUMENT",
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{json.dumps(row, indent=4)} keys must be equal to: {','.join(sorted(infos))}",
            )
    return {key: [row[key] for row in rows] for key in infos}


def plain(name, values):
    """An output as JSON has it: strings as base64 where the name says that they are bytes."""
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(value).decode()} for value in values]
    if values.dtype == object:
        return [[text.decode() for text in row] for row in values]
    return values.tolist()
