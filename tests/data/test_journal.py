"""Reports of a training."""

from invspec.data import Journal


def test_the_default_journal_keeps_nothing():
    journal = Journal()
    journal.save({"epoch": 1})
    journal.step(1, 2, loss=0.5)
    assert journal.resume() is None
