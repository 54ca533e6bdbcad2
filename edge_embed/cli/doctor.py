"""``edge-embed doctor``: check the machine, the installation and a model."""

import sys
from dataclasses import asdict

import click

from edge_embed.cli.options import ModelOptions, model_options
from edge_embed.cli.terminal import echo, echo_json


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@model_options
def doctor_command(options: ModelOptions, *, as_json: bool) -> None:
    """Check this machine, this installation and a model; exit status 1 if something is wrong.

    Takes some five seconds, three of them for the speed.
    """
    from edge_embed.doctor import examine

    findings = []
    for finding in examine(options.load()):
        findings.append(finding)
        if not as_json:
            echo(f"{finding.status:<6}{finding.name:<11}{finding.detail}")
            if finding.remedy:
                echo(f"{'':<17}remedy: {finding.remedy}")
    wrong = any(finding.status == "wrong" for finding in findings)
    if as_json:
        document = {"passed": not wrong, "checks": [asdict(finding) for finding in findings]}
        echo_json(document, indent=2)
    if wrong:
        sys.exit(1)
