"""From seeds to latents to images, for training, evaluation and serving alike."""
