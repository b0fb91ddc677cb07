"""What TensorFlow Serving needs of a trained generator."""
