"""What is wrong with a SavedModel for TensorFlow Serving, as far as its file tells."""

from tensorflow.core.protobuf import saved_model_pb2

# All that our graphs are made of, each years older than TensorFlow 2.20, the newest server's. What
# else appears has to be looked up before it gets in here.
OPERATIONS = """
    AddV2 Assert AssignVariableOp AvgPool BatchMatMulV2 BiasAdd Bitcast BitwiseOr BroadcastTo
    Cast ClipByValue ConcatV2 Const Conv2D Conv2DBackpropInput EncodePng Equal GatherV2
    GreaterEqual Identity IdentityN LeftShift Less LogicalAnd LogicalOr MatMul Maximum Mul NoOp
    OneHot Pack Placeholder PlaceholderWithDefault Prod ReadVariableOp Relu Reshape RestoreV2
    Round Rsqrt Shape Size Softmax SpaceToDepth Split Squeeze StatelessRandomNormalV2
    StatelessRandomUniformFullIntV2 StatelessWhile StridedSlice StringFormat Sub Tanh
    TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem TensorListStack
    Transpose VarHandleOp Where
"""
ATTRIBUTES = """
    DstT Index N SrcT T TI Taxis Tidx Tindices Tparams Tshape _lower_using_switch_merge adj_y
    axis begin_mask block_size body cond data_format dtype dtypes element_dtype ellipsis_mask
    end_mask ksize new_axis_mask num_elements num_split out_type output_shapes padding
    parallel_iterations shape shape_type shared_name shrink_axis_mask squeeze_dims strides
    summarize template transpose_a transpose_b type value _num_original_outputs
    _read_only_resource_inputs placeholder
"""


def read(version):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((version / "saved_model.pb").read_bytes())
    (meta,) = saved.meta_graphs
    return meta


def nodes_of(meta):
    functions = meta.graph_def.library.function
    return [*meta.graph_def.node, *(node for function in functions for node in function.node_def)]


def tensor_names(meta):
    return {
        name: {
            part: {key: info.name for key, info in getattr(signature, part).items()}
            for part in ("inputs", "outputs")
        }
        for name, signature in meta.signature_def.items()
    }


def described(meta):
    """Signatures as `name: dtype number [shape]`, None for the batch."""
    return {
        name: {
            part: {
                key: (info.dtype, [None if d.size < 0 else d.size for d in info.tensor_shape.dim])
                for key, info in getattr(signature, part).items()
            }
            for part in ("inputs", "outputs")
        }
        for name, signature in meta.signature_def.items()
    }


def faults(meta):
    """Each as text; none for a graph that the server runs."""
    nodes, functions = nodes_of(meta), meta.graph_def.library.function
    found = []
    if list(meta.meta_info_def.tags) != ["serve"]:
        found.append(f"tags {list(meta.meta_info_def.tags)}")
    found += [
        f"{name}: method {signature.method_name}"
        for name, signature in meta.signature_def.items()
        if signature.method_name != "tensorflow/serving/predict"
    ]
    found += ["compiled by XLA" for item in (*nodes, *functions) if item.attr["_XlaMustCompile"].b]
    found += [f"Python function {node.op}" for node in nodes if "PyFunc" in node.op]
    found += [f"device {node.device}" for node in nodes if node.device]
    found += [f"operation {node.op}" for node in nodes if node.op not in OPERATIONS.split()]
    found += [
        f"attribute {name} of {node.op}"
        for node in nodes
        for name in node.attr
        if name not in ATTRIBUTES.split() and node.attr[name].WhichOneof("value")
    ]
    return found
