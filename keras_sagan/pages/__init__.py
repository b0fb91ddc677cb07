"""Self-contained HTML pages of samples and of attention maps."""
