"""A SavedModel as TensorFlow Serving runs it: in a Session, by the names of its signatures."""

import concurrent.futures
import queue
import threading
import time

import numpy as np
import tensorflow as tf


class Failed(Exception):
    """A status that is not OK."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


class Version:
    """One version folder, in a Session; requests that wait together are run as one."""

    def __init__(self, path):
        self.graph, self.waiting = tf.Graph(), queue.Queue()
        self.session = tf.compat.v1.Session(graph=self.graph)
        with self.graph.as_default():
            meta = tf.compat.v1.saved_model.loader.load(self.session, ["serve"], str(path))
        self.signatures = dict(meta.signature_def)
        self.batch_sizes = []
        threading.Thread(target=self.work, daemon=True).start()

    def predict(self, name, inputs):
        """Outputs by name, for arrays by name."""
        signature = self.signatures[name]
        missing, extra = set(signature.inputs) - set(inputs), set(inputs) - set(signature.inputs)
        if missing or extra:
            raise Failed(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(inputs)}!={len(signature.inputs)}. "
                f"Sent extra: {{{','.join(extra)}}}. "
                f"Missing but required: {{{','.join(missing)}}}.",
            )
        future = concurrent.futures.Future()
        self.waiting.put((name, inputs, future))
        return future.result()

    def work(self):
        while True:
            together = [self.waiting.get()]
            time.sleep(0.005)
            while not self.waiting.empty():
                together.append(self.waiting.get())
            for name in {name for name, _, _ in together}:
                self.run(name, [each[1:] for each in together if each[0] == name])

    def run(self, name, requests):
        signature = self.signatures[name]
        feeds = {
            info.name: np.concatenate([inputs[key] for inputs, _ in requests])
            for key, info in signature.inputs.items()
        }
        counts = [len(next(iter(inputs.values()))) for inputs, _ in requests]
        self.batch_sizes.append(sum(counts))
        fetches = {key: info.name for key, info in signature.outputs.items()}
        try:
            outputs = self.session.run(fetches, feeds)
        except tf.errors.OpError as error:
            for _, future in requests:
                future.set_exception(Failed("INVALID_ARGUMENT", error.message))
            return
        ends = np.cumsum(counts)
        for (_, future), start, end in zip(requests, ends - counts, ends, strict=True):
            future.set_result({key: value[start:end] for key, value in outputs.items()})
