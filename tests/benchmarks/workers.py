"""One process per row, so that no library changes what another row meets.

fastai patches torch when it is imported, transferlab keeps freed memory and lets idle threads
sleep: each row runs in the state that its own user would have. A process imports once and answers
many questions; only one of them works at a time, the others wait for their input.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path("build/bench")  # everything that the benchmarks write


class RowError(Exception):
    """A row cannot run here; the message says why."""


class Worker:
    """A process that answers the questions of one row.

    Args:
        script: the file to run; started with "--worker", it calls `serve`.
        row: which row, part of every question.
        threads: how many threads its numerical libraries may use.
        environment: further variables.
    """

    def __init__(
        self, script: str | Path, row: str, threads: int, environment: dict[str, str] | None = None
    ) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.row, self.log = row, FOLDER / f"{Path(script).stem}-{row}.log".replace(" ", "-")
        alike = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), "--worker"],
                env={**os.environ, **alike, "KERAS_BACKEND": "torch", **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, **question: Any) -> Any:
        """Return the answer to a question; raise `RowError` if the process died of it."""
        try:
            print(json.dumps({"row": self.row, **question}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            line = ""
        else:
            line = self.process.stdout.readline()
        if not line:
            said = self.log.read_text().strip().splitlines()
            raise RowError(f"{self.row}: {said[-1] if said else 'ended'} (see {self.log})")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def serve(answer: Callable[..., Any]) -> None:
    """Answer questions until the input ends: one line of JSON in, one line out."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to the log; it is no answer
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), file=answers, flush=True)
