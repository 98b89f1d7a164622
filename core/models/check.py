#!/usr/bin/env python3
"""Runs the Spin models beside this file: every property must hold, and every deliberate bug must be found.

Usage: check.py [--table] [NAME ...]. Prints one line per check: name, states, result. Exit status 1 unless all are as
expected, 2 if spin or a C compiler is missing.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEMORY_LIMIT_MB = 3000
DEPTH_LIMIT = 200_000
TIME_LIMIT_S = 300

EXCLUSIVE = "mutual exclusion"
TOLD = "a death is told to exactly the next owner"
RECOVERED = "recovery comes before anything else"
SLEEPS = "nobody alive sleeps for ever"
SERVED = "everybody is served in the end"
COUNTED = "the count of sleepers is never too low"
SETTLED = "nobody waits for what is there"
WHOLE = "a committed slot is whole"
ONCE = "no item comes twice"
KEPT = "no item is lost"
GONE_ON = "who was notified goes on"
PASSED_ON = "no notification is lost while somebody waits"
NOT_TWICE = "nobody is notified twice"
IN_LINE = "in line is exactly who waits"
BACKED = "a block in use has its memory"
APART = "a block is used by one message"
NO_BLOCK_LOST = "no block is lost"
IN_PLACE = "every message is where it was put"
CHUNKS_COUNTED = "no chunk is lost, and none has two places"
NOT_FREED = "what is not acknowledged is kept"
ONE_AT_A_TIME = "a message is with one consumer at a time"
MARKED = "a delivery is marked with those before it"

# What Spin prints when the property fails.
PROPERTIES = {
    "(holder==0)": EXCLUSIVE,
    "(died==unrecovered)": TOLD,
    "(torn)": RECOVERED,
    "((unserved==0)": SLEEPS,
    "acceptance cycle": SERVED,
    "(sleeping[": COUNTED,
    "((live[0]==0)": SETTLED,
    "(item==(head+1))": WHOLE,
    "delivered[item]": ONCE,
    "((delivered_count+in_dead_hands)": KEPT,
    "((word&16)!=0)==unrecovered": TOLD,
    "(unserved==0)": SLEEPS,
    "!(dead[i])))||(mark[i]!=2)": GONE_ON,
    "((waiting==0)||(notified>=sent))": PASSED_ON,
    "((node==0)||(mark[node]==1))": NOT_TWICE,
    "(steps==waiting)": IN_LINE,
    "(steps<=": IN_LINE,
    "backed[block]": BACKED,
    "!(alive[block])": APART,
    "(lost_blocks==0)": NO_BLOCK_LOST,
    "==(head+1))": IN_PLACE,
    "(counted==": CHUNKS_COUNTED,
    "backed[directory": BACKED,
    "(holder[block]": ONE_AT_A_TIME,
    "died_with[block]": MARKED,
    "acknowledged[": NOT_FREED,
}


@dataclass(frozen=True)
class Check:
    """One run of one model.

    Attributes:
        name: What is checked, in one word.
        model: File of the model.
        parameters: Its `#define`s.
        refutes: Empty if all properties must hold; otherwise the one that Spin must refute.
        liveness: Also search for infinite runs that break the model's `ltl` formula.
        fair: Only consider runs in which whoever can always run does run some time.
    """

    name: str
    model: str
    parameters: str
    refutes: str = ""
    liveness: bool = False
    fair: bool = False


@dataclass(frozen=True)
class Outcome:
    """What Spin found: the states it stored, the property it refuted (or empty), and why it gave up (or empty)."""

    states: int
    refuted: str
    failure: str


def lock(name: str, parameters: str, refutes: str = "") -> Check:
    return Check(f"lock/{name}", "lock.pml", parameters, refutes)


def lock_served(name: str, parameters: str, refutes: str = "", fair: bool = False) -> Check:
    return Check(f"lock/{name}", "lock.pml", f"SERVED {parameters}", refutes, liveness=True, fair=fair)


def wake(name: str, sizes: str, parameters: str = "", refutes: str = "") -> Check:
    """`sizes`: producers x puts each, consumers x gets each, capacity; as in "2x1 2x1 1"."""
    numbers = re.split("[x ]", sizes)
    keys = ("PRODUCERS", "PUTS", "CONSUMERS", "GETS", "CAPACITY")
    shape = " ".join(f"{key}={number}" for key, number in zip(keys, numbers, strict=True))
    return Check(f"wake/{name}", "wake.pml", f"{shape} {parameters}", refutes, liveness="SETTLES" in parameters)


def owned(name: str, parameters: str, refutes: str = "") -> Check:
    return Check(f"owned/{name}", "owned_lock.pml", parameters, refutes, liveness="SERVED" in parameters)


def condition(name: str, sizes: str, parameters: str = "", refutes: str = "") -> Check:
    """`sizes`: waiters x notifiers."""
    waiters, notifiers = sizes.split("x")
    shape = f"WAITERS={waiters} NOTIFIERS={notifiers}"
    return Check(f"condition/{name}", "condition.pml", f"{shape} {parameters}", refutes)


def ring(name: str, parameters: str, refutes: str = "") -> Check:
    return Check(f"ring/{name}", "ring.pml", parameters, refutes)


def arena(name: str, parameters: str, refutes: str = "") -> Check:
    return Check(f"arena/{name}", "arena.pml", parameters, refutes)


def redelivery(name: str, parameters: str, refutes: str = "") -> Check:
    return Check(f"redelivery/{name}", "redelivery.pml", parameters, refutes)


PROVEN = (
    # Nobody dies, no sleep times out.
    lock("3-threads", "ROUNDS=2"),
    lock("4-threads", "THREADS=4"),
    # Somebody dies, no sleep times out: whatever the kernel can cover, it covers.
    lock("1-death", "KILLS=1"),
    lock("2-deaths", "KILLS=2"),
    # With bounded sleeps nothing is left over.
    lock_served("1-death-bounded", "KILLS=1 PATIENCE=LAST_RESORT"),
    lock_served("2-deaths-bounded", "KILLS=2 PATIENCE=LAST_RESORT"),
    lock_served("1-death-any-timeout", "KILLS=1 PATIENCE=ANY_TIME", fair=True),
    lock_served("liveness-1-death", "LIVENESS=1 KILLS=1 PATIENCE=LAST_RESORT"),
    lock_served("liveness-2-deaths", "LIVENESS=1 KILLS=2 PATIENCE=LAST_RESORT"),
    lock_served("liveness-1-death-any-timeout", "LIVENESS=1 KILLS=1 PATIENCE=ANY_TIME", fair=True),
    # Nobody dies, a sleep ends by a wake only.
    wake("1x1", "1x3 1x3 1"),
    wake("2x2", "2x1 2x1 1"),
    wake("3x2", "3x1 2x1 2"),
    wake("batches-1x3", "1x3 3x1 2", "BATCH=2"),
    wake("batches-2x2", "2x2 2x2 2", "BATCH=2"),
    wake("memory-waiters", "3x1 1x3 1", "SPACE_CLAIM=EVERYBODY"),
    wake("impatient-consumer", "2x1 2x1 1", "WATCHDOG=IMPATIENT"),
    wake("impatient-keeps-wake", "2x1 2x1 1", "WATCHDOG=IMPATIENT PASS_ON=0"),
    # Somebody dies, every sleep is bounded.
    wake("dead-producer-1x1", "1x2 1x2 1", "KILL=PRODUCER WATCHDOG=BOUNDED EARLY=2 SETTLES"),
    wake("dead-producer-1x2", "1x2 2x1 1", "KILL=PRODUCER WATCHDOG=BOUNDED EARLY=1"),
    wake("dead-producer-2x1", "2x1 1x2 1", "KILL=PRODUCER WATCHDOG=BOUNDED EARLY=1 SETTLES"),
    wake("dead-producer-2x2", "2x1 2x1 1", "KILL=PRODUCER WATCHDOG=BOUNDED"),
    wake("dead-consumer-1x1", "1x2 1x2 1", "KILL=CONSUMER WATCHDOG=BOUNDED EARLY=2 SETTLES"),
    wake("dead-consumer-1x2", "1x2 2x1 1", "KILL=CONSUMER WATCHDOG=BOUNDED EARLY=1"),
    wake("dead-consumer-2x1", "2x1 1x2 1", "KILL=CONSUMER WATCHDOG=BOUNDED EARLY=1 SETTLES"),
    wake("dead-consumer-2x2", "2x1 2x1 1", "KILL=CONSUMER WATCHDOG=BOUNDED"),
    # The owned lock and its sweep.
    owned("3-processes", ""),
    owned("1-death", "SERVED KILLS=1"),
    owned("2-deaths", "SERVED KILLS=2"),
    # The condition's line of nodes.
    condition("2x1", "2x1"),
    condition("2x2", "2x2"),
    condition("dead-waiter", "2x2", "KILL=WAITER"),
    condition("dead-waiter-of-3", "3x1", "KILL=WAITER"),
    condition("dead-notifier", "2x2", "KILL=NOTIFIER"),
    condition("two-deaths", "2x1", "KILL=BOTH"),
    # The ring that grows by chunks.
    ring("grows-and-shrinks", "MESSAGES=7 BATCH=3"),
    ring("1-death", "MESSAGES=7 KILLS=1"),
    ring("1-death-in-batch", "BATCH=3 KILLS=1"),
    ring("2-deaths", "KILLS=2"),
    # The arena and its sweep.
    arena("1-death", "KILLS=1"),
    arena("2-deaths", "KILLS=2"),
    arena("no-memory", "NO_MEMORY"),
    # What was taken comes again until it is acknowledged.
    redelivery("1-death", "KILLS=1"),
    redelivery("2-deaths", "KILLS=2"),
)

# Why sleeps are bounded: without it these properties do not hold.
LIMITS = (
    lock("limit-woken-then-killed", "KILLS=1 STRICT=1", SLEEPS),
    lock("limit-liveness-unbounded", "LIVENESS=1 KILLS=1", SLEEPS),
    wake("limit-dead-producer", "1x2 1x2 1", "KILL=PRODUCER", SETTLED),
    wake("limit-dead-consumer", "1x2 2x1 1", "KILL=CONSUMER", SETTLED),
)

# Deliberate bugs, each in an #ifdef of the model.
MUTANTS = (
    lock("mutant-forgets-waiters", "MUTANT_FORGETS_WAITERS", SLEEPS),
    lock("mutant-split-unlock", "MUTANT_SPLIT_UNLOCK", SLEEPS),
    lock("mutant-no-ownerless-wake", "MUTANT_NO_OWNERLESS_WAKE KILLS=1", SLEEPS),
    lock_served("mutant-late-pending", "MUTANT_LATE_PENDING KILLS=1 PATIENCE=LAST_RESORT", SERVED),
    lock_served("mutant-early-forget", "MUTANT_EARLY_FORGET KILLS=1 PATIENCE=LAST_RESORT", SERVED),
    lock("mutant-drops-death", "MUTANT_DROPS_DEATH KILLS=1", TOLD),
    lock("mutant-works-first", "MUTANT_WORKS_FIRST KILLS=1", RECOVERED),
    lock("mutant-rash-oracle", "MUTANT_RASH_ORACLE LIVENESS=1 PATIENCE=ANY_TIME", EXCLUSIVE),
    lock("mutant-blind-steal", "MUTANT_BLIND_STEAL LIVENESS=1 KILLS=1 PATIENCE=ANY_TIME", TOLD),
    wake("mutant-frozen-word", "1x2 2x1 1", "MUTANT_FROZEN_WORD", COUNTED),
    wake("mutant-leaves-twice", "1x2 2x1 1", "MUTANT_LEAVES_TWICE", COUNTED),
    wake("mutant-wakes-first", "1x2 2x1 1", "MUTANT_WAKES_FIRST", COUNTED),
    wake("mutant-registers-late", "1x2 2x1 1", "MUTANT_REGISTERS_LATE", SETTLED),
    wake("mutant-silent-repair", "1x2 2x1 1", "MUTANT_SILENT_REPAIR", COUNTED),
    wake("mutant-quiet-recovery", "1x2 2x1 1", "MUTANT_QUIET_RECOVERY KILL=PRODUCER WATCHDOG=BOUNDED", COUNTED),
    wake("mutant-commits-first", "1x2 2x1 1", "MUTANT_COMMITS_FIRST KILL=PRODUCER WATCHDOG=BOUNDED", WHOLE),
    wake("mutant-returns-first", "1x2 2x1 1", "MUTANT_RETURNS_FIRST KILL=CONSUMER WATCHDOG=BOUNDED", ONCE),
    owned("mutant-forgets-waiters", "MUTANT_FORGETS_WAITERS", SLEEPS),
    owned("mutant-blind-sweep", "MUTANT_BLIND_SWEEP KILLS=2 PATIENCE=ANY_TIME", TOLD),
    owned("mutant-sweep-hides-death", "MUTANT_SWEEP_HIDES_DEATH KILLS=1", TOLD),
    owned("mutant-rash-oracle", "MUTANT_RASH_ORACLE PATIENCE=ANY_TIME", EXCLUSIVE),
    condition("mutant-unbounded", "2x1", "MUTANT_UNBOUNDED KILL=NOTIFIER", GONE_ON),
    condition("mutant-takes-out-first", "2x1", "MUTANT_TAKES_OUT_FIRST KILL=NOTIFIER", IN_LINE),
    condition("mutant-keeps-notification", "2x1", "MUTANT_KEEPS_NOTIFICATION KILL=WAITER", PASSED_ON),
    condition("mutant-repair-leaves-marked", "2x2", "MUTANT_REPAIR_LEAVES_MARKED KILL=NOTIFIER", NOT_TWICE),
    condition("mutant-repair-trusts-tail", "3x1", "MUTANT_REPAIR_TRUSTS_TAIL KILL=WAITER", IN_LINE),
    condition("mutant-appends-by-tail", "3x2", "MUTANT_APPENDS_BY_TAIL", IN_LINE),
    ring("mutant-commits-first", "MUTANT_COMMITS_FIRST KILLS=1", IN_PLACE),
    ring("mutant-forgets-unfinished", "MUTANT_FORGETS_UNFINISHED KILLS=1", CHUNKS_COUNTED),
    ring("mutant-keeps-lists", "MUTANT_KEEPS_LISTS KILLS=1", CHUNKS_COUNTED),
    ring("mutant-trusts-memory", "MUTANT_TRUSTS_MEMORY KILLS=1", BACKED),
    arena("mutant-keeps-swept-name", "MUTANT_KEEPS_SWEPT_NAME KILLS=1", NO_BLOCK_LOST),
    arena("mutant-keeps-swept-name-2", "MUTANT_SWEEP_KNOWS_ONE KILLS=2", NO_BLOCK_LOST),
    arena("mutant-forgets-unbacked", "MUTANT_FORGETS_UNBACKED NO_MEMORY", BACKED),
    arena("mutant-frees-early", "MUTANT_FREES_EARLY", APART),
    redelivery("mutant-releases-first", "MUTANT_RELEASES_FIRST KILLS=1", NOT_FREED),
    redelivery("mutant-ends-lease-first", "MUTANT_ENDS_LEASE_FIRST KILLS=2", NOT_FREED),
    redelivery("mutant-counts-in-header", "MUTANT_COUNTS_IN_HEADER KILLS=2", MARKED),
)

CHECKS = PROVEN + LIMITS + MUTANTS


def compiler() -> str | None:
    """The C compiler: $CC, cc or gcc."""
    for name in (os.environ.get("CC", ""), "cc", "gcc"):
        if name and shutil.which(name):
            return name
    return None


def run(command: list[str], folder: Path) -> str:
    """Runs a tool in `folder` and returns what it printed; RuntimeError with that text if it failed."""
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIME_LIMIT_S
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def explore(check: Check, cc: str) -> Outcome:
    """Has Spin visit every state of one check. Any state may matter, so its partial order reduction stays off."""
    defines = [f"-D{parameter}" for parameter in check.parameters.split()]
    with tempfile.TemporaryDirectory(prefix="interproc-model-") as name:
        folder = Path(name)
        run(["spin", f"-P{cc} -E -x c", "-a", *defines, str(HERE / check.model)], folder)
        options = ["-DNOREDUCE", f"-DMEMLIM={MEMORY_LIMIT_MB}"]
        options += [] if check.liveness else ["-DSAFETY"]
        options += [] if check.fair else ["-DNOFAIR"]
        run([cc, "-O0", "-w", *options, "-o", "pan", "pan.c"], folder)
        search = (["-a"] if check.liveness else []) + (["-f"] if check.fair else [])
        return read_report(run(["./pan", f"-m{DEPTH_LIMIT}", *search], folder))


def read_report(report: str) -> Outcome:
    """Reads what the verifier printed."""
    stored = re.search(r"^\s*(\S+) states, stored", report, re.MULTILINE)
    errors = re.search(r"errors: (\d+)", report)
    states = int(float(stored[1])) if stored else 0
    if errors is None or "max search depth too small" in report or "out of memory" in report:
        return Outcome(states, "", f"the search is not complete:\n{report}")
    if errors[1] == "0":
        return Outcome(states, "", "")
    violation = re.search(r"^pan:1: (.*?)(?: \(at depth \d+\))?$", report, re.MULTILINE)
    found = violation[1] if violation else report
    for printed, property_name in PROPERTIES.items():
        if printed in found:
            return Outcome(states, property_name, "")
    return Outcome(states, "", f"an error that is none of the properties: {found}")


def judge(check: Check, outcome: Outcome) -> tuple[bool, str]:
    """Whether the outcome is the expected one, and how to say it."""
    if outcome.failure:
        return False, f"FAILED: {outcome.failure}"
    if outcome.refuted == check.refutes:
        return True, f"refuted: {check.refutes}" if check.refutes else "holds"
    if not check.refutes:
        return False, f"VIOLATED: {outcome.refuted}"
    return False, f"NOT REFUTED: {check.refutes}" + (f" (but: {outcome.refuted})" if outcome.refuted else "")


def version() -> str:
    """Names the models that a table of results belongs to."""
    digest = hashlib.sha256()
    for model in sorted(HERE.glob("*.pml")):
        digest.update(model.read_bytes())
    return digest.hexdigest()[:12]


def check_one(check: Check, cc: str) -> tuple[bool, int, str]:
    try:
        outcome = explore(check, cc)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        outcome = Outcome(0, "", str(error))
    good, result = judge(check, outcome)
    return good, outcome.states, result


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the Spin models.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only checks whose name contains this")
    parser.add_argument("--table", action="store_true", help="print a Markdown table")
    arguments = parser.parse_args()
    cc = compiler()
    if shutil.which("spin") is None or cc is None:
        print("check.py: needs spin and a C compiler (Debian: apt-get install spin gcc)", file=sys.stderr)
        return 2
    checks = [c for c in CHECKS if not arguments.names or any(name in c.name for name in arguments.names)]
    if not checks:
        print("check.py: no check has such a name", file=sys.stderr)
        return 2
    if arguments.table:
        print(f"Models `{version()}`:\n\n| check | states | result |\n|---|---:|---|")
    all_good = True
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = pool.map(lambda check: check_one(check, cc), checks)
        for check, (good, states, result) in zip(checks, results, strict=True):
            all_good = all_good and good
            layout = "| {} | {:,} | {} |" if arguments.table else "{:<36}{:>11,}  {}"
            print(layout.format(check.name, states, result), flush=True)
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
