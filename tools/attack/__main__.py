"""Try everything and print a table; exit status 1 if something fell.

    python -m tools.attack --model DIR [--soak SECONDS] [--seed N]

Takes some minutes. With --soak the server alone is attacked, for as long as is said; start it with
a memory limit to see that it keeps it, such as
``systemd-run --user --scope -p MemoryMax=1G python -m tools.attack --model DIR --soak 3600``.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from edge_embed.model.locate import resolve_model
from tools.attack.commands import attack_commands
from tools.attack.files import attack_indexes, attack_models, attack_reports
from tools.attack.outcome import Outcome, table
from tools.attack.requests import attack_server


def main() -> int:
    """Run the attacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a model folder; the one that ships if left out")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="attack a server alone")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of attempts")
    options = parser.parse_args()
    model = resolve_model(options.model)
    chance = random.Random(options.seed)
    print(f"seed {options.seed}, model {model.name}", flush=True)
    outcomes: list[Outcome] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.soak is None:
            count = int(3000 * options.share)
            outcomes.append(attack_models(model, folder, count, chance))
            outcomes.append(attack_indexes(folder, count // 2, chance))
            outcomes.append(attack_reports(folder, count, chance))
            (folder / "commands").mkdir()
            rounds = max(1, int(2 * options.share))
            outcomes += attack_commands(model, folder / "commands", rounds, chance)
        seconds = options.soak or 120 * options.share
        outcomes.append(attack_server(model, folder, seconds, options.seed))
    print(table(outcomes))
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if any(outcome.fell for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
