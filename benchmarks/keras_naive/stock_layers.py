"""Layers and residual blocks of `keras_naive`, from stock parts of Keras."""

from keras import layers, ops


def spectral_normalized(layer):
    return layers.SpectralNormalization(layer, dtype=layer.dtype_policy)


def spectral_conv(inputs, filters, kernel_size=3):
    return spectral_normalized(layers.Conv2D(filters, kernel_size, padding="same"))(inputs)


class NaiveSelfAttention(layers.Layer):
    """The usual snippet, in the form of the released code: pooled keys and values, C / 2 wide.

    `wrap` is a function applied to each 1x1 convolution.
    """

    def __init__(self, wrap=spectral_normalized, **kwargs):
        super().__init__(**kwargs)
        self.wrap = wrap

    def build(self, input_shape):
        channels = input_shape[-1]
        widths = [max(channels // 8, 1)] * 2 + [max(channels // 2, 1), channels]
        self.query, self.key, self.value, self.output_projection = (
            self.wrap(layers.Conv2D(filters, 1, use_bias=False)) for filters in widths
        )
        self.pool = layers.MaxPooling2D()
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros")

    def call(self, inputs):
        _, height, width, channels = inputs.shape
        query = ops.reshape(self.query(inputs), (-1, height * width, max(channels // 8, 1)))
        keys = self.pool(self.key(inputs))
        keys = ops.reshape(keys, (-1, height * width // 4, max(channels // 8, 1)))
        values = self.pool(self.value(inputs))
        values = ops.reshape(values, (-1, height * width // 4, max(channels // 2, 1)))
        weights = ops.softmax(ops.matmul(query, ops.transpose(keys, (0, 2, 1))))
        attended = ops.reshape(ops.matmul(weights, values), (-1, height, width, values.shape[-1]))
        return inputs + self.gamma * self.output_projection(attended)


def batch_norm(inputs, labels, num_classes, momentum):
    """Batch normalization; with classes, scale and offset depend on the class."""
    conditional = labels is not None
    norm = layers.BatchNormalization(
        momentum=momentum, epsilon=1e-5, center=not conditional, scale=not conditional
    )
    outputs = norm(inputs)
    if not conditional:
        return outputs

    def table(initializer):
        return layers.Embedding(num_classes, channels, embeddings_initializer=initializer)(labels)

    channels = inputs.shape[-1]
    scale, offset = (layers.Reshape((1, 1, channels))(table(name)) for name in ("ones", "zeros"))
    return outputs * scale + offset


def generator_block(inputs, labels, filters, num_classes, momentum):
    outputs = layers.ReLU()(batch_norm(inputs, labels, num_classes, momentum))
    outputs = spectral_conv(layers.UpSampling2D()(outputs), filters)
    outputs = layers.ReLU()(batch_norm(outputs, labels, num_classes, momentum))
    shortcut = spectral_conv(layers.UpSampling2D()(inputs), filters, 1)
    return spectral_conv(outputs, filters) + shortcut


def discriminator_block(inputs, filters, downsample=True, first=False):
    pool = layers.AveragePooling2D(2) if downsample else layers.Identity()
    outputs = spectral_conv(inputs if first else layers.ReLU()(inputs), filters)
    outputs = pool(spectral_conv(layers.ReLU()(outputs), filters))
    if not downsample and inputs.shape[-1] == filters:
        return outputs + inputs
    if first:
        return outputs + spectral_conv(pool(inputs), filters, 1)
    return outputs + pool(spectral_conv(inputs, filters, 1))


def attend_if_listed(features, resolution, attention):
    if resolution not in attention:
        return features
    return NaiveSelfAttention(name=f"attention_{resolution}")(features)


def width_multiplier(image_size, halvings):
    return 1 if image_size <= 32 else min(2**halvings, 16)
