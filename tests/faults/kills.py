"""Runs that are killed at random while readers read, and whether anything of it can be seen: the long run, and what its short tests share."""

import json
import math
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline import run
from pipeline.settings import Settings
from tests.faults.models import Sums, different, model_of, sums_of, write_models
from tests.faults.victim import PHASES
from tests.splits import ROOT, assert_same

CHUNK = 1_000
"""Job-hours of a partition: some six of them, the last of which is the same in all models."""
BY_STEP = ("locking", "publishing", "cleaning", "ending")
"""Phases so short that the process has to end itself; in the others it is killed from outside after a random time."""
TARGETS = ("tree", "main", "worker")
WORLD = "FAULTS_WORLD"
"""A variable by which the workers of a run are known, whoever their parent is by now."""
ENOUGH_SECONDS = 120


@dataclass
class World:
    """The models, what complete runs of them hold, and one OUT that everything happens to."""

    folder: Path
    models: list[Path]
    known: dict[str, Sums] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each phase takes."""
    steps: dict[str, int] = field(default_factory=dict)
    """How many steps each phase has."""

    @property
    def out(self) -> Path:
        """Where readers read."""
        return self.folder / "out"

    def whole(self, model: str) -> Path:
        """A run of the model that nobody killed."""
        return self.folder / "whole" / model / "current"


@dataclass
class Ended:
    """How a process ended."""

    code: int
    phase: str
    """The last that it said."""
    told: str
    seconds: dict[str, float]
    steps: dict[str, int]

    @property
    def killed(self) -> bool:
        """Whether it ended by SIGKILL."""
        return self.code == -signal.SIGKILL


@dataclass
class Tally:
    """What was done and what was found."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By phase and target."""
    finished: Counter[str] = field(default_factory=Counter)
    partitions: Counter[str] = field(default_factory=Counter)
    """How the partitions of finished runs came about."""
    findings: list[str] = field(default_factory=list)
    turns: int = 0
    queries: int = 0


def world(folder: Path, *, hours: int = 200) -> World:
    """Models, a whole run of each, and an OUT in which each was published; with the time and steps of the phases."""
    made = World(folder, write_models(folder / "models", hours=hours))
    for model in made.models:
        done = ended(made, model, folder / "whole" / model.name, pool=False)
        assert done.code == 0, done.told
        made.known[model.name] = sums_of(made.whole(model.name))
    (folder / "known.json").write_text(json.dumps(made.known), encoding="utf-8")
    for model in made.models:  # the last three replace others, so that old runs are removed
        done = ended(made, model, made.out, pool=True)
        assert done.code == 0, done.told
    made.seconds, made.steps = done.seconds, done.steps
    return made


def ended(
    where: World,
    model: Path,
    out: Path,
    *,
    pool: bool,
    keep: int = 3,
    flags: tuple[str, ...] = (),
    victim: dict[str, Any] | None = None,
    act: Callable[[subprocess.Popen[bytes], str], None] | None = None,
) -> Ended:
    """Have a `wattrow run` from its start to its end; `act` is told the process and each phase as it begins."""
    read, write = os.pipe()
    given = {"pipe": write, "chunk": CHUNK, "pool": pool, **(victim or {})}
    command = [sys.executable, "-m", "tests.faults.victim", "run", str(model), "--out", str(out), "--quiet"]
    command += ["--workers", "2", "--keep-runs", str(keep), *flags]
    environment = {**os.environ, "FAULTS": json.dumps(given), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment[WORLD] = str(where.out)
    noted = where.folder / f"told-{os.getpid()}.txt"
    with noted.open("wb") as told:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=told, stderr=told, pass_fds=(write,), start_new_session=True
        )
    os.close(write)
    phases = list(_followed(process, read, act))
    os.close(read)
    code = process.wait(timeout=ENOUGH_SECONDS)
    times = {a: t2 - t1 for (a, t1, _), (_, t2, _) in pairwise(phases)}
    steps = {a: s for (a, _, _), (_, _, s) in pairwise(phases)}
    return Ended(code, phases[-1][0] if phases else "starting", noted.read_text(errors="replace"), times, steps)


