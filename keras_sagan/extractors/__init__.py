"""Networks that turn images into the features and logits that metrics compare."""
