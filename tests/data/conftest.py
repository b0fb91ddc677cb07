"""A fixture for tests of image sets that need no decoding processes."""

from concurrent.futures import Future

import pytest

from keras_sagan.data import write
from keras_sagan.data.decode_process import decode_or_explain, open_archive


class InProcess:
    """Decoders without processes."""

    def __init__(self, preprocessing):
        self.preprocessing = preprocessing

    def submit(self, _, payload):
        result = Future()
        result.set_result(decode_or_explain(payload, self.preprocessing))
        return result

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if open_archive.cache_info().currsize:
            open_archive.cache_clear()


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setattr(write, "Decoders", InProcess)
