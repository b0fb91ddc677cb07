"""Whether generated images show the class that was asked for."""

import numpy as np
import sklearn.svm


def label_accuracy(images, labels, fakes, fake_labels):
    """Judges fakes by a classifier of the real images.

    The classifier is a support vector machine on pixels (RBF kernel, C = 10), which suits small
    sets of small images. It learns from the first four fifths of the real images and is tested on
    the rest; TFDS has shuffled them.

    Args:
        images: uint8 `[n, H, W, C]`, real.
        labels: int `[n]`.
        fakes: uint8 `[m, H, W, C]`.
        fake_labels: int `[m]`, the classes asked for.

    Returns:
        Two floats in [0, 1]: share of fakes classified as asked, and the classifier's accuracy on
        the real images that it was not shown.
    """
    pixels = images.reshape(len(images), -1) / np.float64(255)
    split = len(images) * 4 // 5
    classifier = sklearn.svm.SVC(C=10).fit(pixels[:split], labels[:split])
    test_accuracy = classifier.score(pixels[split:], labels[split:])
    fake_pixels = fakes.reshape(len(fakes), -1) / np.float64(255)
    return classifier.score(fake_pixels, fake_labels), test_accuracy
