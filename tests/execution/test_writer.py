"""A writer's thread: one write at a time, in order, and errors that are not lost."""

import threading

import pytest

from invspec.execution.writer import Writer


def test_it_writes_while_its_worker_goes_on_and_in_order():
    writer, may_end, written = Writer(), threading.Event(), []
    writer.submit(lambda: written.append(may_end.wait(10)))
    assert writer.is_busy
    assert written == []
    may_end.set()
    writer.submit(lambda: written.append("second"))
    writer.wait()
    assert written == [True, "second"]
    assert not writer.is_busy


@pytest.mark.parametrize("next_step", [Writer.wait, lambda writer: writer.submit(lambda: None)])
def test_an_error_is_raised_at_the_next_step_and_once(next_step):
    def fail():
        raise OSError("disk full")

    writer = Writer()
    writer.submit(fail)
    with pytest.raises(OSError, match="disk full"):
        next_step(writer)
    writer.wait()
