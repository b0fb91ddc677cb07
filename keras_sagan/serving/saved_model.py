"""A generator as the files that TensorFlow Serving loads: one graph, its weights, its signatures.

`keras.export` and `tf.saved_model.save` are not used: for each signature they write the network
again, and for each weight a dozen operations to save it again. The graph of a small generator
would be larger than its weights.
"""

import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2, saver_pb2

from keras_sagan.networks.network import Network
from keras_sagan.serving.signatures import outputs_of, signatures

WEIGHTS = "variables/variables"  # Where every loader looks for them.
PATH, RESTORE = "path_of_weights", "restore"  # Nodes.
# Attributes that only Python reads, for shapes and gradients.
NOTES = ("_output_shapes", "_gradient_op_type", "_has_manual_control_dependencies")


def write_saved_model(
    generator: Network, path: pathlib.Path, class_names: Sequence[str] | None = None
) -> None:
    """Writes the SavedModel of `signatures`, with the tag `serve`, to a folder `path` to create.

    The generator was made outside any strategy. `class_names` lists all its classes, if known.
    """
    weights = {variable.path: variable for variable in generator.variables}
    meta = meta_graph(generator, weights, class_names)
    meta.meta_info_def.tags.append("serve")
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta])
    (path / WEIGHTS).parent.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))
    tf.raw_ops.SaveV2(
        prefix=os.fsencode(path / WEIGHTS),
        tensor_names=list(weights),
        shape_and_slices=[""] * len(weights),
        tensors=[variable.value for variable in weights.values()],
    )


def meta_graph(
    generator: Network, weights: dict[str, Any], class_names: Sequence[str] | None
) -> meta_graph_pb2.MetaGraphDef:
    """The `MetaGraphDef`: the graph, how to restore `weights`, and the signatures."""
    saver = saver_pb2.SaverDef(
        filename_tensor_name=f"{PATH}:0",
        restore_op_name=RESTORE,
        save_tensor_name=f"{PATH}:0",  # Required, though nothing saves.
        version=saver_pb2.SaverDef.V2,
    )
    with tf.Graph().as_default():
        handles = [
            tf.raw_ops.VarHandleOp(dtype=each.value.dtype, shape=each.shape, shared_name=name)
            for name, each in weights.items()
        ]
        add_restore(weights, handles)
        tensors = add_generator(generator, handles, class_names)
        # A server rejects attributes newer than itself, even with their default values.
        meta = tf.compat.v1.train.export_meta_graph(saver_def=saver, strip_default_attrs=True)
    named = {tensor.op.name: name for name, tensor in tensors.items()}
    compact_graph(meta.graph_def, named | {PATH: PATH, RESTORE: RESTORE})
    meta.meta_info_def.ClearField("stripped_op_list")
    for name, (inputs, outputs) in signatures(generator, class_names).items():
        definition = meta.signature_def[name]
        definition.method_name = "tensorflow/serving/predict"
        for described, names in ((definition.inputs, inputs), (definition.outputs, outputs)):
            for own, shared in names.items():
                tensor = tensors[shared]
                described[own].name = f"{shared}:0"
                described[own].dtype = tensor.dtype.as_datatype_enum
                described[own].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return meta


def add_restore(weights: dict[str, keras.Variable], handles: list[tf.Tensor]) -> None:
    """Adds the operation that reads the weights, which loaders run first."""
    values = tf.raw_ops.RestoreV2(
        prefix=tf.compat.v1.placeholder_with_default("", [], PATH),
        tensor_names=list(weights),
        shape_and_slices=[""] * len(weights),
        dtypes=[variable.value.dtype for variable in weights.values()],
    )
    assignments = [
        tf.raw_ops.AssignVariableOp(resource=handle, value=value)
        for handle, value in zip(handles, values, strict=True)
    ]
    tf.group(*assignments, name=RESTORE)


def add_generator(
    generator: Network, handles: list[tf.Tensor], class_names: Sequence[str] | None
) -> dict[str, tf.Tensor]:
    """Adds inputs and the network with weights from `handles`; returns its `outputs_of`."""
    values = [
        (variable, tf.raw_ops.ReadVariableOp(resource=handle, dtype=variable.value.dtype))
        for variable, handle in zip(generator.variables, handles, strict=True)
    ]
    names = ["seeds", "labels"] if generator.num_classes else ["seeds"]
    inputs = {name: tf.compat.v1.placeholder(tf.int64, [None], name) for name in names}
    with keras.StatelessScope(state_mapping=values):
        return outputs_of(generator, class_names, **inputs)


def compact_graph(graph_def: Any, named: dict[str, str]) -> None:
    """Shortens names, merges equal constants, and drops what only Python reads.

    In `graph_def`, which changes in place, each node comes after its inputs. `named` has new names
    of the nodes that others refer to.
    """
    names, constants, nodes = {}, {}, []
    for node in graph_def.node:
        drop_notes(node)
        old, node.name = node.name, named.get(node.name, f"n{len(names)}")
        names[old] = node.name
        if node.op == "Const" and not node.input:
            names[old] = constants.setdefault(node.attr["value"].SerializeToString(), node.name)
        if names[old] == node.name:
            node.input[:] = [rename_input(name, names) for name in node.input]
            nodes.append(node)
    del graph_def.node[:]
    graph_def.node.extend(nodes)
    for function in graph_def.library.function:
        for node in function.node_def:
            drop_notes(node)


def drop_notes(node: Any) -> None:
    for name in NOTES:
        node.attr.pop(name, None)


def rename_input(reference: str, names: dict[str, str]) -> str:
    """An input of a node, `^control` or `name` or `name:1`, with its new name."""
    return re.sub(r"[^:^]+", lambda match: names[match[0]], reference, count=1)
