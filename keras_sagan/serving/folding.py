"""The generator that is served: spectral normalization folded into its kernels."""

from keras_sagan.layers.spectral import SpectralLayer
from keras_sagan.networks.network import Network


def fold_spectral_norm(generator: Network) -> Network:
    """Makes a generator of the same images whose kernels are already divided by their sigma.

    The given one is not changed.
    """
    values = {variable.path: variable.value for variable in generator.variables}
    for layer in generator._flatten_layers():
        if isinstance(layer, SpectralLayer):
            values[layer.kernel.path] = layer.normalized_kernel()
    config = generator.get_config()
    for layer in config["stack"]:
        if "normalize" in layer["config"]:
            layer["config"]["normalize"] = False
        # Built as a layer of its own, it would have other names for its weights.
        layer.pop("build_config", None)
    folded = Network.from_config(config)
    for variable in folded.variables:
        variable.assign(values[variable.path])
    return folded
