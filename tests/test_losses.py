"""Losses against NumPy, at logits inside and outside the margin."""

import numpy as np
import pytest

from keras_sagan.losses import LOSSES

REAL = np.array([-2.0, 0.5, 3.0], "float32")
FAKE = np.array([-3.0, 0.25, 2.0], "float32")


def softplus(values):
    return np.log1p(np.exp(values))


@pytest.mark.parametrize(
    ("name", "d_expected", "g_expected"),
    [
        ("hinge", (3 + 0.5 + 0) / 3 + (0 + 1.25 + 3) / 3, -FAKE.mean()),
        (
            "non_saturating",
            softplus(-REAL).mean() + softplus(FAKE).mean(),
            softplus(-FAKE).mean(),
        ),
    ],
)
def test_values(name, d_expected, g_expected):
    d_loss, g_loss = LOSSES[name]
    np.testing.assert_allclose(d_loss(REAL, FAKE), d_expected, rtol=1e-6)
    np.testing.assert_allclose(g_loss(FAKE), g_expected, rtol=1e-6)
