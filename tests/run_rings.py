#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the trees and runs the test rings, from fast to wide; tests/run is the command for it."""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "test-logs"
FUZZ_SECONDS = int(os.environ.get("POSTRAFT_FUZZ_SECONDS", "6"))
RING_DEADLINE_S = 20 * 60  # a ring that takes longer is ended and has failed
LANES = 2  # system tests and fuzzers that run at a time
# System tests that measure how soon something is back, or load the machine with faults: nothing runs beside them.
ALONE = {"test_clock_back", "test_faults", "test_leader_killed", "test_power_loss", "test_processes_killed", "test_quickstart",
         "test_relay_killed", "test_relay_stopped"}

passed, failed, skipped = [], [], []


def say(text):
    print(text, flush=True)


def note(name, verdict, detail=""):
    {"ok": passed, "FAIL": failed, "skip": skipped}[verdict].append(name)
    if verdict != "ok":
        say(f"{verdict:>4} {name} {detail}")


def run(name, command, **options):
    """Runs a command with its output in a log; returns whether it succeeded, and the log."""
    log = LOGS / (name.replace("/", "-") + ".log")
    with open(log, "wb") as out:
        try:
            result = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
                                    stdin=subprocess.DEVNULL, timeout=RING_DEADLINE_S, **options)
            return result.returncode == 0, log
        except subprocess.TimeoutExpired:
            out.write(b"\nended: over its deadline\n")
            return False, log


def tail(log, lines=25):
    for line in log.read_text(errors="replace").splitlines()[-lines:]:
        say("     | " + line)


def build(preset):
    """Configures and builds one tree. Without it nothing can be tested: it ends the run."""
    start = time.monotonic()
    good, log = run(f"build-{preset}", ["cmake", "--preset", preset])
    if good:
        good, log = run(f"build-{preset}", ["cmake", "--build", "--preset", preset])
    if not good:
        note(f"build/{preset}", "FAIL", str(log))
        tail(log, 40)
        finish()
    note(f"build/{preset}", "ok")
    say(f"built {preset} in {time.monotonic() - start:.0f} s")


def ctest(ring, preset, *arguments):
    report = LOGS / f"{ring}-{preset}.xml"
    report.unlink(missing_ok=True)
    _, log = run(f"{ring}-{preset}",
                 ["ctest", "--test-dir", str(BUILD / preset), "--output-on-failure", "-j2",
                  "--timeout", "600", "--output-junit", str(report), *arguments])
    if not report.exists():
        note(f"{ring}/{preset}", "FAIL", str(log))
        tail(log)
        return
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{preset}/{case.get('name')}"
        bad = case.get("status") == "fail" or case.find("failure") is not None
        note(name, "FAIL" if bad else "ok")
        if bad:
            output = case.findtext("system-out") or ""
            for line in output.splitlines()[-30:]:
                say("     | " + line)


def ring_tidy():
    good, log = run("tidy", [sys.executable, "tests/tidy.py"])
    note("tidy", "ok" if good else "FAIL")
    if not good:
        tail(log)


def ring_unit():
    build("asan")
    ctest("unit", "asan", "-LE", "sim")


def ring_threads():
    build("tsan")
    ctest("threads", "tsan", "-L", "threads")


def ring_sim():
    build("release")
    ctest("sim", "release", "-L", "sim")


def beside_each_other(work, items):
    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        for future in [lanes.submit(work, item) for item in items]:
            future.result()


def fuzz(target):
    corpus = ROOT / "tests/fuzz/corpus" / target.name[len("fuzz_"):]
    fresh = BUILD / "fuzz-fresh" / target.name
    fresh.mkdir(parents=True, exist_ok=True)
    good, log = run(target.name, [str(target), f"-max_total_time={FUZZ_SECONDS}", "-timeout=10",
                                  "-rss_limit_mb=2048", "-print_final_stats=1",
                                  f"-artifact_prefix={LOGS}/", str(fresh), str(corpus)])
    note(f"fuzz/{target.name}", "ok" if good else "FAIL", str(log))
    if not good:
        tail(log)


def ring_fuzz():
    build("fuzz")
    beside_each_other(fuzz, sorted((BUILD / "fuzz" / "tests").glob("fuzz_*")))


def system(script):
    start = time.monotonic()
    good, log = run(script.stem, [sys.executable, str(script)])
    last = (log.read_text(errors="replace").rstrip().splitlines() or [""])[-1]
    if good and last.startswith("skipped:"):
        note(f"system/{script.stem}", "skip", last)
        return
    note(f"system/{script.stem}", "ok" if good else "FAIL", str(log))
    say(f"     {script.stem} took {time.monotonic() - start:.0f} s")
    if not good:
        tail(log, 40)


def ring_system():
    build("release")
    build("asan")
    scripts = sorted((ROOT / "tests/system").glob("test_*.py"))
    beside_each_other(system, [script for script in scripts if script.stem not in ALONE])
    for script in scripts:
        if script.stem in ALONE:
            system(script)


RINGS = {"tidy": ring_tidy, "unit": ring_unit, "threads": ring_threads, "sim": ring_sim,
         "fuzz": ring_fuzz, "system": ring_system}


def finish():
    say(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    sys.exit(1 if failed or not passed else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="rings to run, separated by commas")
    parser.add_argument("--list", action="store_true", help="name the rings and end")
    options = parser.parse_args()
    if options.list:
        print("\n".join(RINGS))
        return
    wanted = options.only.split(",") if options.only else list(RINGS)
    unknown = [ring for ring in wanted if ring not in RINGS]
    if unknown:
        parser.error(f"no such ring: {', '.join(unknown)} (there are: {', '.join(RINGS)})")
    LOGS.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=1")
    os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    for ring in wanted:
        start = time.monotonic()
        say(f"== {ring}")
        RINGS[ring]()
        say(f"== {ring}: {time.monotonic() - start:.0f} s")
    finish()


main()
