"""Image sets: prepared once into memory-mapped arrays, read as pure functions of seed and step."""
