"""The names of a file's weights and those of a net, matched where only a prefix differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

# Attributes under which DataParallel, torch.compile and trainers keep a net.
WRAPPERS = {"module", "_orig_mod", "model", "backbone"}

# A counter of batch normalisation that files of old versions of torch lack; no output depends on it
# unless momentum is None.
COUNTER = "num_batches_tracked"
# The counter that torch's AveragedModel keeps beside the weights, which are below `module`.
AVERAGED = "n_averaged"


@dataclass(frozen=True)
class Match:
    """Weights by the names of the net, as far as they match.

    strip: the prefix of the file's names that the net's lack; add: the reverse. missing: names of
    the net that the file lacks; extra: names of the file that the net lacks.
    """

    strip: str
    add: str
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every name has its partner, and wrappers explain the prefix of the file."""
        return not self.missing and not self.extra and self.is_wrapped

    @property
    def is_wrapped(self) -> bool:
        """Whether the file's prefix consists of names that wrappers give; also if it is empty."""
        return set(self.strip.split(".")[:-1]) <= WRAPPERS

    def renamed(self, weights: Mapping[str, T]) -> dict[str, T]:
        """The weights under the names of the net, without those that are extra."""
        return {
            self.add + name.removeprefix(self.strip): weight
            for name, weight in weights.items()
            if name.startswith(self.strip) and name != AVERAGED and name not in self.extra
        }


def match(weights: Collection[str], net: Collection[str]) -> Match:
    """The best match of names, of all that differ by one prefix on either side.

    It may be incomplete, and is then only good for a message.
    """
    best = max(
        _prefixes(weights, net), key=lambda pair: (_count(weights, net, *pair), -len("".join(pair)))
    )
    return _matched(weights, net, *best)


def match_as_written(weights: Collection[str], net: Collection[str]) -> Match:
    """The match of equal names."""
    return _matched(weights, net, "", "")


def _matched(weights: Collection[str], net: Collection[str], strip: str, add: str) -> Match:
    stripped = {add + name.removeprefix(strip) for name in weights if name.startswith(strip)}
    known = set(net)
    # a name that is averaged is known by its wrapper's prefix
    spared = {AVERAGED} if strip.startswith("module.") else set[str]()
    extra = (
        name
        for name in weights
        if name not in spared
        and not (name.startswith(strip) and add + name.removeprefix(strip) in known)
    )
    missing = (name for name in net if name not in stripped and not _is_counter(name))
    return Match(strip, add, tuple(missing), tuple(extra))


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] == COUNTER


def _count(weights: Collection[str], net: Collection[str], strip: str, add: str) -> int:
    """How many of the file's names are names of the net with these prefixes."""
    known = net if isinstance(net, set) else set(net)
    return sum(
        name.startswith(strip) and add + name.removeprefix(strip) in known for name in weights
    )


def _prefixes(weights: Collection[str], net: Collection[str]) -> Iterator[tuple[str, str]]:
    """Pairs of prefixes that may match: none, one of either side, or the common one of the file."""
    yield "", ""
    common = _common(weights)
    yield from ((strip, "") for strip in _frequent(weights, set(net)))
    for strip in dict.fromkeys(("", common)):
        cores = {name.removeprefix(strip) for name in weights}
        yield from ((strip, add) for add in _frequent(net, cores))


def _frequent(names: Collection[str], cores: Collection[str]) -> list[str]:
    """The prefixes that most often precede a core in the names."""
    counts = Counter(
        name[: len(name) - len(core)] for name in names for core in _tails(name) if core in cores
    )
    return [prefix for prefix, _ in counts.most_common(3)]


def _tails(name: str) -> Iterator[str]:
    """A name without its first part, without its first two, ...: b.c and c for a.b.c."""
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _common(names: Collection[str]) -> str:
    """The longest prefix of whole parts, module.net., that all names share."""
    first, last = min(names, default=""), max(names, default="")
    parts = list[str]()
    for first_part, right in zip(first.split(".")[:-1], last.split(".")[:-1], strict=False):
        if first_part != right:
            break
        parts.append(f"{first_part}.")
    return "".join(parts)
