"""``edge-embed verify``: check a model folder against its receipt and its source."""

import sys
from dataclasses import asdict

import click

from edge_embed.cli.extras import conversion_errors
from edge_embed.cli.terminal import echo, echo_json


@click.command("verify")
@click.argument("folder")
@click.option(
    "--against", metavar="SOURCE", help="Compare tokenizer and vectors with this source as well."
)
@click.option("--revision", help="Branch, tag or commit, where SOURCE is a hub id.")
@click.option(
    "--trust-remote-code", is_flag=True, help="Run code that comes with SOURCE, if it has some."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def verify_command(
    folder: str,
    against: str | None,
    revision: str | None,
    *,
    trust_remote_code: bool,
    as_json: bool,
) -> None:
    """Check the files of a model FOLDER; exit status 1 if a check fails.

    With --against, its tokens and vectors are compared with those of SOURCE, read by this project
    and by sentence-transformers itself, on ordinary, empty, long and odd texts.
    """
    with conversion_errors():
        from edge_embed_conversion.verify import verify

        result = verify(
            folder, against=against, revision=revision, trust_remote_code=trust_remote_code
        )
    if as_json:
        document = {
            "folder": str(result.folder),
            "passed": result.passed,
            "checks": [asdict(check) for check in result.checks],
        }
        echo_json(document, indent=2)
    else:
        for check in result.checks:
            echo(f"{check.status:8}{check.name:12}{check.detail}")
    if not result.passed:
        sys.exit(1)
