#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests: build checks, unit tests, small PV kernels, boots of Debian's kernel. tools/check is the way in."""
import glob
import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import harness  # noqa: E402
from harness import TOP, Failed  # noqa: E402
from caisson import build, cli, packages  # noqa: E402
from caisson.cli import Trouble  # noqa: E402

TIMES = "times.json"  # of each test: seconds, and whether it passed the last time that it ran
FIRST = ("build", "unit", "kernels")  # folders whose failures explain those of others
CONSOLE = sys.stdout
DESCRIPTION = "Installs what is needed, builds, and runs every test, or those that are asked for."
EPILOG = """\
Of each test, build/check/TEST.log has the command line and the whole console of every machine that it ran;
build/check/junit.xml has all results. Exit status: 0 if all passed, 1 if not, or if a word
is in no test's name; 2 for options that are not known; 130 after Ctrl-C."""


def arguments(argv):
    p = cli.Words(DESCRIPTION, installs=True, epilog=EPILOG)
    p.add_argument("words", metavar="WORD", nargs="*", help="only the tests whose names contain one of the words")
    p.add_argument("--list", action="store_true", help="print the names of the tests, in the order in which they would start, and run none")
    p.add_argument("--failed", action="store_true", help="only the tests that did not pass the last time that they ran")
    p.add_argument("--without", metavar="WORD", action="append", default=[],
                   help="leave out the tests whose names contain the word (may be repeated)")
    p.add_argument("--full", action="store_true",
                   help="the long tests instead: a whole Debian under load, one with guests; more than an hour")
    p.add_argument("-j", "--jobs", metavar="N", type=cli.number(), default=min(2, os.cpu_count() or 1),
                   help="run N tests beside each other (default: %(default)s)")
    return p.parse_args(argv)


# ---- which tests ----

def load(top):
    """What every *_tests.py in a folder of `top` registers."""
    sys.path.insert(0, top)
    found = [(os.path.basename(os.path.dirname(path)), os.path.basename(path)[:-3]) for path in sorted(glob.glob(f"{top}/*/*_tests.py"))]
    for folder, name in sorted(found, key=lambda f: FIRST.index(f[0]) if f[0] in FIRST else len(FIRST)):
        module = importlib.import_module(f"{folder}.{name}")
        if hasattr(module, "register"):
            module.register()
        if not any(t.function.func.__module__ == module.__name__ for t in harness.tests):
            raise Trouble(f"{folder}/{name}.py registers no test")
    titles = [t.title for t in harness.tests]
    twice = {t for t in titles if titles.count(t) > 1}
    if twice:
        raise Trouble(f"two tests have the same name: {', '.join(sorted(twice))}")
    return harness.tests


def select(tests, a, last):
    """The tests that were asked for; a sentence and the end if that makes no sense."""
    chosen = [t for t in tests if t.full == a.full]
    for word in a.words:
        if not any(word in t.title for t in chosen):
            raise Trouble(f"no test's name contains '{word}'; tools/check --list shows all")
    if a.words:
        chosen = [t for t in chosen if any(word in t.title for word in a.words)]
    if a.failed:
        chosen = [t for t in chosen if not last.get(t.title, {}).get("passed", True)]
        if not chosen:
            raise Trouble("no test failed the last time that it ran")
    chosen = [t for t in chosen if not any(word in t.title for word in a.without)]
    if not chosen:
        raise Trouble("no test is left: --without names all of them")
    return chosen


def in_order(tests):
    """The longest first: they run beside all others. Those that run alone last."""
    return sorted(tests, key=lambda t: (t.alone, -t.minutes))


def last_run():
    try:
        with open(f"{harness.OUT}/{TIMES}") as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


# ---- running them ----

class Output:
    """In place of sys.stdout: what is printed while a test runs goes into that test's log."""

    def write(self, text):
        log = harness.current_log()
        (log or CONSOLE).write(text)

    def flush(self):
        CONSOLE.flush()


