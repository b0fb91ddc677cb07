"""Small stand-ins for the Inception network, with the real one's names and operations."""

import tarfile

import keras
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
FEATURES, CLASSES = 6, 5
RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(5, 5, 3, FEATURES)).astype(np.float32) / 8
MEAN, BETA, GAMMA = RNG.normal(size=(3, FEATURES)).astype(np.float32)
VARIANCE = RNG.uniform(0.5, 2, FEATURES).astype(np.float32)
HEAD = RNG.normal(size=(FEATURES, CLASSES)).astype(np.float32)


def frozen_graph(scale_after=True, without=()):
    """A GraphDef as of 2015: JPEG decoding, resizing, scaling, the removed operation, a head.

    Args:
        scale_after: bool, attribute of the normalization.
        without: names of nodes to leave out.
    """
    with tf.Graph().as_default() as graph:
        content = tf.constant(b"", name="DecodeJpeg/contents")
        decoded = tf.cast(tf.io.decode_jpeg(content, channels=3), tf.float32, name="Cast")
        pixels = tf.expand_dims(decoded, 0, name="ExpandDims")
        resized = tf.raw_ops.ResizeBilinear(images=pixels, size=[299, 299], name="ResizeBilinear")
        scaled = tf.multiply(tf.subtract(resized, 128.0, name="Sub"), 0.0078125, name="Mul")
        conv = tf.nn.conv2d(scaled, tf.constant(KERNEL), 4, "VALID", name="conv/Conv2D")
        for name, value in (("mean", MEAN), ("variance", VARIANCE)):
            tf.identity(tf.constant(value), name=f"conv/{name}")
        for name, value in (("beta", BETA), ("gamma", GAMMA)):
            tf.constant(value, name=f"conv/{name}")
        relu = tf.nn.relu(tf.identity(conv, name="conv/batchnorm"), name="conv")
        pool = tf.reduce_mean(relu, [1, 2], keepdims=True, name="pool_3")
        tf.reshape(pool, [1, FEATURES], name="pool_3/_reshape")
        tf.constant(HEAD, name="softmax/weights")
    definition = graph.as_graph_def()
    for node in list(definition.node):
        if node.name == "conv/batchnorm":
            node.op = "BatchNormWithGlobalNormalization"
            node.input.extend(f"conv/{name}" for name in ("mean", "variance", "beta", "gamma"))
            node.attr["variance_epsilon"].f = 0.001
            node.attr["scale_after_normalization"].b = scale_after
        if node.name in without:
            definition.node.remove(node)
    definition.versions.producer = 8  # The operation left with 9.
    return definition


def expected(scaled, scale_after=True):
    """What the network makes of scaled images `[n, h, w, 3]`, in NumPy."""
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (5, 5), axis=(1, 2))[:, ::4, ::4]
    conv = np.einsum("nhwcij,ijcf->nhwf", windows.astype(np.float64), KERNEL)
    factor = (GAMMA if scale_after else 1) / np.sqrt(VARIANCE + 0.001)
    features = np.maximum((conv - MEAN) * factor + BETA, 0).mean(axis=(1, 2))
    return features, features @ HEAD


def write_frozen(path):
    path.write_bytes(frozen_graph().SerializeToString())


def write_archive(path):
    frozen = path.with_name("classify_image_graph_def.pb")
    write_frozen(frozen)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(frozen, frozen.name)


def write_saved_model(path):
    """As TF-GAN's module: called on images in [-1, 1], features not flat."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def call(images):
        conv = tf.nn.conv2d(images, KERNEL, 4, "VALID")
        factor = GAMMA / np.sqrt(VARIANCE + 0.001)
        relu = tf.nn.relu((conv - MEAN) * factor + BETA)
        pool = tf.reduce_mean(relu, [1, 2], keepdims=True)
        return {"pool_3": pool, "logits": tf.reshape(pool, [-1, FEATURES]) @ HEAD}

    module.__call__ = call
    tf.saved_model.save(module, str(path))


def write_saved_model_archive(path):
    folder = path.with_name("module")
    write_saved_model(folder)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, ".")


def write_keras(path):
    images = keras.Input((None, None, 3))
    conv = keras.layers.Conv2D(FEATURES, 5, 4, activation="relu")
    outputs = conv(images)
    factor = GAMMA / np.sqrt(VARIANCE + 0.001)
    conv.set_weights([KERNEL * factor, BETA - MEAN * factor])
    pool = keras.layers.GlobalAveragePooling2D()(outputs)
    head = keras.layers.Dense(CLASSES, use_bias=False)
    logits = head(pool)
    head.set_weights([HEAD])
    keras.Model(images, {"pool_3": pool, "logits": logits}).save(path)


FORMS = {
    "graph.pb": write_frozen,
    "inception.tgz": write_archive,
    "saved_model": write_saved_model,
    "module.tar.gz": write_saved_model_archive,
    "inception.keras": write_keras,
}
