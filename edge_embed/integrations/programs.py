"""Run another Python program after a preparation, such as an import."""

import runpy
import shutil
import sys
from collections.abc import Callable

__all__ = ["run_program"]


def run_program(module: str, prepare: Callable[[], object]) -> None:
    """Run the program named by the command line, with the arguments that follow it.

    Args:
        module: The argument of ``python -m``, for the usage line.
        prepare: Called first.
    """
    if len(sys.argv) < 2:
        sys.exit(f"usage: python -m {module} PROGRAM [ARGUMENT…]")
    program = shutil.which(sys.argv[1]) or sys.argv[1]
    del sys.argv[0]
    prepare()
    runpy.run_path(program, run_name="__main__")
