"""Running lessons on a cluster: a notebook goes out, the executed notebook and its cost come back.

Each worker runs a lesson as `transferlab run` does. It needs transferlab in the same version.
"""

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import Any

from transferlab.cache import code_hash
from transferlab.claims import RECORD
from transferlab.errors import InputError
from transferlab.kit.classroom.cluster import workers
from transferlab.kit.lessons import Lesson, read_lesson
from transferlab.kit.notebooks import files_named_in, write_text
from transferlab.kit.progress import Progress
from transferlab.kit.report import Report
from transferlab.kit.results import Result
from transferlab.kit.run import planned, run_lessons


def run_on_cluster(
    address: str,
    lessons: Sequence[Lesson],
    profile: str,
    device: str,
    parameters: Mapping[str, Any],
    build: Path,
    usual_seconds: Mapping[str, float],
) -> list[Result]:
    """Run lessons on a dask scheduler's workers; one that fails or is lost stops no other."""
    results = planned(lessons, {"profile": profile, "device": device, **parameters})
    report = Report(build / profile, profile, device)
    report.write(results)
    with workers(1, address) as executor, Progress(profile, 1, usual_seconds) as progress:
        running: dict[Future[dict[str, Any]], Result] = {}
        waiting = [result for result in results if not result.done]
        for result in sorted(waiting, key=lambda r: -usual_seconds.get(r.lesson.name, 0.0)):
            given = profile, device, dict(parameters), code_hash()
            future = executor.submit(job, result.lesson.name, _files(result.lesson), *given)
            running[future], result.status = result, "running"
            progress.started(result)
        for future in as_completed(running):
            _keep(future, running[future], build / profile)
            progress.finished(running[future], results)
            report.write(results)
    return results


def job(
    name: str,
    files: Mapping[str, bytes],
    profile: str,
    device: str,
    parameters: Mapping[str, Any],
    version: str,
) -> dict[str, Any]:
    """Run one lesson where this is called; return its cost, its error and the executed notebook."""
    if version != code_hash():
        raise InputError("this worker has another version of transferlab")
    with tempfile.TemporaryDirectory(prefix="transferlab-") as folder:
        course = Path(folder) / "course"
        for place, content in files.items():
            (course / place).parent.mkdir(parents=True, exist_ok=True)
            (course / place).write_bytes(content)
        lesson, build = read_lesson(course / f"{name}.ipynb"), Path(folder) / "build"
        (result,) = run_lessons([lesson], profile, device, parameters, jobs=1, build=build)
        kept = ("seconds", "peak_mib", "error", "cells_done")
        text = result.notebook.read_text("utf-8") if result.notebook else ""
        return {part: getattr(result, part) for part in kept} | {"notebook": text}


def _files(lesson: Lesson) -> dict[str, bytes]:
    """Return what a lesson needs of its course: itself, its tables, the record of the claims."""
    course = lesson.path.parents[1]
    paths = [lesson.path, *files_named_in(lesson.path), course / RECORD]
    return {p.relative_to(course).as_posix(): p.read_bytes() for p in paths if p.is_file()}


def _keep(future: "Future[dict[str, Any]]", result: Result, folder: Path) -> None:
    try:
        done = future.result()
    except Exception as error:  # of any kind: the other lessons go on
        result.fail(f"its worker did not finish it: {error or type(error).__name__}")
        return
    text, result.cells_done = done.pop("notebook"), done.pop("cells_done")
    result.finish(**done)
    if text:
        result.notebook = folder / f"{result.lesson.name}.ipynb"
        write_text(result.notebook, text)
