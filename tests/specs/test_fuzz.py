"""Any text is planned or refused with a message: no other exception, and within seconds.

The short tests draw the same examples in every run; `-m slow` draws new ones for about a minute.
"""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invspec.cli import session
from invspec.errors import SpecError
from invspec.kinds import Sample
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.registry.cards import KINDS, names, papers, shipped
from invspec.spec import document, extend, overlay, resolve, schema
from invspec.spec.schema import Compare, Layout, Trend, Written

SECONDS = 2.0  # of this process's time, so that what else runs on the machine does not count
SHORT = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(SHORT, max_examples=800, derandomize=False)
GOOD = [extend.read(path).values for path in sorted(shipped("specs").glob("*.yaml"))]


def mistake_in(work: Callable[[], Any]) -> SpecError | None:
    """What is said against it, if anything; any other exception goes through."""
    gc.disable()  # collecting what hypothesis holds is not what is timed
    began = time.process_time()
    try:
        work()
    except SpecError as problem:
        return problem
    finally:
        gc.enable()
        assert time.process_time() - began < SECONDS
    return None


def assert_survives(written: str, then: Callable[[Plan], None] = lambda planned: None) -> None:
    """Plan a text; if it has mistakes, they are told with the place where they stand."""
    problem = mistake_in(
        lambda: then(planner.plan(resolve.resolve(document.parse(written, "x.yaml"))))
    )
    assert problem is None or problem.where.startswith("x.yaml"), problem


@pytest.fixture(scope="module")
def checks() -> Callable[[Plan], None]:
    """session.check, all of whose imports are done."""
    for good in GOOD:
        session.check(planner.plan(resolve.resolve(document.Document("good.yaml", good))))
    return session.check


# ─ random trees ───────────────────────────────────────────────────────────────────────

KEYS = sorted(
    {
        "use",
        "of",
        "sample",
        "sweep",
        "fields",
        "attack",
        "steps",
        "eps",
        "pgd.eps",
        "max_degrees",
        "model",
        "linear",
    }
    | {
        key
        for part in (
            Written,
            Sample,
            Compare,
            Trend,
            Layout,
            schema.TrainLine,
            schema.Claim,
            schema.Bound,
        )
        for key in part.model_fields
    }
)
NAMES = sorted({name for kind in KINDS for name in names(kind)} | set(papers()))
words = (
    st.sampled_from(KEYS)
    | st.sampled_from(NAMES)
    | st.sampled_from(["rising", "test", "train", "linf", "8/255", "8/0"])
)
numbers = (
    st.integers(-3, 300)
    | st.integers()
    | st.floats()
    | st.sampled_from([0, 1, 0.1, -0.0, 2**31, 10**30, 1e300])
)
texts = st.text(max_size=8) | st.sampled_from(
    ["1:30", "0o7", "0x1F", "1_0", ".inf", "~", "2020-01-01", "<<", "="]
)
scalars = st.none() | st.booleans() | numbers | words | words | texts
trees = st.recursive(
    scalars,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(words | texts, below, max_size=5),
    max_leaves=25,
)
specs = st.fixed_dictionaries(
    {"title": st.just("fuzz")},
    optional={key: trees for key in Written.model_fields if key != "title"},
)


def dumped(values: Any) -> str:
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)


# ─ mutations of a good spec ───────────────────────────────────────────────────────────

Path = tuple[Any, ...]


