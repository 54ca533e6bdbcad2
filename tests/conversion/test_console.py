"""The tools are silent within a conversion, and as they were after it."""

import logging
import subprocess
import sys
import warnings

import pytest

from edge_embed_conversion.console import quiet_nncf, quiet_tools, quiet_transformers


def test_the_callers_settings_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    import nncf
    from transformers import logging as transformers_logging

    def settings() -> list[object]:
        names = ("nncf", "optimum", "torch", "transformers", "huggingface_hub")
        return [
            *(logging.getLogger(name).level for name in names),
            transformers_logging.is_progress_bar_enabled(),
            warnings.filters[:],
            sys.stdout,
        ]

    before = settings()
    with quiet_tools(), quiet_transformers(), quiet_nncf():
        sys.stdout.write("a bar")
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("optimum.exporters").warning("a log")
        logging.getLogger("transformers").warning("a log")
        nncf.set_log_level(logging.ERROR)
        assert settings() != before
    assert settings() == before
    assert capsys.readouterr() == ("", "")


def test_nothing_reports_usage() -> None:
    """Neither OpenVINO nor NNCF gets at the package that they report with."""
    script = (
        "import edge_embed_conversion, sys, openvino, nncf\n"
        "from nncf.telemetry.wrapper import telemetry\n"
        "print(sys.modules['openvino_telemetry'], type(telemetry).__name__)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.split() == ["None", "MagicMock"], result.stderr


def test_what_was_imported_before_reports_nothing_either() -> None:
    script = (
        "import openvino_telemetry as t, edge_embed_conversion\n"
        "sent = []\n"
        "t.main.TelemetrySender.send = lambda *a, **k: sent.append(a)\n"
        "one = t.Telemetry('a', '1', 'tid', 'ga4', enable_opt_in_dialog=False)\n"
        "one.consent = True\n"
        "one.send_event('a', 'b', 'c', force_send=True)\n"
        "print(sent)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
