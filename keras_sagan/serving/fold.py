"""The generator that is served: spectral normalization folded into its kernels."""

import dataclasses

from keras_sagan import networks
from keras_sagan.layers.spectral import SpectralLayer


def fold(config, generator):
    """A generator of the same images whose kernels are divided by their sigma once and for all.

    Args:
        config: `Config` of `generator`.
        generator: network. It stays as it is.
    """
    values = {variable.path: variable.value for variable in generator.variables}
    for layer in generator._flatten_layers():
        if isinstance(layer, SpectralLayer):
            values[layer.kernel.path] = layer.normalized_kernel()
    folded = networks.generator(dataclasses.replace(config, g_spectral_norm=False))
    for variable in folded.variables:
        variable.assign(values[variable.path])
    return folded
