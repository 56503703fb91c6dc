"""VGG16 with batch norm, for small images."""

from __future__ import annotations

from torch import nn

from invspec.layers.factory import PlainLayers
from invspec.layers.standardise import StandardisedNet
from invspec.layers.vgg import VGG, features
from invspec.ops.types import Shape


class VGG16(VGG):
    """Simonyan and Zisserman's configuration D with batch norm and one linear layer.

    That is the usual form for CIFAR-10. With `hidden: [4096, 4096]` it has the paper's three linear
    layers.
    """

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        height, width = self.pooled(shape)
        maps = features(PlainLayers(), shape[0], self.widths)
        classifier = self.classifier(self.widths[-1] * height * width, classes)
        net = nn.Sequential(maps, nn.Flatten(), classifier)
        return self.standardised(net, shape[0])
