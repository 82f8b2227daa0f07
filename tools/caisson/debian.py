# SPDX-License-Identifier: MIT
"""A whole Debian as dom0: its root disk, made with mmdebstrap, and the machine that runs it."""
import collections
import glob
import os
import shutil
import subprocess
import tempfile
import zlib

from . import guests, images, machine, packages

TOOLS = ["mmdebstrap", "e2fsprogs", "openssh-client"]
CONTENTS = ["systemd-sysv", "udev", "dbus", "libpam-systemd", "linux-image-amd64", "initramfs-tools", "openssh-server", "iproute2",
            "iputils-ping", "gcc", "libc6-dev", "make", "stress-ng", "fio", "iperf3", "procps", "e2fsprogs", "kmod", "bridge-utils",
            "qemu-system-xen", "qemu-utils", "grub-xen-host"]

# A script on a second disk, for who runs this without a person at it.
SERVICE = """[Unit]
Description=The script on the disk "script"
ConditionKernelCommandLine=caisson.script
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
TimeoutStartSec=infinity
TasksMax=infinity
ExecStart=/bin/bash /dev/disk/by-id/virtio-script
StandardOutput=tty
StandardError=tty
TTYPath=/dev/hvc0

[Install]
WantedBy=multi-user.target
"""
ISSUE = """Debian as dom0 on Caisson. root has no password here; 'poweroff' ends the machine,
and with it all that was written to the disk. A guest is ready:
  xl create -c /root/guest.cfg   starts it, and shows its console; Ctrl-] comes back here
  xl list                        shows what runs, and the CPU time that it has had
  xl console guest               goes to its console again
  xl shutdown -w guest           asks it to end, and waits until it has
  xl destroy guest               ends it at once

"""
GUEST = """# A guest with Debian's kernel; docs/guests.md says more.
name = "guest"
kernel = "/root/vmlinux"    # the ELF file inside /vmlinuz, which does as well, but is unpacked at each start
ramdisk = "/initrd.img"
extra = "root=/dev/xvda rw console=hvc0 quiet"
memory = 256
vcpus = 1
disk = ["/root/guest.img,raw,xvda,w"]
vif = ["bridge=xenbr0"]
"""
FILES = {
    "etc/hostname": "caisson\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    # Guests are on the same network as dom0, by a bridge.
    "etc/systemd/network/10-xenbr0.netdev": "[NetDev]\nName=xenbr0\nKind=bridge\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n",
    "etc/systemd/network/20-wired.network": "[Match]\nName=en*\n\n[Network]\nBridge=xenbr0\n",
    "etc/systemd/network/30-xenbr0.network": "[Match]\nName=xenbr0\n\n[Network]\nDHCP=yes\n",
    "etc/systemd/system/caisson-script.service": SERVICE,
    "etc/issue.d/caisson.issue": ISSUE,
    # What bridges and disks report while guests come and go is in `dmesg`, not between what a person types.
    "etc/sysctl.d/caisson.conf": "kernel.printk = 4 4 1 7\n",
    # Debian's initrd holds the drivers of all machines: more than a guest of 256 MiB has room for, and half a minute for dom0.
    "etc/initramfs-tools/conf.d/caisson": "MODULES=list\n",
    "usr/share/initramfs-tools/modules.d/caisson": "virtio_pci\nvirtio_blk\nxen-blkfront\nxen-netfront\ncrc32c_generic\next4\n",
    "root/guest.cfg": GUEST,
}
# When all packages are there; $1 is the new root.
SETTINGS = [
    'chroot "$1" passwd -d root',
    'chroot "$1" systemctl -q enable systemd-networkd ssh caisson-script',
    'chroot "$1" systemctl -q mask e2scrub_reap',  # looks for LVM, at each boot
    'chmod 700 "$1/root/.ssh"',
    'mkdir -p "$1/var/log/xen/console"',
    """echo 'XENCONSOLED_ARGS="--log=all"' >>"$1/etc/default/xen\"""",
    # Guests are to be shut down before dom0, not saved: the disk forgets.
    """sed -i 's/^XENDOMAINS_SAVE=.*/XENDOMAINS_SAVE=/' "$1/etc/default/xendomains\"""",
]


Disk = collections.namedtuple("Disk", "image kernel initrd key xen")  # files; for ssh; the version that the toolstack on it asks for


