# SPDX-License-Identifier: MIT
"""Debian packages: what each job needs, and installing what is missing."""
import fcntl
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib

from .cli import Trouble

BUILD = ["gcc", "make", "binutils", "libc6-dev", "liblzma-dev", "libzstd-dev", "zlib1g-dev", "liblz4-dev", "libqrcodegen-dev",
         "grub-common"]
RUN = ["qemu-system-x86", "ovmf", "grub-pc-bin", "grub-efi-amd64-bin", "xorriso", "mtools", "busybox-static"]
CHECK = ["libcmocka-dev", "libxen-dev", "clang", "libclang-rt-14-dev", "gdb", "zstd", "xz-utils", "lz4", "zbar-tools", "lcov", "bochs",
         "bochs-term", "bochsbios", "seabios", "spin", "cppcheck", "clang-format", "pyflakes3"]


def step(text):
    """One line for each long step, with the time it started."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


# What a package is needed for here: a program in PATH, or a file. The others are known by their name.
PROVIDES = {
    "gcc": "gcc", "make": "make", "binutils": "ld", "grub-common": "grub-mkrescue", "qemu-system-x86": "qemu-system-x86_64",
    "ovmf": "/usr/share/OVMF/OVMF_CODE.fd", "grub-pc-bin": "/usr/lib/grub/i386-pc", "grub-efi-amd64-bin": "/usr/lib/grub/x86_64-efi",
    "xorriso": "xorriso", "mtools": "mcopy", "busybox-static": "/bin/busybox", "clang": "clang", "gdb": "gdb", "zstd": "zstd",
    "xz-utils": "xz", "lz4": "lz4", "zbar-tools": "zbarimg", "lcov": "lcov", "bochs": "bochs-bin", "spin": "spin",
    "mmdebstrap": "mmdebstrap",
    "e2fsprogs": "/sbin/mke2fs", "openssh-client": "ssh-keygen", "iperf3": "iperf3", "clang-format": "clang-format",
    "pyflakes3": "pyflakes3",
}
# Fails where a mirror cannot be reached; by itself apt calls an old list a success.
UPDATE = ["-o", "APT::Update::Error-Mode=any", "update"]


def _installed(packages):
    """Which of them dpkg has."""
    if not shutil.which("dpkg-query"):
        return set()
    r = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages], capture_output=True, text=True)
    return {line.split()[0] for line in r.stdout.splitlines() if line.endswith(" ok installed")}


def _usable(package):
    """The program or file is there, whoever put it there. Libraries the build looks for itself."""
    what = PROVIDES.get(package, "/")
    return os.path.exists(what) if what.startswith("/") else bool(shutil.which(what))


def as_root(command):
    """The command, as root; a Trouble that names it where there is no way to be root."""
    if os.geteuid() == 0:
        return command
    if not shutil.which("sudo"):
        raise Trouble(f"this needs root, and there is no sudo. Run as root: {' '.join(command)}")
    return ["sudo"] + command


def ensure(packages):
    """Installs those that are missing, unless --no-install was given; afterwards all that they provide can be used."""
    own = bool(os.environ.get("CAISSON_NO_INSTALL"))
    missing = [p for p in packages if not _usable(p)] if own else sorted(set(packages) - _installed(packages), key=packages.index)
    if missing and own:
        raise Trouble("missing: " + ", ".join(f"{PROVIDES[p]} (Debian's package {p})" for p in missing))
    if missing:
        _install(missing)
    lost = [f"{PROVIDES[p]} (package {p})" for p in packages if not _usable(p)]
    if lost:
        raise Trouble(f"not found although installed: {', '.join(lost)}. PATH is {os.environ.get('PATH', '')}")


def _install(missing):
    if not shutil.which("apt-get"):
        raise Trouble(f"this is not a Debian: install what its packages {' '.join(missing)} hold, then give --no-install")
    if os.geteuid() and not shutil.which("sudo"):
        raise Trouble(f"packages are missing, and there is no sudo. Install them as root: apt-get install {' '.join(missing)}")
    step("installing " + " ".join(missing))
    env, said = dict(os.environ, DEBIAN_FRONTEND="noninteractive"), ""
    for words in (UPDATE, ["install", "-y", "--no-install-recommends"] + missing):
        r = subprocess.run(as_root(["apt-get", "-qq"] + words), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said += r.stdout if r.returncode else ""
    if r.returncode:  # an old list of packages may be good enough
        raise Trouble(f"{said.strip()}\n{_unreachable(said)}apt-get failed. Install these packages by hand: {' '.join(missing)}")


def _unreachable(said):
    """A sentence if apt could not reach a mirror."""
    m = re.search(r"(?:Failed to fetch|Err:\d+) (\S+?://[^/\s]+).*?(?:\n|  )(.*)", said)
    return f"Cannot reach {m[1]}: {m[2].strip()}\n" if m else ""


# Drivers that the tests load into dom0, from the same package.
modules = ["e1000e", "scsi_common", "scsi_mod", "libata", "libahci", "ahci", "virtio", "virtio_ring", "virtio_pci_modern_dev",
           "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "failover", "net_failover", "virtio_net", "usb-common", "usbcore",
           "xhci-hcd", "xhci-pci", "hid", "usbhid", "hid-generic", "evdev", "efivarfs",
           "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs", "xen-blkback", "xen-netback", "loop", "llc", "stp", "bridge",
           "xen-blkfront", "xen-netfront"]

# Kernels that are known to run, oldest first: the suite that each comes from.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "bookworm-backports", "7.2": "sid"}


def module_file(kernel, name):
    """Path of a driver that came with a downloaded kernel."""
    root = kernel
    while not os.path.basename(root).startswith("linux-image-"):
        root = os.path.dirname(root)
    return next(os.path.join(d, f) for d, _, files in os.walk(root) for f in files if f.startswith(name + ".ko"))


def mirror():
    """Where this machine gets its packages from: the first Debian source that apt has."""
    r = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE) $(ORIGIN)", "Created-By: Packages"], capture_output=True, text=True)
    for line in r.stdout.splitlines():
        site, _, origin = line.partition(" ")
        if origin == "Debian" and "security" not in site:
            return site
    return "http://deb.debian.org/debian"


def _private_root(cache, suite):
    """An apt configuration with that one suite, which touches nothing of the machine's own; options for apt."""
    root = os.path.join(cache, "apt-" + suite)
    for d in ("etc/apt/preferences.d", "etc/apt/apt.conf.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"):
        os.makedirs(os.path.join(root, d), exist_ok=True)
    open(os.path.join(root, "var/lib/dpkg/status"), "a").close()
    with open(os.path.join(root, "etc/apt/sources.list"), "w") as f:
        f.write(f"deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror()} {suite} main\n")
    options = ["-o", f"Dir={root}", "-o", f"Dir::State::status={root}/var/lib/dpkg/status", "-o", "APT::Sandbox::User=root",
               "-o", "Acquire::Check-Valid-Until=false"]
    step(f"reading the package list of {suite}")
    r = subprocess.run(["apt-get", "-qq"] + options + UPDATE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        raise Trouble(f"{r.stdout.strip()}\n{_unreachable(r.stdout)}The package list of {suite} cannot be read. Is there a network? "
                      "tools/run --kernel FILE does without")
    return options


def _depends(options, package):
    lines = subprocess.run(["apt-cache"] + options + ["depends", package], capture_output=True, text=True).stdout.splitlines()
    return [l.split()[-1] for l in lines if "Depends:" in l]


def _kernel_packages(options, meta):
    """The image that `meta` stands for, then what newer ones are split into."""
    names = [n for n in _depends(options, meta) if n.startswith("linux-image")]
    if not names:
        raise Trouble(f"apt knows no package {meta}. Is this Debian 12 with its usual package sources?")
    return names[:1] + [n for n in _depends(options, names[0]) if n.startswith(("linux-binary-", "linux-modules-"))]


def download_xen(cache):
    """The distribution's Xen, to compare with: the path of its image."""
    root = os.path.join(cache, "xen")
    path = os.path.join(root, "boot", "xen-4.17-amd64.gz")
    if not os.path.exists(path):
        os.makedirs(root, exist_ok=True)
        step("downloading Xen 4.17")
        for command in (["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "xen-hypervisor-4.17-amd64"],
                        ["sh", "-c", "dpkg-deb -x xen-hypervisor-4.17-amd64_*.deb . && rm xen-hypervisor-4.17-amd64_*.deb"]):
            if subprocess.run(command, cwd=root).returncode:
                raise Trouble("Xen 4.17 cannot be had: is this Debian 12 with its usual package sources?")
    return path


def download_headers(cache):
    """Xen's public headers of Debian 13, where 4.20's are: a folder for gcc's -isystem."""
    root = os.path.join(cache, "libxen-dev-4.20")
    with open(root + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run beside each other
        if not os.path.exists(root):
            options = _private_root(cache, "trixie")
            with tempfile.TemporaryDirectory(dir=cache) as unpacked:
                step("downloading libxen-dev of trixie")
                for command in (["apt-get", "-qq"] + options + ["download", "libxen-dev"], ["sh", "-c", "dpkg-deb -x libxen-dev_*.deb ."]):
                    if subprocess.run(command, cwd=unpacked).returncode:
                        raise Trouble("libxen-dev of Debian 13 cannot be had: is this Debian 12 with its usual package sources?")
                shutil.move(os.path.join(unpacked, "usr", "include"), root)
    return root


def download_qemu(cache):
    """A newer QEMU than the distribution's, unpacked, not installed: the command's first words. It uses the installed one's libraries."""
    root = os.path.join(cache, "qemu")
    words = [f"{root}/usr/bin/qemu-system-x86_64", "-L", f"{root}/usr/share/qemu", "-L", f"{root}/usr/share/seabios"]
    with open(root + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run beside each other
        if os.path.exists(words[0]):
            return words
        shutil.rmtree(root, ignore_errors=True)
        options = _private_root(cache, "bookworm-backports")
        unpacked = root + ".new"
        shutil.rmtree(unpacked, ignore_errors=True)
        os.makedirs(unpacked)
        step("downloading QEMU of bookworm-backports")
        for command in (["apt-get", "-qq"] + options + ["download", "qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"],
                        ["sh", "-ec", "for deb in *.deb; do dpkg-deb -x $deb . && rm $deb; done"]):
            if subprocess.run(command, cwd=unpacked).returncode:
                raise Trouble("the newer QEMU cannot be had: is this Debian 12 with its usual package sources?")
        os.rename(unpacked, root)
    return words


def _unpack(deb, root):
    """The kernel and the drivers named above; some are built into some kernels."""
    source = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    with tarfile.open(fileobj=source.stdout, mode="r|") as archive:
        for member in archive:
            base = os.path.basename(member.name)
            if member.isfile() and (base.startswith("vmlinuz") or base.split(".ko")[0] in modules and ".ko" in base):
                archive.extract(member, root)
    if source.wait():
        raise Trouble(f"{deb} cannot be unpacked")


def download_kernel(cache, version="6.1", meta="linux-image-amd64"):
    """The bzImage of the newest kernel that the suite for `version` has, as shipped. Kept in `cache`."""
    suite = SUITES[version]
    marker = os.path.join(cache, f"{meta}-{suite}-{zlib.crc32(' '.join(modules).encode()):08x}.path") # a longer list: unpacked anew
    if os.path.exists(marker):
        path = os.path.realpath(os.path.join(cache, open(marker).read()))
        if os.path.exists(path) and path.startswith(os.path.realpath(cache) + os.sep):  # not that of the checkout this one is a copy of
            return path
    os.makedirs(cache, exist_ok=True)
    options = _private_root(cache, suite)
    names = _kernel_packages(options, meta)
    root = os.path.join(cache, names[0])
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    for name in names:
        step(f"downloading and unpacking {name}")
        if subprocess.run(["apt-get", "-qq"] + options + ["download", name], cwd=root).returncode:
            raise Trouble(f"apt-get could not download {name}")
        deb = next(os.path.join(root, f) for f in os.listdir(root) if f.endswith(".deb"))
        _unpack(deb, root)
        os.unlink(deb)
    path = next(os.path.join(d, f) for d, _, files in os.walk(root) for f in files if f.startswith("vmlinuz"))
    with open(marker, "w") as f:
        f.write(os.path.relpath(path, cache))
    return path
