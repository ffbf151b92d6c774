import signal

import pytest

from circuitbase.services.interrupts import interrupts_deferred


def test_an_interrupt_arrives_after_the_block():
    finished = False
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():
        signal.raise_signal(signal.SIGINT)
        finished = True
    assert finished


def test_handlers_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with interrupts_deferred():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
