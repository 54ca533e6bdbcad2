"""Try everything and print a table; exit status 1 if something fell.

    python -m tools.attack [--model DIR] [--seed N]
    python -m tools.attack --soak 3600 [--json FILE]

The first takes ten minutes at most. With --soak a server alone is attacked, for as long as is said:
hostile requests and clients, reloads and replaced indexes beside ordinary requests. The server may
take 1 GiB, as with the systemd unit in docs/deploy; its resident memory is watched.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edge_embed.hardware.machine import describe_machine
from edge_embed.model.locate import resolve_model
from tools.attack.commands import attack_command, commands_of_model
from tools.attack.files import attack_indexes, attack_models, attack_reports
from tools.attack.outcome import Outcome, table
from tools.attack.soak import soak

# Seconds of all, of the attack on a server, and for its start and its end.
_ALL, _SERVER, _START = 600.0, 100.0, 80.0
_TIMES = 3000


def _attack_all(model: Path, folder: Path, seed: int) -> list[Outcome]:
    """Attack everything but the server; each attack has its share of the time that is left."""
    chance = random.Random(seed)
    end = time.monotonic() + _ALL - _SERVER - _START
    (folder / "commands").mkdir()
    attacks: list[Callable[[float], list[Outcome]]] = [
        lambda seconds: [attack_models(model, folder, _TIMES, chance, seconds)],
        lambda seconds: [attack_indexes(folder, _TIMES // 2, chance, seconds)],
        lambda seconds: [attack_reports(folder, _TIMES, chance, seconds)],
    ]
    attacks += [
        partial(attack_command, command, folder / "commands", 4, chance)
        for command in commands_of_model(model, folder / "commands")
    ]
    outcomes: list[Outcome] = []
    for number, attack in enumerate(attacks):
        outcomes += attack((end - time.monotonic()) / (len(attacks) - number))
    return outcomes


def main() -> int:
    """Run the attacks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a model folder; the one that ships if left out")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="attack a server alone")
    parser.add_argument("--other-models", action="store_true", help="two more, which take turns")
    parser.add_argument("--memory", type=float, default=1024, help="most MiB of the server")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the server's figures")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    model = resolve_model(options.model)
    print(f"seed {options.seed}, model {model.name}", flush=True)
    machine = describe_machine()
    started = time.monotonic()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = options.soak
        if seconds is None:
            outcomes = _attack_all(model, folder, options.seed)
            seconds = _SERVER
        (folder / "server").mkdir()
        try:
            outcome, figures = soak(
                model,
                folder / "server",
                seconds,
                options.seed,
                options.memory,
                other_models=options.other_models,
                start_seconds=900.0 if options.soak else _START / 2,
            )
        except TimeoutError as error:  # of a machine that has no time for it
            outcome, figures = Outcome("a server", note=f"not tried: {error}"), {}
        outcomes.append(outcome)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine, **figures}, indent=1) + "\n")
    print(table(outcomes))
    for what, figure in figures.items():
        if isinstance(figure, dict):
            print(f"{what}: {json.dumps(figure)}")
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if any(outcome.fell for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