def _followed(
    process: "subprocess.Popen[bytes]", pipe: int, act: Callable[["subprocess.Popen[bytes]", str], None] | None
) -> Iterator[tuple[str, float, int]]:
    """Each phase as the process says it, when it began, and the steps of the one before."""
    deadline, rest = time.monotonic() + ENOUGH_SECONDS, b""
    while True:
        ready, _, _ = select.select([pipe], [], [], 1.0)
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError("a run takes too long")
        given = os.read(pipe, 4096) if ready else None
        if given == b"":
            return
        *lines, rest = (rest + (given or b"")).split(b"\n")
        for line in lines:
            phase, steps = line.decode().split()
            yield phase, time.monotonic(), int(steps)
            if act is not None:
                act(process, phase)


def workers_of(process: int) -> list[int]:
    """Worker processes that a run has started."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [int(c) for c in children]


def killer(where: World, phase: str, target: str, chance: random.Random) -> Callable[[Any, str], None]:
    """Kill the process, its worker or both some time after the phase has begun."""

    def act(process: "subprocess.Popen[bytes]", now: str) -> None:
        if now != phase:
            return
        time.sleep(chance.uniform(0, where.seconds.get(phase, 0.2)))
        victims = workers_of(process.pid)
        if target == "worker":
            for worker in victims[:1]:
                os.kill(worker, signal.SIGKILL)
        elif target == "tree":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()

    return act


def kill(where: World, model: Path, tally: Tally, chance: random.Random, phase: str, target: str) -> Ended:
    """Start a run and kill it in a phase."""
    pool = target == "worker" or chance.random() < 0.6
    victim, act = None, None
    if phase in BY_STEP:
        steps = where.steps.get(phase, 1)
        victim = {"phase": phase, "step": chance.randint(1, max(steps, 1)), "tree": target == "tree"}
    else:
        act = killer(where, phase, target, chance)
    flags = ("--fresh",) if chance.random() < 0.2 else ()
    done = ended(where, model, where.out, pool=pool, flags=flags, victim=victim, act=act)
    if done.killed:
        tally.kills[done.phase, target] += 1
    elif target == "worker":
        tally.kills[phase, target] += done.code != 0
        tally.finished["a worker killed: the run told so and ended" if done.code else "too late for its worker"] += 1
        if done.code not in (0, 1) or (done.code and "the worker at partition" not in done.told):
            tally.findings.append(f"a killed worker: exit {done.code}: {done.told[-300:]}")
    else:
        tally.finished["ended before it was killed"] += 1
        if done.code:
            tally.findings.append(f"a run failed that was not killed: {done.told[-300:]}")
    return done


def whole_or_finding(where: World, seen: str) -> list[str]:
    """What is wrong with the current run."""
    current = (where.out / "current").resolve()
    model = model_of(current)
    off = different(sums_of(current), where.known[model])
    return [f"{seen}: {model}: {', '.join(off)} are not its values"] if off else []


def finish(where: World, model: Path, tally: Tally, *, pool: bool, keep: int) -> None:
    """The next run after a kill: it must succeed, be exact, and leave nothing of the dead ones."""
    done = ended(where, model, where.out, pool=pool, keep=keep)
    tally.finished["finished afterwards"] += 1
    if done.code != 0:
        tally.findings.append(f"a later run was hindered: exit {done.code}: {done.told[-300:]}")
        return
    current = (where.out / "current").resolve()
    tally.partitions.update(
        p["how"] for p in json.loads((current / "run.json").read_text(encoding="utf-8"))["partitions"]
    )
    tally.findings += [f"after a kill: {problem}" for problem in rests(where.out, keep)]
    if model_of(current) != model.name:
        tally.findings.append(f"the current run is of {model_of(current)}, not of {model.name}")
    try:
        assert_same(current, where.whole(model.name))
    except AssertionError as error:
        tally.findings.append(f"not exact after a kill: {str(error)[:600]}")


def rests(out: Path, keep: int) -> list[str]:
    """What a run should not have left under OUT."""
    found = [f"{p.name} is left" for p in out.iterdir() if p.name not in ("runs", "current", ".staging")]
    found += [f".staging/{p.name} is left" for p in (out / ".staging").glob("*")]
    runs = sorted(p for p in (out / "runs").iterdir())
    found += [f"{len(runs)} runs are kept, not {keep}"] if len(runs) > keep else []
    for path in (p for kept in runs for p in kept.rglob("*")):
        if not (path.is_dir() or path.suffix == ".parquet" or path.name in ("run.json", "views.sql")):
            found.append(f"{path.relative_to(out)} is left")
    return found + [f"runs/{r.name} is not whole" for r in runs if not (r / "views.sql").exists()]


def orphans(where: World) -> list[int]:
    """Worker processes of dead runs that are still there."""
    mark = f"{WORLD}={where.out}\0".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said, environment = path.read_bytes(), path.with_name("environ").read_bytes()
        except OSError:
            continue
        if b"pipeline.hand" in said and mark in environment:
            found.append(int(path.parent.name))
    return found


@contextmanager
def readers(where: World, tally: Tally, count: int = 1) -> Iterator[None]:
    """Processes that read all the while; what they find goes into the tally."""
    stop, notes = where.folder / "stop", [where.folder / f"reader-{i}.jsonl" for i in range(count)]
    command = [sys.executable, "-m", "tests.faults.reader", str(where.out), str(where.folder / "known.json")]
    crew = [subprocess.Popen([*command, str(n), str(stop)], cwd=ROOT) for n in notes]
    try:
        yield
    finally:
        stop.touch()
        for reader, note in zip(crew, notes, strict=True):
            if reader.wait(timeout=ENOUGH_SECONDS) != 0:
                tally.findings.append("a reader died")
                continue
            *found, last = [json.loads(line) for line in note.read_text(encoding="utf-8").splitlines()]
            tally.findings += [f"reader: {f['finding']} (after {f['seconds']} s)" for f in found]
            tally.turns += last["turns"]
            tally.queries += last["queries"]
        stop.unlink()


def small_world(folder: Path) -> World:
    """Two models, and an OUT with runs of both: made in this process, where the time and steps of phases need not be known."""
    made = World(folder, write_models(folder / "models", hours=30)[:2])
    for model in made.models:
        run.run(model, folder / "whole" / model.name, Settings())
        made.known[model.name] = sums_of(made.whole(model.name))
        run.run(model, made.out, Settings())
    (folder / "known.json").write_text(json.dumps(made.known), encoding="utf-8")
    return made


def long_run(where: World, kills: int, seed: int, say: Callable[[str], None], minutes: float = math.inf) -> Tally:
    """Kill so many runs, or for so long, one to four in a row and then a run that must finish, with readers on."""
    end = time.monotonic() + minutes * 60
    chance, tally = random.Random(seed), Tally()
    phases: list[str] = []
    with readers(where, tally):
        while sum(tally.kills.values()) < kills and time.monotonic() < end:
            before = len(tally.findings)
            now = model_of((where.out / "current").resolve())
            model = chance.choice([m for m in where.models if m.name != now])
            for _ in range(chance.randint(1, 4)):
                if not phases:
                    phases = chance.sample(PHASES, len(PHASES))
                phase = phases.pop()
                target = chance.choice(TARGETS if phase == "computing" else TARGETS[:2])
                kill(where, chance.choice([model, model, *where.models]), tally, chance, phase, target)
                tally.findings += whole_or_finding(where, f"killed while {phase}")
            finish(where, model, tally, pool=chance.random() < 0.5, keep=chance.choice([3, 3, 2]))
            deadline = time.monotonic() + 30
            while orphans(where) and time.monotonic() < deadline:
                time.sleep(0.1)
            tally.findings += [f"a worker outlives its run: {p}" for p in orphans(where)]
            say(f"kills={sum(tally.kills.values())} findings={len(tally.findings)}")
            for finding in tally.findings[before:]:
                say(f"  {finding}")
    return tally
