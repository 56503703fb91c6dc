"""Checks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from invspec.kinds.method import Method

if TYPE_CHECKING:
    from torch import nn

    from invspec.data import Examples, Finding
    from invspec.kinds.attack import Attack
    from invspec.ops.draws import Draws

Doubts = Literal["attacks", "everything"]


class Check(Method):
    """Whether the numbers of a net, or of an attack on it, can be relied on.

    about_attack: it examines an attack on a net, whose results it gets. Otherwise it examines a
    net, and its examples are clean images as the identity attack leaves them.
    about_images: it looks only at the images that an attack made, whichever net it made them on.
    Other checks about attacks do not examine an attack that is judged on another net.
    wants_others: it is about an attack, and compares what the same attack made on other nets, which
    is in examples.others. It only applies where a spec has such nets.
    gates: a failure decides what a claim may say. False for one that only warns.
    doubts: what a failure calls in question. "attacks": attacks may be too weak, so that numbers
    under attack are bounds on one side. "everything": any number of the net.
    """

    kind: ClassVar[str] = "check"
    about_attack: ClassVar[bool] = False
    about_images: ClassVar[bool] = False
    wants_others: ClassVar[bool] = False
    gates: ClassVar[bool] = True
    doubts: ClassVar[Doubts] = "attacks"

    def applies(self, attack: Attack) -> bool:
        """Whether an attack can fail it: by default one that follows gradients.

        Only asked of checks about attacks.
        """
        return attack.gradient_loss is not None

    def is_answered_by(self, other: Attack, attack: Attack) -> bool:
        """Whether another attack does what the check tries where an attack fails it.

        Then a failure puts the attack's own numbers in doubt, but not the worst case over both.
        """
        return False

    @abstractmethod
    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        """Examine model, which returns logits (B, K), on examples of at most a few hundred images.

        attack is the one that made the examples, None for a check of a net. rng draws for each of
        the N examples; rng.take gives the draws of some. Images are on the CPU or on the device of
        the model. Must leave the model's weights, their .grad and its mode unchanged.
        """
