"""The gRPC side of the stand-in for TensorFlow Serving."""

import grpc
import tensorflow as tf
from session import Failed
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2


class Service:
    """Both services of gRPC."""

    def __init__(self, server):
        self.server = server

    def Predict(self, request, context):
        return self.answer(self.predict, request, context)

    def GetModelStatus(self, request, context):
        return self.answer(
            lambda request: self.server.status(*asked(request.model_spec)), request, context
        )

    def GetModelMetadata(self, request, context):
        return self.answer(self.metadata, request, context)

    def answer(self, function, request, context):
        try:
            self.server.arrive()
            return function(request)
        except Failed as failed:
            context.abort(grpc.StatusCode[failed.code], failed.text)

    def predict(self, request):
        number, version = self.server.find(*asked(request.model_spec))
        name = request.model_spec.signature_name or "serving_default"
        if name not in version.signatures:
            raise Failed("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        inputs = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        outputs = self.server.predict(version, name, inputs)
        answer = predict_pb2.PredictResponse()
        answer.model_spec.name, answer.model_spec.signature_name = self.server.model, name
        answer.model_spec.version.value = number
        for key in outputs:
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
        return answer

    def metadata(self, request):
        number, signatures = self.server.signatures(*asked(request.model_spec))
        if list(request.metadata_field) != ["signature_def"]:
            text = "GetModelMetadataRequest must specify at least one metadata_field"
            raise Failed("INVALID_ARGUMENT", text)
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name, answer.model_spec.version.value = self.server.model, number
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def __getattr__(self, name):
        """Methods of the services that are not here, which a service must have."""
        if name[:1].isupper():
            return lambda request, context: context.abort(grpc.StatusCode.UNIMPLEMENTED, name)
        raise AttributeError(name)


def asked(model_spec):
    has_version = model_spec.WhichOneof("version_choice") == "version"
    return model_spec.name, model_spec.version.value if has_version else None
