"""StdCNN, from Table 1 of Kamath et al."""

from __future__ import annotations

from torch import nn

from invspec.layers.standardise import StandardisedNet
from invspec.layers.table_one import KERNEL, TableOne, features
from invspec.ops.types import Shape


class StdCNN(TableOne):
    """Four unpadded 3 x 3 convolutions, two max-poolings, two linear layers; no batch norm."""

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        height, width = self.pooled(shape)
        convs = [nn.Conv2d(fan_in, fan_out, KERNEL) for fan_in, fan_out in self.fans(shape[0])]
        classifier = self.classifier(self.widths[1] * height * width, classes)
        net = nn.Sequential(features(*convs), nn.Flatten(), classifier)
        return self.standardised(net, shape[0])
