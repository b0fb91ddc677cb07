"""What adapts to the discriminator's logits: ADA's probability, and LeCam's averages."""

import tensorflow as tf

from keras_sagan.config import Config

# Decay of LeCam's averages, as in the paper, Tseng et al. 2021, section 4.2.
AVERAGE_DECAY = 0.99
# Halfway between the logits of real images and of fakes. The least-squares loss wants 1 and 0.
BOUNDARY = {"least_squares": 0.5}


def make_adaptive(config: Config) -> dict[str, tf.Variable]:
    """The variables that a run adapts, by name; create them in the strategy's scope.

    `augment_p`: the probability of augmentations, in [0, `config.augment_p`]. `lecam_real` and
    `lecam_fake`: averages of the logits of real images and of fakes.
    """
    names = ["augment_p"] if config.augment_target else []
    names += ["lecam_real", "lecam_fake"] if config.lecam else []
    once = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return {name: tf.Variable(0.0, trainable=False, name=name, aggregation=once) for name in names}


def logit_moments(logits: tf.Tensor, loss: str) -> tf.Tensor:
    """Mean, mean square and mean sign of a replica's logits, float64 `[3]`, as means may be large.

    Signs are relative to the boundary between real and fake.
    """
    logits = tf.cast(logits, tf.float64)
    signs = tf.sign(logits - BOUNDARY.get(loss, 0.0))
    return tf.stack([tf.reduce_mean(each) for each in (logits, logits**2, signs)])


def adapt(
    adaptive: dict[str, tf.Variable], config: Config, moments: list[tf.Tensor], update: tf.Tensor
) -> None:
    """Adapts the variables after an update of D; call it on every replica.

    The probability follows Karras et al. 2020, https://arxiv.org/abs/2006.06676, section 3: r_t,
    the mean sign of the logits of real images, decides its direction. Here every update decides; in
    the paper it is every fourth.

    Args:
        adaptive: of `make_adaptive`.
        config: of the run.
        moments: of this replica's real images and fakes, as `logit_moments` returns them.
        update: int64 scalar, the number of updates of D done before.
    """
    if not adaptive:
        return
    replicas = tf.distribute.get_replica_context()
    means = replicas.all_reduce(tf.distribute.ReduceOp.MEAN, moments)
    real, fake = (tf.cast(each, tf.float32) for each in means)
    if "augment_p" in adaptive:
        p = adaptive["augment_p"]
        change = tf.sign(real[2] - config.augment_target) * config.batch_size
        moved = p.read_value() + change / config.augment_images
        p.assign(tf.clip_by_value(moved, 0.0, config.augment_p))
    if "lecam_real" in adaptive:
        # The first update has no average before it.
        decay = tf.where(update == 0, 0.0, AVERAGE_DECAY)
        for name, mean in (("lecam_real", real[0]), ("lecam_fake", fake[0])):
            average = adaptive[name]
            average.assign(average.read_value() * decay + mean * (1 - decay))
