"""Runs `python -m keras_sagan COMMAND [flags]`, which does what `keras-sagan` does."""

from keras_sagan.cli import main

if __name__ == "__main__":
    main()
