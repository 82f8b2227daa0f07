# SPDX-License-Identifier: MIT
"""Boot images: the initramfs, the bundle for qemu -kernel, the GRUB ISO."""
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import threading

from .cli import Trouble
from .packages import step

INIT = r"""#!/bin/sh
# First process of dom0: mounts, then a report and power-off (caisson.batch) or a shell.
/bin/busybox mkdir -p /proc /sys /dev /tmp /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=${TERM:-linux}
cd /root

report() {
    echo "caisson: userspace reached"
    uname -a
    for f in type version/major version/minor version/extra properties/features; do
        echo "/sys/hypervisor/$f: $(cat /sys/hypervisor/$f)"
    done
    case " $(cat /proc/cmdline) " in *" caisson.batch "*) cat /proc/interrupts ;; esac
    free
    echo "dom0 uptime: $(cut -d' ' -f1 /proc/uptime) s"
}

report
if [ -x /selftest ]; then
    /selftest && echo "caisson: selftest passed" || echo "caisson: selftest FAILED"
fi
case " $(cat /proc/cmdline) " in
*" caisson.batch "*) poweroff -f ;;
esac
echo
echo "This is dom0 on Caisson. 'poweroff' ends the machine; Ctrl-A three times reaches the hypervisor."
while :; do
    setsid cttyhack sh -l
done
"""


def profile(prompt):
    """A shell's, where no init is there that busybox's poweroff could ask; its own shell takes that one before any other program."""
    return f"alias poweroff='poweroff -f'\nalias reboot='reboot -f'\nPS1='{prompt}# '\n"


def _newc(name, data, mode):
    """One member of a cpio archive, format newc."""
    n = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(n), 0)
    out = b"070701" + b"".join(b"%08x" % f for f in fields) + n
    out += b"\0" * (-len(out) % 4) + data
    return out + b"\0" * (-len(out) % 4)


def cpio(members):
    return b"".join(_newc(*m) for m in members) + _newc("TRAILER!!!", b"", 0)


def initramfs(path, selftest=None, files=()):
    """files: (name, contents) pairs to add."""
    members = [(d, b"", stat.S_IFDIR | 0o755) for d in ("bin", "etc")]
    members.append(("bin/busybox", open("/bin/busybox", "rb").read(), stat.S_IFREG | 0o755))
    members.append(("bin/sh", b"busybox", stat.S_IFLNK | 0o777))
    members.append(("etc/profile", profile("dom0").encode(), stat.S_IFREG | 0o644))
    members.append(("init", INIT.encode(), stat.S_IFREG | 0o755))
    if selftest:
        members.append(("selftest", selftest.encode(), stat.S_IFREG | 0o755))
    members += [(name, data, stat.S_IFREG | 0o644) for name, data in files]
    return write_if_changed(path, cpio(members))


def write(path, data):
    """The file, whole at any moment: two tests may want the same one, and a machine read it while it is written again."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as f:
        f.write(data)
    os.chmod(f.name, 0o644)
    os.replace(f.name, path)


def write_if_changed(path, data):
    """The path; a file that is as it should be keeps its time."""
    if not os.path.exists(path) or open(path, "rb").read() != data:
        write(path, data)
    return path


def bundle(path, kernel, initrd=None):
    """Kernel and initrd as one file: qemu -initrd passes a single module."""
    members = []
    if kernel:
        members.append(("kernel", open(kernel, "rb").read(), stat.S_IFREG | 0o644))
    if initrd:
        members.append(("initrd", open(initrd, "rb").read(), stat.S_IFREG | 0o644))
    return write_if_changed(path, cpio(members))


_making = threading.Lock()


def iso(*args, **words):
    """A GRUB rescue ISO that boots on BIOS and UEFI. Remade only if an input changed."""
    with _making:  # two tests may want the same one
        return _iso(*args, **words)


def _iso(path, hypervisor, kernel, initrd, hv_args, dom0_args, before=(), after=(), madt=None, first=""):
    """
    before, after: files that are modules too, on both sides of the initrd. madt: a file in place of the machine's own table.
    first: GRUB's command before all.
    """
    others = {f: os.path.basename(f) for f in (*before, *after)}
    config = f"set timeout=0\ninsmod all_video\nmenuentry Caisson {{\n  {first}\n"
    if madt:
        config += "  acpi --exclude=APIC /boot/madt\n"
    config += f"  multiboot2 /boot/caisson.elf {hv_args}\n"
    if kernel:
        config += f"  module2 /boot/vmlinuz {dom0_args}\n"
    config += "".join(f"  module2 /boot/{others[f]}\n" for f in before)
    if initrd:
        config += "  module2 /boot/initrd\n"
    config += "".join(f"  module2 /boot/{others[f]}\n" for f in after)
    config += "}\n"
    key = hashlib.sha256(config.encode())
    for f in (hypervisor, kernel, initrd, madt, *others):
        if f:
            key.update(open(f, "rb").read())
    stamp = path + ".key"
    if os.path.exists(path) and os.path.exists(stamp) and open(stamp).read() == key.hexdigest():
        return path
    step("making the GRUB boot image")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.TemporaryDirectory() as tree:
        os.makedirs(tree + "/boot/grub")
        shutil.copy(hypervisor, tree + "/boot/caisson.elf")
        if kernel:
            shutil.copy(kernel, tree + "/boot/vmlinuz")
        if initrd:
            shutil.copy(initrd, tree + "/boot/initrd")
        if madt:
            shutil.copy(madt, tree + "/boot/madt")
        for f, name in others.items():
            shutil.copy(f, f"{tree}/boot/{name}")
        with open(tree + "/boot/grub/grub.cfg", "w") as f:
            f.write(config)
        r = subprocess.run(["grub-mkrescue", "-o", path, tree], capture_output=True, text=True)
        if r.returncode:
            raise Trouble(f"{r.stderr}grub-mkrescue failed")
    with open(stamp, "w") as f:
        f.write(key.hexdigest())
    return path
