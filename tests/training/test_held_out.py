"""Functions that the model writes: what is logged, and what a full disk costs."""

import errno
import math

from sprig.training.callbacks.held_out import HeldOutFunctions
from training.test_module import data, module, rows_of, trainer


def test_a_disk_without_room_for_running_them_costs_their_figures_and_not_the_run(tmp_path, capsys):
    answers = iter([{"runs": 0.5}, OSError(errno.ENOSPC, "No space left on device"), {"runs": 0.75}])

    def judge(model):
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    seen = []

    class Seen(HeldOutFunctions):
        def on_validation_end(self, trainer, pl_module):
            seen.append(trainer.callback_metrics["val/runs"].item())

    run = trainer(tmp_path, Seen(judge), max_epochs=3)
    run.fit(module(), data(rows_of(8)))
    assert (seen[0], math.isnan(seen[1]), seen[2]) == (0.5, True, 0.75)
    said = capsys.readouterr().err
    assert said.count("could not be run in") == 1 and "No space left on device" in said
