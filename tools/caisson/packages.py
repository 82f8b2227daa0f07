"""Debian packages: what each job needs, and installing what is missing."""
import os
import subprocess
import sys
import time

BUILD = ["gcc", "make", "binutils", "libc6-dev", "liblzma-dev", "libzstd-dev", "zlib1g-dev", "liblz4-dev", "libqrcodegen-dev", "grub-common"]
RUN = ["qemu-system-x86", "ovmf", "grub-pc-bin", "grub-efi-amd64-bin", "xorriso", "mtools", "busybox-static"]
CHECK = ["libcmocka-dev", "libxen-dev", "clang", "gdb", "zstd", "xz-utils", "lz4", "zbar-tools", "lcov"]


def step(text):
    """One line for each long step, with the time it started."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def _installed(package):
    r = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
    return r.stdout.endswith("ok installed")


def _as_root(command):
    return command if os.geteuid() == 0 else ["sudo"] + command


def ensure(packages):
    missing = [p for p in packages if not _installed(p)]
    if not missing:
        return
    step("installing " + " ".join(missing))
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["apt-get", "-qq", "update"], ["apt-get", "-qqy", "install", "--no-install-recommends"] + missing):
        r = subprocess.run(_as_root(command), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            sys.exit(f"{r.stdout}\n{' '.join(command)} failed. Install these packages by hand: {' '.join(missing)}")


# Drivers that the tests load into dom0, from the same package.
modules = ["e1000e", "scsi_common", "scsi_mod", "libata", "libahci", "ahci"]


def module_file(kernel, name):
    """Path of a driver that came with a downloaded kernel."""
    root = os.path.dirname(os.path.dirname(kernel))
    return next(os.path.join(d, f) for d, _, files in os.walk(root) for f in files if f.startswith(name + ".ko"))


def _kernels_of(meta):
    depends = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True).stdout
    return [l.split()[1] for l in depends.splitlines() if "Depends: linux-image" in l]


def download_kernel(cache, meta="linux-image-amd64"):
    """The bzImage of the newest kernel that `meta` depends on, as shipped. Kept in `cache`."""
    marker = os.path.join(cache, meta + ".path")
    if os.path.exists(marker):
        path = open(marker).read().strip()
        if os.path.exists(path):
            return path
    os.makedirs(cache, exist_ok=True)
    names = _kernels_of(meta)
    if not names:
        subprocess.run(_as_root(["apt-get", "-qq", "update"]), check=True)
        names = _kernels_of(meta)
    if not names:
        sys.exit(f"apt knows no package {meta}. Is this Debian 12 with its usual package sources?")
    step(f"downloading {names[0]}")
    r = subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", names[0]], cwd=cache)
    if r.returncode:
        sys.exit(f"apt-get could not download {names[0]}")
    deb = next(os.path.join(cache, f) for f in os.listdir(cache) if f.startswith(names[0] + "_"))
    step("unpacking its kernel")
    root = os.path.join(cache, names[0])
    os.makedirs(root, exist_ok=True)
    unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", root, "--wildcards", "./boot/vmlinuz-*"] + [f"*/{m}.ko*" for m in modules],
                   stdin=unpack.stdout, check=True)
    boot = os.path.join(root, "boot")
    path = os.path.join(boot, os.listdir(boot)[0])
    with open(marker, "w") as f:
        f.write(path)
    os.unlink(deb)
    return path
