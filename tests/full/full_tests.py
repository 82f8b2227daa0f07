# SPDX-License-Identifier: MIT
"""A whole Debian as dom0: under load, for half an hour, and with guests. tools/check --full."""
import functools
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import tarfile
import threading

from caisson import debian, guests, images, machine, packages
from guests import dom0
from harness import BUILD, ELF, OUT, TOP, Dialogue, clean, command, linux, need, once, run_machine, run_patching, test, test_kernel

STRESS = int(os.environ.get("CAISSON_STRESS_SECONDS", "600"))
AUDIT = re.compile(r"unused (\d+) writable (\d+) L1 (\d+) L2 (\d+) L3 (\d+) L4 (\d+) descriptors (\d+): audit (\w+)")
KEY_AUDIT = "\x01\x01\x01m\x01\x01\x01"  # to the hypervisor, key m, back to dom0


def package_source(path):
    """A directory that apt can install the package `hello` from, served on this machine: its port."""
    if not os.path.exists(f"{path}/Packages"):
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "hello"], cwd=path, check=True)
        deb = next(f for f in os.listdir(path) if f.endswith(".deb"))
        data = open(f"{path}/{deb}", "rb").read()
        with open(f"{path}/Packages", "w") as f:
            f.write(command("dpkg-deb", "-f", f"{path}/{deb}") +
                    f"Filename: ./{deb}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


@test("full: Debian under load", full=True, alone=True)
def load():
    """Packages are installed, disks and the network are busy, and as many frames are in use after it as before."""
    packages.ensure(["iperf3"])
    disk = debian.root_disk(f"{BUILD}/cache")
    port, iperf_port = package_source(f"{OUT}/packages"), 5201
    script = open(f"{TOP}/tests/full/full.sh").read()
    for name, value in (("URL", f"http://10.0.2.2:{port}"), ("PORT", iperf_port), ("SECONDS", STRESS)):
        script = script.replace(f"@{name}@", str(value))
    scratch = f"{OUT}/scratch.img"
    with open(scratch, "wb") as f:
        f.truncate(256 << 20)
    args = debian.command(OUT, ELF, disk, script, hv="loglvl=all guest_loglvl=all", cpu="max", smp=2, mem="3G", extra=[
        "-drive", f"file={machine.value(scratch)},format=raw,if=none,id=scratch", "-device", "virtio-blk-pci,drive=scratch,serial=scratch"])
    iperf = subprocess.Popen(["iperf3", "-s", "-p", str(iperf_port), "-B", "127.0.0.1"], stdout=subprocess.DEVNULL)
    try:
        button = Dialogue("full", [("full: over", ["system_powerdown"])])
        r = run_machine(args + button.arguments, STRESS + 3000, echo=button,
                        typed=[("full: audit before", KEY_AUDIT), ("full: audit after", KEY_AUDIT)])
    finally:
        iperf.terminate()
        iperf.wait()
    need("full: over" in r.output and "FAILED" not in r.output, "a part failed", r)
    need(not r.timed_out and "entering S5" in r.output, "the machine did not switch itself off", r)
    clean(r)
    audits = [m.groups() for m in AUDIT.finditer(r.output)]
    need(len(audits) == 2 and all(a[7] == "ok" for a in audits), f"audits of dom0's frames: {audits}", r)
    before, after = ([int(n) for n in a[:7]] for a in audits)
    need(sum(before) == sum(after), f"frames before: {sum(before)}, after: {sum(after)}")
    # Tables belong to processes, which are the same ones again, more or less.
    for n, what in ((2, "L1"), (3, "L2"), (4, "L3"), (5, "L4")):
        need(after[n] <= before[n] * 1.2 + 40, f"{what} tables: {before[n]} before, {after[n]} after")
    print(re.sub(r"\s+", " ", f"frames by type before {before}, after {after}"))


GUESTS = "../full/guests"  # from where the scripts for the small dom0 are
# Of Debian 13: the first ones, which need most of what differs from Debian 12.
STEPS = {"12": dom0.steps(GUESTS), "13": dom0.steps(GUESTS)[:3]}


def steps_in_debian(release):
    """The script for dom0: that release's steps, and the script's end."""
    text, last = dom0.script(GUESTS), STEPS[release][-1]["step"]
    begin, line, rest = re.split(rf'^(step "{re.escape(last)}" \w+\n)', text, flags=re.M)
    text = dom0.script("common") + begin + line + rest[rest.rindex("echo "):]
    return text.replace("@SECONDS@", str(STRESS // 2))


@once
def with_guests(release):
    """The console of that Debian, which runs the script, and switches the machine off at its end."""
    files, initrd = f"{OUT}/full-files.tar", guests.guest_initramfs(f"{OUT}/guest-6.1.cpio", linux())
    with tarfile.open(files, "w") as archive:
        archive.add(initrd, "initrd.img")
    disk, script = debian.root_disk(f"{BUILD}/cache", release), steps_in_debian(release)
    args = debian.command(OUT, ELF, disk, script, hv="loglvl=all guest_loglvl=all", smp=2, mem="3G", extra=[
        "-drive", f"file={machine.value(files)},format=raw,if=none,id=files,readonly=on",
        "-device", "virtio-blk-pci,drive=files,serial=files"])
    r = run_patching(args, 3600, smp=2)
    clean(r)
    return r


@test("full: guests in Debian {release}: {step}", full=True, alone=True,
      each=[{"release": release} | step for release in STEPS for step in STEPS[release]])
def guests_in_debian(release, step):
    """By what it does to them, and to dom0."""
    dom0.check(with_guests(release), step)


@test("full: Debian {release} with guests switches itself off", full=True, alone=True, each=[{"release": release} for release in STEPS])
def guests_over(release):
    """At the end of that script."""
    r = with_guests(release)
    need("guests: over" in r.output and "entering S5" in r.output and not r.timed_out, "the machine did not switch itself off", r)


@test("full: a machine with 520 GiB", full=True, alone=True)
def large_machine():
    """The largest that the tables are for."""
    # 6 GiB of the host's for the tables of frames; the p2m is longer than the largest block of the page allocator.
    bundle = images.bundle(f"{OUT}/large.cpio", test_kernel("start_p2m"))
    r = run_machine(machine.command(("direct", ELF, bundle, "noreboot"), mem="520G"), 600)
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    clean(r)


@test("full: systemctl {verb}", full=True, alone=True, each=[
    {"verb": "reboot", "said": "dom0 has ended: reboot"}, {"verb": "poweroff", "said": "entering S5"},
    {"verb": "halt", "said": "reboot: System halted"}])
def systemctl(verb, said):
    """The machine does what dom0 is told."""
    args = debian.command(OUT, ELF, debian.root_disk(f"{BUILD}/cache"), f"systemctl {verb}\n", hv="loglvl=all", cpu="max", smp=2, mem="1G")
    r = run_machine(args, 400, until=said if verb == "halt" else None)
    need(said in r.output and not r.timed_out, f"the machine did not {verb}", r)
    clean(r)
