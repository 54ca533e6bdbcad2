"""The instruction sets without which nothing runs: checked by importing this module, before numpy.

numpy and openvino end with the signal SIGILL on processors older than those that their wheels are
compiled for, so nothing could be said afterwards.
"""

import sys
from pathlib import PurePath

from edge_embed.errors import UnsupportedProcessorError
from edge_embed.hardware.machine import missing_instructions

__all__ = ["check_processor"]


def check_processor() -> None:
    """Refuse a processor on which numpy and openvino would crash.

    The program ``edge-embed`` ends with the message and status 1 instead, as no command of it is
    there yet that could print an error.

    Raises:
        UnsupportedProcessorError: the processor lacks instruction sets of x86-64-v2.
    """
    missing = missing_instructions()
    if not missing:
        return
    error = UnsupportedProcessorError(
        f"this processor lacks {', '.join(missing)}: take one of 2009 or later; a virtual machine "
        "may hide what its host has, so give it the host's processor type"
    )
    if PurePath(sys.argv[0]).stem in ("edge-embed", "-m"):
        sys.exit(f"edge-embed: {error}")
    raise error


check_processor()
