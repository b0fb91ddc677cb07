"""Runs signatures through TensorFlow's C library: the loader of TensorFlow Serving, and no Python.

python run_c_api.py VERSION INPUTS.npz OUTPUTS.npz NAMES.json LIBRARIES

As `run_session.py`. NAMES.json has the tensors of each signature's inputs and outputs, LIBRARIES is
the folder of the installed tensorflow package. A check and not a client: it frees nothing.
"""

import ctypes
import json
import pathlib
import sys

import numpy as np

# DataType numbers of tensorflow/core/framework/types.proto.
NUMBERS = {"float32": 1, "uint8": 4, "int64": 9}
STRING, STRING_BYTES = 7, 24  # The second: size of a TF_TString.


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Library:
    """A SavedModel in a session of the C library."""

    def __init__(self, libraries, version):
        folder = pathlib.Path(libraries)
        ctypes.CDLL(folder / "libtensorflow_framework.so.2", mode=ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(folder / "libtensorflow_cc.so.2", mode=ctypes.RTLD_GLOBAL)
        self.status, self.graph = self.call("TF_NewStatus"), self.call("TF_NewGraph")
        tags, one = (ctypes.c_char_p * 1)(b"serve"), ctypes.c_int(1)
        options, path = self.call("TF_NewSessionOptions"), version.encode()
        arguments = (options, None, path, tags, one, self.graph, None, self.status)
        self.session = self.call("TF_LoadSessionFromSavedModel", *arguments)
        self.check()

    def call(self, name, *arguments, returns=ctypes.c_void_p):
        """Calls a C function. Python integers and None are passed as pointers."""
        function = getattr(self.library, name)
        function.restype = returns
        return function(
            *[ctypes.c_void_p(a) if isinstance(a, int | None) else a for a in arguments]
        )

    def check(self):
        if self.call("TF_GetCode", self.status, returns=ctypes.c_int):
            message = self.call("TF_Message", self.status, returns=ctypes.c_char_p)
            raise RuntimeError(message.decode())

    def output(self, tensor_name):
        name, index = tensor_name.split(":")
        operation = self.call("TF_GraphOperationByName", self.graph, name.encode())
        assert operation, f"no operation {name}"
        return Output(operation, int(index))

    def tensor(self, values):
        values = np.ascontiguousarray(values)
        kind, rank = (ctypes.c_int(n) for n in (NUMBERS[values.dtype.name], values.ndim))
        shape, size = (ctypes.c_int64 * values.ndim)(*values.shape), ctypes.c_size_t(values.nbytes)
        tensor = self.call("TF_AllocateTensor", kind, shape, rank, size)
        ctypes.memmove(self.call("TF_TensorData", tensor), values.ctypes.data, values.nbytes)
        return tensor

    def array(self, tensor):
        rank = self.call("TF_NumDims", tensor, returns=ctypes.c_int)
        shape = [
            self.call("TF_Dim", tensor, ctypes.c_int(i), returns=ctypes.c_int64)
            for i in range(rank)
        ]
        data = self.call("TF_TensorData", tensor)
        kind = self.call("TF_TensorType", tensor, returns=ctypes.c_int)
        if kind == STRING:
            starts = range(data, data + int(np.prod(shape)) * STRING_BYTES, STRING_BYTES)
            return np.array([self.string(start) for start in starts]).reshape(shape)
        dtype = np.dtype({number: name for name, number in NUMBERS.items()}[kind])
        size = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer(ctypes.string_at(data, size), dtype).reshape(shape)

    def string(self, start):
        size = self.call("TF_StringGetSize", start, returns=ctypes.c_size_t)
        return ctypes.string_at(self.call("TF_StringGetDataPointer", start), size)

    def run(self, signature, arrays):
        """The outputs of a signature, by name."""
        keys, count = list(signature["outputs"]), len(signature["outputs"])
        feeds = (Output * len(arrays))(*[self.output(signature["inputs"][key]) for key in arrays])
        values = (ctypes.c_void_p * len(arrays))(*[self.tensor(arrays[key]) for key in arrays])
        fetches = (Output * count)(*[self.output(signature["outputs"][key]) for key in keys])
        results, none = (ctypes.c_void_p * count)(), ctypes.c_int(0)
        fed, fetched = ctypes.c_int(len(arrays)), ctypes.c_int(count)
        arguments = (None, feeds, values, fed, fetches, results, fetched, None, none, None)
        self.call("TF_SessionRun", self.session, *arguments, self.status)
        self.check()
        return {key: self.array(result) for key, result in zip(keys, results, strict=True)}


def main(version, inputs, outputs, names, libraries):
    assert not {"keras_sagan", "keras", "tensorflow"} & set(sys.modules)
    asked, answers = {}, {}
    with np.load(inputs) as file:
        for name in file:
            case, signature, key = name.split("/")
            asked.setdefault((case, signature), {})[key] = file[name]
    signatures = json.loads(pathlib.Path(names).read_text())
    library = Library(libraries, version)
    for (case, name), arrays in asked.items():
        try:
            results = library.run(signatures[name], arrays)
        except RuntimeError as error:
            results = {"error": str(error)}
        answers |= {f"{case}/{name}/{key}": value for key, value in results.items()}
    np.savez(outputs, **answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
