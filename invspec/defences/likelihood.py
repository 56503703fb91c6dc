"""Training a bijection as a flow, by the likelihood of images."""

from __future__ import annotations

from invspec.training.flow_training import FlowTraining


class Likelihood(FlowTraining):
    """Maximise the likelihood of dequantised images, optionally with a cross-entropy of the logits.

    The density of an image is that of its code under the prior times |det J|, where J (D, D) is the
    Jacobian of the code; the log-determinant counts once. The prior is a diagonal Gaussian that
    starts at mean 0 and deviation 1 and learns with the model, at its learning rate and weight
    decay. With steps of lr it is slow to reach the deviations of pixels that are always black,
    about exp(-6); use prior_from_data in a short training.

    The likelihood is measured in bits per dimension, -log2 of the probability of an 8-bit image
    over D, on the scale of the cross-entropy; the curve bits_per_dimension shows it. For padded
    images it includes the border, which is always black and takes few bits: the numbers are lower
    than, and not comparable with, those published for unpadded images.

    A prior over the nuisance alone corresponds to the factorised one of Lemma 10, with free logits.
    The bits are then not a likelihood of images: scaling up the logits lowers them.

    The defaults are the recipe of Jacobsen et al. for MNIST, without its drops of lr.
    """
