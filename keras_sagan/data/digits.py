"""1,797 real handwritten digits as a TFDS builder."""

import numpy as np
import sklearn.datasets
import tensorflow_datasets as tfds


class Digits(tfds.core.GeneratorBasedBuilder):
    """The 8x8 grayscale digits 0 to 9, by 43 writers, that scikit-learn ships.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998, https://doi.org/10.24432/C50P49 (its test set).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "All 1,797 images as one split."}  # noqa: RUF012 (as in the base class)

    def _info(self):
        image = tfds.features.Image(shape=(8, 8, 1))
        label = tfds.features.ClassLabel(num_classes=10)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
            homepage="https://doi.org/10.24432/C50P49",
            citation="Alpaydin and Kaynak: Optical Recognition of Handwritten Digits. UCI, 1998.",
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        flat, labels = sklearn.datasets.load_digits(return_X_y=True)
        # Gray levels are 0 to 16.
        images = np.round(flat * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield i, {"image": image, "label": int(label)}
