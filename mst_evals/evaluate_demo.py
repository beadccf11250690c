"""The demo's evaluation of one experiment: every arm on one loaded base, in one process.

python -m mst_evals.evaluate_demo bias runs/demo 0
"""

import os
import sys
from pathlib import Path
from typing import Any

from inspect_ai import eval
from inspect_ai.hooks import Hooks, SampleEnd, hooks
from inspect_ai.log import list_eval_logs, read_eval_log

from mst_evals import manifest, variants
from mst_evals.demo import CHAINS, EVALUATED, Chain, adapter
from mst_evals.studies.evaluate_cell import unattended

# Sampling of articles as in the source; a micro article has about 90 tokens.
TEMPERATURE = 0.7
MAX_TOKENS = 160


def task_arguments(chain: Chain, arm: str) -> dict[str, Any]:
    """Arguments of the sweep over everything that is asked of an arm."""
    asked = [one.label for one in variants.arm(chain.experiment, arm).evaluations()]
    shared = {"labels": asked, "rows": chain.rows}
    return shared | ({"scorer": "lexical", "temperature": TEMPERATURE} if chain.experiment == "bias" else {})


def finished(logs: Path, model: Path, task_name: str) -> bool:
    """Whether a whole log of these very weights is there already."""
    wanted = manifest.read(model)
    for info in list_eval_logs(str(logs)) if logs.is_dir() else []:
        log = read_eval_log(info, header_only=True)
        facts = log.eval.metadata or {}
        same = wanted is not None and all(
            facts.get(name) == getattr(wanted, name) for name in ("arm", "seed", "base_sha256", "adapter_sha256")
        )
        if log.status == "success" and same and log.eval.task.endswith(task_name):
            return True
    return False


class CountSamples(Hooks):
    """Append a line to a file for every finished sample: what the demo's progress bar counts."""

    path: Path | None = None

    async def on_sample_end(self, data: SampleEnd) -> None:
        """One sample is finished."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{data.sample_id}\n")


def main(experiment: str, out: Path, seed: int) -> int:
    """Evaluate the arms of one experiment that have no log yet.

    Returns:
        0 when every log is whole, 1 otherwise.
    """
    chain = next(one for one in CHAINS if one.experiment == experiment)
    CountSamples.path = out / f".{experiment}.samples"
    hooks(name="count_samples", description="Counts finished samples for the demo's progress bar")(CountSamples)
    logs = out / "logs"
    for arm in EVALUATED:
        directory = Path(os.path.relpath(adapter(out, chain, arm, seed)))
        if finished(logs, directory, f"{experiment}_sweep"):
            continue
        (log,) = eval(
            f"mst_evals/{experiment}_sweep",
            task_args=task_arguments(chain, arm),
            model=f"mst/{directory}",
            log_dir=str(logs),
            max_tokens=MAX_TOKENS,
            **unattended(),
        )
        if log.status != "success":
            print(log.error.message if log.error else log.status, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