def duration(seconds):
    """For people: 7.3 s, 4:05 min."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


class Run:
    """A run of some tests by some threads."""

    def __init__(self, tests, jobs, last):
        self.tests, self.jobs, self.last = tests, jobs, last
        self.results, self.lock, self.stopped = {}, threading.Lock(), False
        self.started = time.monotonic()

    def left(self):
        """Seconds until the end, by what each test took the last time; None if too few are known."""
        known = {**{t: r["seconds"] for t, r in self.last.items()}, **{t.title: r[0] for t, r in self.results.items()}}
        times = [known[t.title] for t in self.tests if t.title in known]
        if len(times) < len(self.tests) / 2:
            return None
        mean = sum(times) / len(times)
        return sum(known.get(t.title, mean) for t in self.tests if t not in self.results) / self.jobs

    def one(self, test):
        log = harness.start_log(test.title)
        start, error = time.monotonic(), None
        try:
            test.function()
        except (Failed, Trouble) as e:
            error = str(e)
        except (Exception, SystemExit) as e:  # a broken test is a failed one
            error = f"{type(e).__name__}: {e}"
        harness.end_log()
        with self.lock:
            if self.stopped:
                return
            seconds = time.monotonic() - start
            self.results[test] = seconds, error, log
            left = self.left()
            after = f", about {duration(left)} left" if left and left >= 60 else ""
            width = len(str(len(self.tests)))
            verdict = "FAIL" if error else "ok  "
            print(f"[{len(self.results):{width}}/{len(self.tests)}] {verdict} {test.title} ({duration(seconds)}{after})",
                  file=CONSOLE, flush=True)
            if error:
                where = f"\nThe whole console: {os.path.relpath(log.path, TOP)}" if log.written else ""
                print("     " + (error + where).replace("\n", "\n     "), file=CONSOLE, flush=True)

    def several(self, tests, jobs):
        waiting = queue.SimpleQueue()
        for t in tests:
            waiting.put(t)

        def work():
            while not self.stopped:
                try:
                    self.one(waiting.get_nowait())
                except queue.Empty:
                    return
        threads = [threading.Thread(target=work, daemon=True) for _ in range(jobs)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def all(self):
        """False: interrupted."""
        try:
            self.several([t for t in self.tests if not t.alone], self.jobs)
            self.several([t for t in self.tests if t.alone], 1)
            return True
        except BaseException as e:  # Ctrl-C, or this process is to end
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with self.lock:
                self.stopped = True
            end_children()
            if not isinstance(e, KeyboardInterrupt):
                raise
            return False

    def report(self):
        """The last lines, times.json and junit.xml: how many passed, failed and did not run."""
        failed = [t.title for t in self.tests if t in self.results and self.results[t][1]]
        known = {t.title for t in harness.tests}
        times = {t: r for t, r in self.last.items() if t in known}
        times.update({t.title: {"seconds": round(r[0], 1), "passed": not r[1]} for t, r in self.results.items()})
        with open(f"{harness.OUT}/{TIMES}", "w") as f:
            json.dump(times, f, indent=0)
        self.junit(f"{harness.OUT}/junit.xml")
        for title in failed:
            print(f"failed: {title}")
        return len(self.results) - len(failed), len(failed), len(self.tests) - len(self.results)

    def junit(self, path):
        suite = xml.Element("testsuite", name="caisson", tests=str(len(self.tests)),
                            failures=str(sum(1 for r in self.results.values() if r[1])),
                            skipped=str(len(self.tests) - len(self.results)), time=f"{time.monotonic() - self.started:.1f}")
        for t in self.tests:
            seconds, error, log = self.results.get(t, (0, None, None))
            subject, _, name = t.title.partition(": ")
            case = xml.SubElement(suite, "testcase", classname=subject, name=name or subject, time=f"{seconds:.1f}")
            if not log:
                xml.SubElement(case, "skipped")
                continue
            if error:
                xml.SubElement(case, "failure", message=printable(error.splitlines()[0] if error else "")).text = printable(error)
            if log.written:
                xml.SubElement(case, "system-out").text = os.path.relpath(log.path, TOP)
        xml.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def printable(text):
    """Without what XML cannot hold."""
    return "".join(c if c in "\n\t" or " " <= c < "\ud800" else "?" for c in text)


def end_children():
    """The machines and compilers that this process has started."""
    for task in os.listdir("/proc/self/task"):
        for child in open(f"/proc/self/task/{task}/children").read().split():
            try:
                os.kill(int(child), signal.SIGTERM)
            except ProcessLookupError:
                pass


def prepare():
    """Programs and the hypervisor."""
    if harness.COVERAGE:
        return  # tools/coverage has done it
    packages.ensure(packages.BUILD + packages.RUN + packages.CHECK)
    build.hypervisor()


def main(argv, top=HERE, before=prepare):
    a = arguments(argv)
    os.makedirs(harness.OUT, exist_ok=True)
    last = last_run()
    chosen = in_order(select(load(top), a, last))
    if a.list:
        print("\n".join(t.title for t in chosen))
        return 0
    before()
    packages.step(f"running {len(chosen)} test{'s' * (len(chosen) != 1)}")
    sys.stdout = Output()
    run = Run(chosen, a.jobs, last)
    whole = run.all()
    sys.stdout = CONSOLE
    passed, failed, rest = run.report()
    if not whole:
        print(f"interrupted: {passed} passed, {failed} failed, {rest} not run")
        return 130
    print(f"{passed} passed, {failed} failed, in {duration(time.monotonic() - run.started)}")
    return 1 if failed else 0


if __name__ == "__main__":
    cli.start(lambda: main(sys.argv[1:]))
