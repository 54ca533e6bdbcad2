"""Warnings of Ray that a test cannot help."""

import pytest

# Ray leaves sockets and files to the garbage collector, and uses what its own libraries retire.
RAY_WARNINGS = [
    pytest.mark.filterwarnings(f"ignore::{category}")
    for category in (
        "ResourceWarning",
        "DeprecationWarning",
        "FutureWarning",
        "pytest.PytestUnraisableExceptionWarning",
    )
]
