"""Training a bijection as a flow, by the likelihood of images."""

from __future__ import annotations

from invspec.training.flow_training import FlowTraining


class Likelihood(FlowTraining):
    """Maximise the likelihood of dequantised images, optionally with a cross-entropy of the logits.

    The density of an image is that of its code under the prior times |det J|, where J (D, D) is the
    Jacobian of the code; the log-determinant counts once. The prior is a diagonal Gaussian that
    starts at mean 0 and standard deviation 1 and is trained with the model, at the same learning
    rate and weight decay. It is slow to reach the standard deviation of pixels that are always
    black, about exp(-6); use prior_from_data in a short training.

    The likelihood is measured in bits per dimension, -log2 of the probability of an 8-bit image
    divided by D, a scale similar to the cross-entropy's; the curve bits_per_dimension shows it.
    Padded images include a border that is always black and takes few bits, so their numbers are
    lower than those published for unpadded images and not comparable with them.

    A prior over the nuisance alone corresponds to the factorised prior of Lemma 10, with
    unconstrained logits. The bits are then not a likelihood of images: scaling up the logits lowers
    them.

    The defaults are the recipe of Jacobsen et al. for MNIST, without its learning-rate drops.
    """
