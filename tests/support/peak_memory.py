"""The command as a program that says on stderr how much memory it took at the most, in MiB."""

__all__ = ["PROGRAM", "peak_of"]

# Not ru_maxrss: that of a program counts the process that started it, here a test run of gigabytes.
PROGRAM = """
import sys
from edge_embed.cli import run
try:
    run(sys.argv[1:])
finally:
    with open("/proc/self/status") as status:
        kilobytes = status.read().split("VmHWM:")[1].split()[0]
    print("peak", int(kilobytes) // 1024, file=sys.stderr)
"""


def peak_of(stderr: str) -> int:
    """Read the figure from what the program wrote."""
    return int(stderr.split()[-1])
