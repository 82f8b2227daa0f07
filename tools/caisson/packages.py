"""Debian packages: what each job needs, and installing what is missing."""
import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
import time

BUILD = ["gcc", "make", "binutils", "libc6-dev", "liblzma-dev", "libzstd-dev", "zlib1g-dev", "liblz4-dev", "libqrcodegen-dev", "grub-common"]
RUN = ["qemu-system-x86", "ovmf", "grub-pc-bin", "grub-efi-amd64-bin", "xorriso", "mtools", "busybox-static"]
CHECK = ["libcmocka-dev", "libxen-dev", "clang", "libclang-rt-14-dev", "gdb", "zstd", "xz-utils", "lz4", "zbar-tools", "lcov", "bochs", "bochs-term", "bochsbios", "seabios", "spin"]


def step(text):
    """One line for each long step, with the time it started."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def _installed(package):
    r = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
    return r.stdout.endswith("ok installed")


def as_root(command):
    return command if os.geteuid() == 0 else ["sudo"] + command


def ensure(packages):
    missing = [p for p in packages if not _installed(p)]
    if not missing:
        return
    step("installing " + " ".join(missing))
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["apt-get", "-qq", "update"], ["apt-get", "-qqy", "install", "--no-install-recommends"] + missing):
        r = subprocess.run(as_root(command), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            sys.exit(f"{r.stdout}\n{' '.join(command)} failed. Install these packages by hand: {' '.join(missing)}")


# Drivers that the tests load into dom0, from the same package.
modules = ["e1000e", "scsi_common", "scsi_mod", "libata", "libahci", "ahci", "virtio", "virtio_ring", "virtio_pci_modern_dev",
           "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "failover", "net_failover", "virtio_net", "usb-common", "usbcore",
           "xhci-hcd", "xhci-pci", "hid", "usbhid", "hid-generic", "evdev", "efivarfs"]

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
    r = subprocess.run(["apt-get", "-qq"] + options + ["update"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        sys.exit(f"{r.stdout}\nthe package list of {suite} cannot be read")
    return options


def _depends(options, package):
    lines = subprocess.run(["apt-cache"] + options + ["depends", package], capture_output=True, text=True).stdout.splitlines()
    return [l.split()[-1] for l in lines if "Depends:" in l]


def _kernel_packages(options, meta):
    """The image that `meta` stands for, then what newer ones are split into."""
    names = [n for n in _depends(options, meta) if n.startswith("linux-image")]
    if not names:
        sys.exit(f"apt knows no package {meta}. Is this Debian 12 with its usual package sources?")
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
                sys.exit("Xen 4.17 cannot be had: is this Debian 12 with its usual package sources?")
    return path


def download_qemu(cache):
    """A newer QEMU than the distribution's, unpacked, not installed: the command's first words. It needs the libraries of the installed one."""
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
                sys.exit("the newer QEMU cannot be had: is this Debian 12 with its usual package sources?")
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
        sys.exit(f"{deb} cannot be unpacked")


def download_kernel(cache, version="6.1", meta="linux-image-amd64"):
    """The bzImage of the newest kernel that the suite for `version` has, as shipped. Kept in `cache`."""
    suite = SUITES[version]
    marker = os.path.join(cache, f"{meta}-{suite}-{zlib.crc32(' '.join(modules).encode()):08x}.path") # a longer list: unpacked anew
    if os.path.exists(marker):
        path = open(marker).read()
        if os.path.exists(path):
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
            sys.exit(f"apt-get could not download {name}")
        deb = next(os.path.join(root, f) for f in os.listdir(root) if f.endswith(".deb"))
        _unpack(deb, root)
        os.unlink(deb)
    path = next(os.path.join(d, f) for d, _, files in os.walk(root) for f in files if f.startswith("vmlinuz"))
    with open(marker, "w") as f:
        f.write(path)
    return path
