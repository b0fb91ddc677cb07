"""Variables of our networks by their names in the released TensorFlow 1 code: the one mapping.

Source of the names: brain-research/self-attention-gan at ad9612e, generator.py, discriminator.py,
non_local.py and ops.py.
"""


def generator_variables(network):
    """Name in the released code to variable, of a `sagan` generator."""
    blocks = [layer for layer in network.stack if layer.name.startswith("block_")]
    dense = network.get_layer("input_dense")
    named = {
        "g_snh0/Matrix": dense.kernel,
        "g_snh0/u": dense.vector_u,
        "g_snh0/bias": dense.bias,
    }
    for number, block in enumerate(blocks, start=1):
        scope = f"g_block{number}"
        for i, norm in enumerate((block.norm_1, block.norm_2)):
            named |= {
                f"{scope}/cbn_{i}/gamma": norm.scale,
                f"{scope}/cbn_{i}/beta": norm.offset,
                f"{scope}/cbn_{i}/mean": norm.moving_mean,
                f"{scope}/cbn_{i}/var": norm.moving_variance,
            }
        named |= convolutions(scope, "snconv", block)
    named |= attention_variables("g_non_local", network)
    norm = network.get_layer("output_norm")
    return named | {
        "g_bn/gamma": norm.scale,
        "g_bn/beta": norm.offset,
        "g_bn/moving_mean": norm.moving_mean,
        "g_bn/moving_variance": norm.moving_variance,
        **convolution("g_snconv_last", network.get_layer("output_conv")),
    }


def discriminator_variables(network):
    """Name in the released code to variable, of a `sagan` discriminator."""
    blocks = [layer for layer in network.stack if "block_" in layer.name]
    named = {}
    for number, block in enumerate(blocks, start=1):
        scope = "d_optimized_block1" if number == 1 else f"d_block{number}"
        named |= convolutions(scope, "sn_conv", block)
    named |= attention_variables("d_non_local", network)
    head = network.get_layer("logits")
    return named | {
        "d_sn_linear/Matrix": head.dense.kernel,
        "d_sn_linear/u": head.dense.vector_u,
        "d_sn_linear/bias": head.dense.bias,
        "d_embedding/embedding_map": head.embedding.kernel,
        "d_embedding/u": head.embedding.vector_u,
    }


def attention_variables(scope, network):
    layers = [layer for layer in network.stack if layer.name.startswith("attention_")]
    named = {}
    for layer in layers:
        named[f"{scope}/sigma_ratio"] = layer.gamma
        for name, part in (
            ("theta", layer.query),
            ("phi", layer.key),
            ("g", layer.value),
            ("attn", layer.output_projection),
        ):
            named |= convolution(f"{scope}/sn_conv_{name}", part)
    return named


def convolutions(scope, name, block):
    layers = {"1": block.conv_1, "2": block.conv_2, "3": block.shortcut}
    named = {}
    for number, layer in layers.items():
        if layer is not None:
            named |= convolution(f"{scope}/{name}{number}", layer)
    return named


def convolution(scope, layer):
    named = {f"{scope}/w": layer.kernel, f"{scope}/u": layer.vector_u}
    return named | ({f"{scope}/biases": layer.bias} if layer.use_bias else {})
