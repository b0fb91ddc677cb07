"""The files that start TensorFlow Serving on an export directory."""

# The newest release that was tested. The graph uses only operations that it has.
IMAGE = "tensorflow/serving:2.20.0"
GRPC_PORT, REST_PORT = 8500, 8501
# Rows that the server computes at once. Batches are padded to one of these sizes.
BATCH_SIZES = (1, 2, 4, 8, 16, 32)


def configs(model: str) -> dict[str, str]:
    """Name to text of the files, for a model that clients know by this name."""
    sizes = "".join(f"allowed_batch_sizes: {size}\n" for size in BATCH_SIZES)
    return {
        "models.config": f"""\
# tensorflow.serving.ModelServerConfig. Of the versions the server takes the highest.
model_config_list {{
  config {{
    name: "{model}"
    base_path: "/models/{model}"
    model_platform: "tensorflow"
  }}
}}
""",
        "batching.config": f"""\
# tensorflow.serving.BatchingParameters. The last of the allowed sizes must be max_batch_size.
max_batch_size {{ value: {BATCH_SIZES[-1]} }}
{sizes}\
# Longest wait of a request for others. Batches wait in a queue of so many, then requests fail.
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 100 }}
# A request of more rows than a batch becomes several.
enable_large_batch_splitting {{ value: true }}
# Batches computed at the same time. With a GPU one or two; without, as many as there are cores.
num_batch_threads {{ value: 2 }}
""",
        "docker-compose.yml": f"""\
# docker compose up, in this folder.
services:
  serving:
    image: {IMAGE}
    ports:
      # For this machine alone: the server asks nobody for a password.
      - "127.0.0.1:{GRPC_PORT}:{GRPC_PORT}" # gRPC
      - "127.0.0.1:{REST_PORT}:{REST_PORT}" # REST
    volumes:
      - .:/models/{model}:ro
    command:
      - --model_config_file=/models/{model}/models.config
      - --enable_batching=true
      - --batching_parameters_file=/models/{model}/batching.config
    restart: unless-stopped
""",
    }