def nodes(value: Any, path: Path = ()) -> list[Path]:
    """The paths of all values below a value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [place for key, item in items for place in ((*path, key), *nodes(item, (*path, key)))]


def changed(values: Any, path: Path, how: str, what: Any) -> Any:
    """A copy in which the node at path is deleted or replaced, or has a neighbour."""
    full = copy.deepcopy(values)
    parent = full
    for step in path[:-1]:
        try:
            parent = parent[step]
        except (KeyError, IndexError, TypeError):
            return full  # an earlier change has removed the place
    last = path[-1]
    if isinstance(parent, list) and isinstance(last, int) and last < len(parent):
        parent[last : last + (how != "insert")] = [] if how == "delete" else [what]
    elif isinstance(parent, dict) and last in parent:
        if how == "delete":
            del parent[last]
        else:
            parent[last if how == "replace" else "eps"] = what
    return full


@st.composite
def mutated(draw: st.DrawFn) -> str:
    values = draw(st.sampled_from(GOOD))
    places = nodes(values)
    for _ in range(draw(st.integers(1, 4))):
        path, how = (
            draw(st.sampled_from(places)),
            draw(st.sampled_from(["delete", "replace", "insert"])),
        )
        values = changed(values, path, how, draw(scalars | trees))
    return dumped(values)


# ─ random text ────────────────────────────────────────────────────────────────────────

INDICATORS = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "- ",
    "? ",
    "&a ",
    "*a",
    "!!int ",
    "!",
    "| ",
    "> ",
    "'",
    '"',
    "#",
    "%",
    "~",
]
BREAKS = ["\n", "\n  ", "---\n", "...\n", "\t", "<<: ", "\0", "\ufeff", "\x85"]
yaml_like = st.lists(
    st.sampled_from(INDICATORS + BREAKS) | words | texts | numbers.map(repr), max_size=40
).map("".join)


@pytest.fixture
def assert_survives_bytes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], None]:
    path = tmp_path_factory.mktemp("fuzz") / "x.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        problem = mistake_in(lambda: overlay.load(path))
        assert problem is None or problem.where.startswith(str(path))

    return read


# ─ the tests ──────────────────────────────────────────────────────────────────────────


@SHORT
@given(trees.map(dumped) | specs.map(dumped))
def test_random_trees(written: str) -> None:
    assert_survives(written)


@SHORT
@given(mutated())
def test_mutations_of_a_good_spec(written: str) -> None:
    assert_survives(written)


@SHORT
@given(yaml_like | st.text())
def test_random_texts(written: str) -> None:
    assert_survives(written)


@SHORT
@given(content=st.binary() | yaml_like.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_random_bytes(content: bytes, assert_survives_bytes: Callable[[bytes], None]) -> None:
    assert_survives_bytes(content)


@SHORT
@given(st.text(), scalars.map(lambda value: str(value)) | yaml_like)
def test_random_settings(dotted: str, value: str) -> None:
    written = document.Document("x.yaml", GOOD[0])
    problem = mistake_in(
        lambda: resolve.resolve(written.overlay(*overlay._setting(f"{dotted}={value}")))
    )
    assert problem is None or problem.where.startswith(("x.yaml", "--set"))


@pytest.mark.slow
@settings(SHORT, max_examples=8)
@given(written=mutated())
def test_mutations_and_their_models(written: str, checks: Callable[[Plan], None]) -> None:
    assert_survives(written, checks)


@pytest.mark.slow
@LONG
@given(trees.map(dumped) | specs.map(dumped))
def test_many_random_trees(written: str) -> None:
    assert_survives(written)


@pytest.mark.slow
@LONG
@given(mutated())
def test_many_mutations_of_a_good_spec(written: str) -> None:
    assert_survives(written)


@pytest.mark.slow
@LONG
@given(yaml_like | st.text())
def test_many_random_texts(written: str) -> None:
    assert_survives(written)


@pytest.mark.slow
@settings(LONG, max_examples=300)
@given(written=mutated())
def test_many_mutations_and_their_models(written: str, checks: Callable[[Plan], None]) -> None:
    assert_survives(written, checks)


# ─ large specs ────────────────────────────────────────────────────────────────────────

LARGE = {
    "a long list": "seeds: [" + "1," * 400_000 + "]",
    "a long list of texts": "seeds: [" + "aaaaaaaa," * 110_000 + "]",
    "many keys": "".join(f"k{number}: 1\n" for number in range(90_000)),
    "many lines of train": "title: a\ntrain:\n" + "- {dataset: a, model: b, defence: c}\n" * 20_000,
    "many entries": "title: a\nattacks:\n"
    + "".join(f"  a{number}: {{use: pgd}}\n" for number in range(30_000)),
    "a number to the base of 60": "seeds: 1" + ":1" * 400_000,
    "a long number": "seeds: " + "9" * 1_000_000,
    "a long binary number": "seeds: 0b" + "1" * 1_000_000,
    "many anchors": "".join(f"k{number}: &a{number} [1]\n" for number in range(40_000)),
    "many aliases": "a: &a [1, 2, 3]\nb: [" + "*a," * 30_000 + "]",
    "spaces": " " * 1_000_000,
    "a long text": "title: " + "a" * 1_000_000,
    "open brackets": "[" * 1_000_000,
    "questions": "? " * 500_000,
    "dashes": "- " * 500_000,
    "colons": ":" * 1_000_000,
    "quotes": "'" * 1_000_000,
    "comments": "# a\n" * 250_000,
    "documents": "---\n" * 250_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("written", LARGE.values(), ids=LARGE)
def test_large_specs_are_refused_quickly(written: str) -> None:
    assert_survives(written)
