"""What a child process needs before it can be interrupted."""

import signal


def listen_to_interrupts() -> None:
    """Give a child process its Ctrl-C back: a job started in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
