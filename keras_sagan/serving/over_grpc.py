"""Requests to TensorFlow Serving over gRPC, with the arguments and errors of `over_rest`."""

from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_sagan.errors import RunError
from keras_sagan.serving.failures import Target, failure

OPTIONS = (
    # The images of one answer may exceed the default limit of 4 MB.
    ("grpc.max_receive_message_length", -1),
    # After a failure, gRPC does not retry a connection shared with other threads for a second or
    # more, although the server may be back.
    ("grpc.use_local_subchannel_pool", 1),
)


def request_strings(
    target: Target, signature: str, output: str, rows: list[dict[str, int]], seconds: float
) -> list[bytes]:
    tensor = {"dtype": "DT_INT64", "tensor_shape": {"dim": [{"size": len(rows)}]}}
    columns = {name: tensor | {"int64_val": [row[name] for row in rows]} for name in rows[0]}
    spec = model_spec(target) | {"signature_name": signature}
    request = {"model_spec": spec, "inputs": columns}
    request = json_format.ParseDict(request, predict_pb2.PredictRequest())
    service = prediction_service_pb2_grpc.PredictionServiceStub
    answer = request_answer(target, service, "Predict", request, seconds)
    if output not in answer.outputs:
        raise RunError(f"expected {output}. Received: {target}: {', '.join(answer.outputs)}")
    return list(answer.outputs[output].string_val)


def request_status(target: Target, seconds: float) -> dict[str, Any]:
    request = {"model_spec": model_spec(target)}
    request = json_format.ParseDict(request, get_model_status_pb2.GetModelStatusRequest())
    service = model_service_pb2_grpc.ModelServiceStub
    return as_dict(request_answer(target, service, "GetModelStatus", request, seconds))


def request_metadata(target: Target, seconds: float) -> dict[str, Any]:
    request = {"model_spec": model_spec(target), "metadata_field": ["signature_def"]}
    request = json_format.ParseDict(request, get_model_metadata_pb2.GetModelMetadataRequest())
    service = prediction_service_pb2_grpc.PredictionServiceStub
    answer = request_answer(target, service, "GetModelMetadata", request, seconds)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)
    return as_dict(signatures)


def model_spec(target: Target) -> dict[str, Any]:
    version = {} if target.version is None else {"version": target.version}
    return {"name": target.model} | version


def as_dict(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def request_answer(target: Target, service, method: str, request, seconds: float) -> Any:
    """The answer of `method` of `service`, a class of stubs."""
    with grpc.insecure_channel(target.server, OPTIONS) as channel:
        try:
            return getattr(service(channel), method)(request, timeout=seconds)
        except grpc.RpcError as error:
            raise failure(target, error.code().name, error.details()) from error
