# SPDX-License-Identifier: MIT
"""The runner of the tests itself, on a folder of tests made for it."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

from harness import OUT, TOP, need, test

START = f"""
import sys
sys.path[:0] = ["{TOP}/tests", "{TOP}/tools"]
import harness, run
from caisson import cli
harness.OUT = sys.argv[1] + "/out"
cli.start(lambda: run.main(sys.argv[2:], sys.argv[1], before=lambda: None))
"""
MODULE = '''
import os
from harness import command, need, once, run_machine, test

class Result:
    output = "first\\ntests.c:12: check failed: a == b (got 0x1, want 0x2)\\n" + "later\\n" * 30

@test("fake: passes")
def passes():
    """Prints, which is no part of the list of results."""
    print("a word in passing")

@test("fake: fails", each=())
def never():
    """Registered no times."""

@test("fake: fails {how}", each=[{"how": "by a check"}, {"how": "by itself"}])
def fails(how):
    """Until somebody mends it, and with what XML cannot hold."""
    if os.path.exists("@/mended"):
        return
    need(how == "by itself", "two \\x00 <words>", Result)
    raise ValueError("<nobody> & thought of it")

@once
def broken():
    """What two tests need, and cannot be had."""
    with open("@/made", "a") as f:
        f.write("x")
    command("sh", "-c", "echo broken.c:3: error: no such thing; exit 1")

@test("needs: {which}", each=[{"which": "one"}, {"which": "other"}])
def needs(which):
    """Fails with the compiler's lines."""
    if not os.path.exists("@/mended"):
        broken()

@test("order: alone", alone=True)
def alone():
    """The last."""

@test("order: long", minutes=1)
def long():
    """The first."""

@test("machine: one")
def one():
    """QEMU, which prints something instead of starting."""
    run_machine(["echo", "a console's line"], 10)

@test("slow: one", full=True)
def slow():
    """As long as nobody interrupts it."""
    print("started")
    command("sleep", "98765")
'''


def folder(name):
    """A folder with the module of fake tests."""
    top = f"{OUT}/runner-{name}"
    shutil.rmtree(top, ignore_errors=True)
    os.makedirs(f"{top}/fakes")
    with open(f"{top}/fakes/fake_tests.py", "w") as f:
        f.write(MODULE.replace("@", top).replace(f"{top}test", "@test").replace(f"{top}once", "@once"))
    return top


def check(top, *words):
    """Status, and what is printed."""
    r = subprocess.run([sys.executable, "-c", START, top, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return r.returncode, r.stdout


@test("runner: words that make no sense are refused before anything runs")
def wrong_words():
    """An unknown option, a number that is none, words that no test's name contains."""
    top = folder("words")
    for words, status, said in ((["--ful"], 2, "'--ful' is not known here; did you mean --full?"),
                                (["-j", "0"], 2, "is not a number from 1 on"),
                                (["nosuch"], 1, "no test's name contains 'nosuch'; tools/check --list shows all"),
                                (["passes", "nosuch"], 1, "no test's name contains 'nosuch'"), (["--without=:"], 1, "no test is left"),
                                (["--failed"], 1, "no test failed")):
        got, output = check(top, *words)
        need(got == status and said in output and "running" not in output, f"{words}: status {got}, and it says: {output}")


@test("runner: --list names the tests and runs none")
def listed():
    """In the order in which they would run."""
    status, output = check(folder("list"), "--list")
    need(status == 0 and output.splitlines() == ["order: long", "fake: passes", "fake: fails by a check", "fake: fails by itself",
                                                 "needs: one",
                                                 "needs: other", "machine: one", "order: alone"], output)


@test("runner: results, logs, junit.xml and --failed")
def results():
    """What fails is told with its reason; the others are not disturbed."""
    top = folder("results")
    status, output = check(top)
    need(status == 1 and re.search(r"^4 passed, 4 failed, in [\d.]+ s$", output, re.M), output)
    need(re.search(r"^\[1/8\] ok   order: long \(\d", output, re.M) and re.search(r"^\[8/8\] ok   order: alone \(", output, re.M), output)
    need("a word in passing" not in output and "failed: fake: fails by itself" in output, output)
    need("two \x00 <words>\n     tests.c:12: check failed: a == b (got 0x1, want 0x2)\n     The console ends:\n     later" in output,
         output)
    need("ValueError: <nobody> & thought of it" in output, output)
    need(output.count("\n     broken.c:3: error: no such thing") == 2 and open(f"{top}/made").read() == "x",
         "what two tests need was made twice, or not told")
    with open(f"{top}/out/machine-one.log") as f:
        text = f.read()
    need(text.startswith("# echo 'a console'\"'\"'s line'\n"), f"the log: {text}")
    need("\na console's line -serial stdio -monitor unix:" in text, f"the log: {text}")
    suite = xml.parse(f"{top}/out/junit.xml").getroot()
    need((suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("8", "4", "0"), f"junit.xml: {suite.attrib}")
    need(sum(1 for case in suite if case.find("failure") is not None) == 4, "junit.xml: another number of failures")
    # Only what failed, until it passes.
    open(f"{top}/mended", "w").close()
    status, output = check(top, "--failed", "-j1")
    need(status == 0 and re.search(r"^4 passed, 0 failed", output, re.M), output)
    need(check(top, "--failed")[0] == 1 and len(json.load(open(f"{top}/out/times.json"))) == 8, "not all results were kept")


@test("runner: Ctrl-C ends what runs, and says how far it came")
def interrupted():
    """Status 130; nothing of it is left behind."""
    top = folder("interrupted")
    # What runs in the background or under nohup hands down signals that are ignored.
    p = subprocess.Popen(["env", "--default-signal=INT", sys.executable, "-c", START, top, "--full"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, start_new_session=True)
    log = f"{top}/out/slow-one.log"
    for _ in range(600):
        if os.path.exists(log):
            break
        time.sleep(0.1)
    time.sleep(0.3)
    p.send_signal(signal.SIGINT)
    output = p.communicate(timeout=60)[0]
    need(p.returncode == 130 and output.endswith("interrupted: 0 passed, 0 failed, 1 not run\n"), f"status {p.returncode}: {output}")
    # What has ended and waits for somebody to ask for its status (the machine's first process takes its time) does not run any more.
    ps = subprocess.run(["ps", "-s", str(p.pid), "-o", "stat=,args="], capture_output=True, text=True).stdout
    left = [line for line in ps.splitlines() if not line.startswith("Z")]
    need(not left, f"still running: {left}")
    need(xml.parse(f"{top}/out/junit.xml").getroot().get("skipped") == "1", "junit.xml does not say so")
