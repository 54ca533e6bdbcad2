"""From a checkpoint to an edge model: export, quantize, verify. Needs the extra ``convert``."""

from edge_embed_conversion.console import telemetry_off

telemetry_off()  # before anything imports OpenVINO, which reports its own import
