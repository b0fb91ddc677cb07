"""Questions to TensorFlow Serving over gRPC; arguments, answers and errors as of `over_rest`."""

import grpc
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_sagan.errors import RunError
from keras_sagan.serving.failures import failure

OPTIONS = (
    # Images of one answer may need more than the usual 4 MB.
    ("grpc.max_receive_message_length", -1),
    # A connection that another thread shares would, once it has failed, not be tried again for a
    # second or more, while the server may be back.
    ("grpc.use_local_subchannel_pool", 1),
)


def predict(target, signature, output, rows, seconds):
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    shape = {"dim": [{"size": len(rows)}]}
    request = {
        "model_spec": model_spec(target) | {"signature_name": signature},
        "inputs": {
            name: {"dtype": "DT_INT64", "tensor_shape": shape, "int64_val": values}
            for name, values in columns.items()
        },
    }
    request = json_format.ParseDict(request, predict_pb2.PredictRequest())
    service = prediction_service_pb2_grpc.PredictionServiceStub
    answer = call(target, service, "Predict", request, seconds)
    if output not in answer.outputs:
        raise RunError(f"expected {output}. Received: {target}: {', '.join(answer.outputs)}")
    return list(answer.outputs[output].string_val)


def status(target, seconds):
    request = {"model_spec": model_spec(target)}
    request = json_format.ParseDict(request, get_model_status_pb2.GetModelStatusRequest())
    service = model_service_pb2_grpc.ModelServiceStub
    return as_dict(call(target, service, "GetModelStatus", request, seconds))


def metadata(target, seconds):
    request = {"model_spec": model_spec(target), "metadata_field": ["signature_def"]}
    request = json_format.ParseDict(request, get_model_metadata_pb2.GetModelMetadataRequest())
    service = prediction_service_pb2_grpc.PredictionServiceStub
    answer = call(target, service, "GetModelMetadata", request, seconds)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)
    return as_dict(signatures)


def model_spec(target):
    version = {} if target.version is None else {"version": target.version}
    return {"name": target.model} | version


def as_dict(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def call(target, service, method, request, seconds):
    """What `method` of `service`, a class of stubs, answers."""
    with grpc.insecure_channel(target.server, OPTIONS) as channel:
        try:
            return getattr(service(channel), method)(request, timeout=seconds)
        except grpc.RpcError as error:
            raise failure(target, error.code().name, error.details()) from error
