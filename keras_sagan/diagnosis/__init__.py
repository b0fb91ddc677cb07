"""What `doctor` examines: versions, the machine, Keras, TensorFlow and folders."""
