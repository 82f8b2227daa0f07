# SPDX-License-Identifier: MIT
"""What every tool does alike: its words, one sentence for a trouble, running programs, keeping the terminal as it was."""
import argparse
import contextlib
import difflib
import errno
import os
import re
import signal
import subprocess
import sys
import termios
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Trouble(Exception):
    """What is wrong and what to do, for the person who started the tool."""


class Words(argparse.ArgumentParser):
    """Options are written out in full, and a wrong word is answered with the one that was probably meant."""

    def __init__(self, description, installs=False, **more):
        super().__init__(prog=name(), description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
                         **more)
        if installs:
            self.add_argument("--no-install", action="store_true",
                              help="install no packages with apt: what is needed is there already, or missing things are named")

    def parse_args(self, args=None, namespace=None):
        args, options = sys.argv[1:] if args is None else args, self._option_string_actions
        for word in args[:args.index("--")] if "--" in args else args:  # before argparse tells of what is missing beside it
            option = word.split("=")[0]
            if word.startswith("--") and " " not in word and option not in options:
                self.error(f"'{option}' is not known here{hint(option, options)}")
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"'{unknown[0]}' is not known here{hint('--' + unknown[0], options)}")
        if getattr(found, "no_install", False):
            os.environ["CAISSON_NO_INSTALL"] = "1"  # also for the tools that this one starts
        return found

    def error(self, message):
        m = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        super().error(message + (hint(m[1], re.findall(r"'(.*?)'", m[2])) if m else ""))


def name():
    path = os.path.abspath(sys.argv[0])
    return os.path.relpath(path, TOP) if path.startswith(TOP + os.sep) else os.path.basename(path)


def hint(word, known):
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def number(least=1, base=10, most=None):
    """A type of argparse's: a whole number from `least` on, or to `most`; base 16 with or without 0x."""
    def parse(text):
        try:
            value = int(text, base)
        except ValueError:
            value = least - 1
        if value < least or (most and value > most):
            bounds = f"from {least} {f'to {most}' if most else 'on'}"
            raise argparse.ArgumentTypeError(f"'{text}' is not a {'hexadecimal ' if base == 16 else ''}number {bounds}")
        return value
    return parse


def _ended(number, _):
    sys.exit(128 + number)  # by way of every `finally`


def _surroundings():
    """Signals that ask for an end give one; files that were closed (>&-) are nowhere, and not the next ones that are opened."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _ended)
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = sys.stdout or open(1, "w", closefd=False), sys.stderr or open(2, "w", closefd=False)


def _nowhere():
    """What is still to be printed has no reader; Python writes it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def start(main):
    """Runs a tool; ends the process with what main() returns. A trouble is one sentence and status 1."""
    _surroundings()
    try:
        status = main()
        sys.stdout.flush()
        sys.exit(status)
    except Trouble as e:
        sys.exit(f"{name()}: {e}")
    except KeyboardInterrupt:
        print(f"\n{name()}: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # who read the output has seen enough
        _nowhere()
        sys.exit(1)
    except OSError as e:
        if e.filename is None and e.errno in (errno.ENOSPC, errno.EIO):
            _nowhere()
            sys.exit(f"{name()}: what it prints cannot be written: {e.strerror}")
        if e.filename is None:
            raise
        sys.exit(f"{name()}: {sentence(e)}")


def sentence(e):
    """An OSError that has a file's name, or that of a program which was to be started."""
    raised_in = os.path.basename(traceback.extract_tb(e.__traceback__)[-1].filename)
    program = isinstance(e, FileNotFoundError) and raised_in == "subprocess.py" and os.sep not in str(e.filename)
    return f"the program {e.filename} is not in PATH" if program else f"{e.filename}: {e.strerror}"


def make(*words, quiet=False):
    """make in the tree's root."""
    pipe = subprocess.DEVNULL if quiet else None
    if subprocess.run(["make", "-s", "-C", TOP, *words], stdout=pipe, stderr=pipe).returncode:
        raise Trouble("the build failed")


def end(process):
    """Asks a program to end, which lets it put the terminal back, and ends it if it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


@contextlib.contextmanager
def terminal_kept():
    """The terminal is as it was afterwards, however the programs that changed it ended."""
    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, ValueError):
        before = None  # not a terminal
    try:
        yield
    finally:
        if before:
            # From the background, where a shell may have put this process meanwhile, too.
            old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            with contextlib.suppress(termios.error):  # it has been closed
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
            signal.signal(signal.SIGTTOU, old)
