"""How a run is told to stop: by SIGTERM or Ctrl-C, after the step under way, so that its state can be kept."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a run was asked to stop.

    While a step is under way (`patient`), the first signal is noted and the run ends after that step. At any other
    time, and from the second signal on, a signal interrupts at once: KeyboardInterrupt.

    Attributes:
        asked: whether it was.
    """

    def __init__(self) -> None:
        self.asked = False
        self._patient = False

    def __call__(self) -> bool:
        """Whether the run was asked to stop."""
        return self.asked

    def ask(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ask it, as a signal does.

        Raises:
            KeyboardInterrupt: nothing is under way that has to be finished, or it was asked before.
        """
        again, self.asked = self.asked, True
        if again or not self._patient:
            raise KeyboardInterrupt

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Within, a first signal waits for `asked` to be read."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Within, SIGTERM and SIGINT ask; signals reach the main thread alone, so elsewhere nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self.ask) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