def root_disk(cache, release=guests.RELEASE):
    """The Disk of that release of Debian; made on the first call, in some minutes. The image is never written to."""
    contents = zlib.crc32(repr((CONTENTS, FILES, SETTINGS, guests.ROOT, guests.END)).encode())
    out = os.path.join(cache, f"debian-{release}-{contents:08x}")
    suite, xen = guests.RELEASES[release]
    image, kernel, initrd, key = paths = [os.path.join(out, f) for f in ("root.img", "vmlinuz", "initrd.img", "id_ed25519")]
    if all(os.path.exists(p) for p in paths):
        return Disk(*paths, xen)
    packages.ensure(TOOLS)
    for old in glob.glob(os.path.join(cache, f"debian-{release}-*")):
        shutil.rmtree(old)
    os.makedirs(out)
    _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "caisson", "-f", key])
    packages.step(f"making a root disk with Debian {release}: some minutes")
    with tempfile.TemporaryDirectory() as work:
        extra, root = os.path.join(work, "extra"), os.path.join(work, "root")
        for name, text in FILES.items() | {("root/.ssh/authorized_keys", open(key + ".pub").read())}:
            os.makedirs(os.path.dirname(os.path.join(extra, name)), exist_ok=True)
            with open(os.path.join(extra, name), "w") as f:
                f.write(text)
        guests.root_disk(os.path.join(extra, "root", "guest.img"))
        # Before the kernel is there, whose initrd some of the files are about; with root as their owner, whoever runs this.
        early = [f"sync-in {extra} /", f'(cd {extra} && find . -print0) | (cd "$1" && xargs -0 chown 0:0)']
        _run(packages.as_root(["mmdebstrap", "-q", "--variant=minbase", "--include=" + ",".join(CONTENTS + [f"xen-utils-{xen}"])] +
                              [f"--essential-hook={h}" for h in early] + [f"--customize-hook={h}" for h in SETTINGS] +
                              [suite, root, packages.mirror()]))
        boot = os.path.join(root, "boot")
        for prefix, path in (("vmlinuz-", kernel), ("initrd.img-", initrd)):
            name = next(f for f in os.listdir(boot) if f.startswith(prefix))
            _run(packages.as_root(["install", "-m", "644", os.path.join(boot, name), path]))
        guest_kernel = guests.vmlinux(os.path.join(work, "vmlinux"), kernel)
        _run(packages.as_root(["install", "-m", "644", guest_kernel, os.path.join(root, "root", "vmlinux")]))
        # Last, and under its name only when whole.
        with open(image + ".new", "wb") as f:
            f.truncate(4 << 30)
        _run(packages.as_root(["mke2fs", "-q", "-F", "-t", "ext4", "-d", root, image + ".new"]))
        _run(packages.as_root(["rm", "-rf", root]))
    os.rename(image + ".new", image)
    return Disk(*paths, xen)


def _run(command):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        raise packages.Trouble(f"{r.stdout[-3000:]}\n{' '.join(command[:3])} ... failed")


def command(out, elf, disk, script=None, hv="", dom0="", uefi=False, forward="", extra=(), **machine_words):
    """QEMU's command line. What dom0 writes to its root disk is gone when the machine ends. script: bash, run in dom0."""
    # A getty would hang up the script's terminal.
    words = f"console=hvc0 root=/dev/vda rw {'caisson.script systemd.mask=serial-getty@hvc0.service ' if script else ''}{dom0}".strip()
    iso = images.iso(os.path.join(out, f"debian{'-script' if script else ''}.iso"), elf, disk.kernel, disk.initrd,
                     f"com1=115200,8n1 console=com1,vga xen-version={disk.xen} dom0_mem=50% {hv}".strip(), words)
    args = machine.command(("uefi" if uefi else "bios", iso), **machine_words)
    nic = args.index("-nic")
    args[nic:nic + 2] = ["-netdev", "user,id=net" + forward, "-device", "virtio-net-pci,netdev=net",
                         "-drive", f"file={machine.value(disk.image)},format=raw,if=none,id=root,snapshot=on", "-device",
                         "virtio-blk-pci,drive=root"]
    if script:
        path = os.path.join(out, "script.img")
        with open(path, "w") as f:
            f.write(script + "\nexit 0\n" + "\n" * (-(len(script.encode()) + 8) % 512))
        args += ["-drive", f"file={machine.value(path)},format=raw,if=none,id=script,readonly=on",
                 "-device", "virtio-blk-pci,drive=script,serial=script"]
    return args + list(extra)
