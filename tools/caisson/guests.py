# SPDX-License-Identifier: MIT
"""
A small dom0 with Debian's toolstack, and guests for it: its initramfs holds the stock programs of xen-utils with their libraries, Debian's
kernels for guests and their initramfs. A whole Debian does the same (debian.py), but takes minutes to make and to boot.
"""
import lzma
import os
import re
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile
import zlib

from . import images, packages

TOOLS = ["mmdebstrap"]
# Debian's release: its name, and the version of Xen whose toolstack it has.
RELEASES = {"12": ("bookworm", "4.17"), "13": ("trixie", "4.20")}
RELEASE = "12"  # where nothing else is asked for
PACKAGES = ["bash", "dash", "busybox-static", "iproute2", "mount", "util-linux", "dpkg", "sysvinit-utils", "grub-xen-host"]
PROGRAMS = re.compile(r"""
    usr/lib/(xen-4\.\d+/(bin/(xl|oxenstored|xenconsoled?|xen-init-dom0|libxl-save-helper|xentop|xenpm|xen-diag|lsevtchn|xenctx)|ocaml/.*)
            |xen-common/.*|grub-xen/grub-x86_64-xen\.bin)
    |etc/(xen|default/xen|init\.d/xen)(/.*)? | usr/sbin/(xl|xentop|xenpm) | usr/bin/(xenstore.*|flock|choom) | usr/lib/(lsb|init)/.*
    |usr/bin/(bash|dash|busybox) | usr/sbin/(ip|bridge|losetup|start-stop-daemon)""", re.VERBOSE)
# The C library opens the second by name, when a thread is ended.
LIBRARIES = ["usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libgcc_s.so.1"]
DOM0_MODULES = ["xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs", "xen-blkback", "xen-netback", "loop", "llc", "stp",
                "bridge"]
GUEST_MODULES = ["xen-blkfront", "xen-netfront"]

# Both systems: busybox for what Debian's coreutils would do, no other file system than memory.
START = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /root /var/log/xen/console /var/lib/xen/dump /var/lock
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox ln -s /proc/self/fd /dev/fd
/bin/busybox ln -s fd/0 /dev/stdin
/bin/busybox mkdir -p /dev/pts
/bin/busybox mount -t devpts devpts /dev/pts
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=${TERM:-linux}
cd /root
for m in $(cat /modules/order); do insmod /modules/$m.ko; done
[ -e /bin/bash ] || ln -s busybox /bin/bash
"""
DOM0 = START + """
# Busybox's does not know --test, with which Debian's script only asks: it would start a second xenconsoled.
rm -f /bin/start-stop-daemon
ln -s /run /var/run
ip link set lo up
brctl addbr xenbr0
ip address add 10.99.0.1/24 dev xenbr0
ip link set xenbr0 up
sysctl -q -w kernel.printk=3
mkdir -p /etc/default
echo 'XENCONSOLED_ARGS=--log=all' > /etc/default/xen
/etc/init.d/xen start
case " $(cat /proc/cmdline) " in
*" caisson.batch "*) bash /script; poweroff -f ;;
esac
setsid cttyhack bash /script
while :; do
    setsid cttyhack bash -l
done
"""
GUEST = START + """
sysctl -q -w kernel.printk=4
ip link set lo up
# Its address in dom0's bridge is made of the last part of the one that the toolstack chose for its card.
if [ -e /sys/class/net/eth0 ]; then
    ip link set eth0 up
    ip address add 10.99.0.$(printf %d 0x$(cut -d: -f6 /sys/class/net/eth0/address))/24 dev eth0
fi
echo "guest: userspace reached"
uname -a
echo "guest: $(nproc) vCPUs, $(grep MemTotal /proc/meminfo | tr -s ' ' | cut -d' ' -f2) KiB, up $(cut -d' ' -f1 /proc/uptime) s"
case " $(cat /proc/cmdline) " in
*" caisson.batch "*) poweroff -f ;;
*" caisson.commands "*) stty -echo; while read -r line; do eval "$line"; done ;;
esac
echo "This is a guest beside dom0. 'poweroff' ends it; Ctrl-] goes back to dom0."
while :; do
    setsid cttyhack sh -l
done
"""

# The first process of a guest that has a disk of its own: as much of a system as busybox is. An initrd may have mounted all three.
ROOT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc 2>/dev/null
/bin/busybox mount -t sysfs sysfs /sys 2>/dev/null
/bin/busybox mount -t devtmpfs devtmpfs /dev 2>/dev/null
export PATH=/sbin:/bin HOME=/root TERM=${TERM:-linux}
cd /root
ip link set lo up
# An initrd with udev gives the card a name of its own.
for card in $(ls /sys/class/net | grep -v '^lo$'); do
    ip link set $card up
    udhcpc -q -n -t 3 -i $card -s /etc/udhcpc.script
done
echo
echo "This is a guest beside dom0: $(uname -sr), $(nproc) vCPU, $(grep MemTotal /proc/meminfo | tr -s ' ' | cut -d' ' -f2) KiB."
echo "'poweroff' ends it; Ctrl-] goes back to dom0, where 'xl console guest' comes here again."
while :; do
    setsid cttyhack sh -l
done
"""
# What the kernel runs when the toolstack asks it to end. There is no init to hand it on to.
END = """#!/bin/sh
sync
exec busybox ${0##*/} -f
"""
UDHCPC = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace $ip/$mask dev $interface
ip route replace default via $router
echo "nameserver $dns" >/etc/resolv.conf
"""


def root_disk(path):
    """A guest's disk: a file system of 16 MiB with busybox. Needs e2fsprogs."""
    with tempfile.TemporaryDirectory() as tree:
        for d in ("bin", "sbin", "etc", "root", "proc", "sys", "dev", "run", "tmp"):
            os.mkdir(f"{tree}/{d}")
        shutil.copy("/bin/busybox", f"{tree}/bin")
        for applet in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            if applet != "busybox":
                os.symlink("busybox", f"{tree}/bin/{applet}")
        for name, text in (("sbin/init", ROOT), ("sbin/poweroff", END), ("sbin/reboot", END), ("etc/udhcpc.script", UDHCPC),
                           ("etc/profile", images.profile("guest"))):
            with open(f"{tree}/{name}", "w") as f:
                f.write(text)
            os.chmod(f.name, 0o755)
        with open(path, "wb") as f:
            f.truncate(16 << 20)
        r = subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, path], capture_output=True, text=True)
        if r.returncode:
            raise packages.Trouble(f"{r.stderr}the guest's disk cannot be made")

# tools/run --guest
CONFIG = """name = "guest"
kernel = "/root/vmlinux"
ramdisk = "/root/initrd.img"
extra = "console=hvc0 quiet"
memory = 128
vif = ["bridge=xenbr0"]
"""
SHELL = """xl list
xl create -q /root/guest.cfg && echo "xl console guest: Ctrl-] comes back to dom0" && xl console guest
echo
echo "This is dom0. 'xl create -c /root/guest.cfg', 'xl list', 'xl console guest', 'xl destroy guest'; 'poweroff' ends the machine."
"""
REPORT = """log=/var/log/xen/console/guest-guest.log
began=$(cut -d' ' -f1 /proc/uptime)
xl create -q /root/guest.cfg || exit 1
created=$(cut -d' ' -f1 /proc/uptime)
until grep -q '^guest: .* vCPUs' $log 2>/dev/null; do sleep 0.2; xl list guest >/dev/null || exit 1; done
reached=$(cut -d' ' -f1 /proc/uptime)
echo "caisson: userspace reached"
xl list
tr -d '\\r' <$log | sed -n '/^guest: userspace/,/^guest: .* vCPUs/p'
echo "dom0 is up since $began s; xl create took $(echo $created $began | awk '{ print $1 - $2 }') s," \\
    "the guest came to its shell $(echo $reached $created | awk '{ print $1 - $2 }') s later"
xl destroy guest
xl list
"""


def _merged(path):
    """The path of a file of a package in a tree whose /bin, /sbin and /lib are those of /usr."""
    return re.sub(r"^\./", "", re.sub(r"^\./(bin|sbin|lib|lib64)/", r"./usr/\1/", path))


def _needed(data):
    """Names of the libraries that a program or a library asks for."""
    if data[:4] != b"\x7fELF":
        return []
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        r = subprocess.run(["readelf", "-d", f.name], capture_output=True, text=True)
    return re.findall(r"\(NEEDED\).*\[(.*)\]", r.stdout)


def _choose(archive):
    """Of all files of the packages: the programs and the libraries that they need; path to (mode, contents or target of a link)."""
    files = {}
    for m in archive:
        if m.isfile():
            files[_merged(m.name)] = (stat.S_IFREG | m.mode, archive.extractfile(m).read())
        elif m.islnk():
            files[_merged(m.name)] = files[_merged(m.linkname)]
        elif m.issym():
            files[_merged(m.name)] = (stat.S_IFLNK | 0o777, m.linkname.encode())
    library, chosen = {os.path.basename(f): f for f in files if ".so" in f}, {}
    wanted = [f for f in files if PROGRAMS.fullmatch(f)] + LIBRARIES
    while wanted:
        path = wanted.pop()
        if path in chosen or path not in files:
            continue
        mode, data = chosen[path] = files[path]
        if stat.S_ISLNK(mode):
            target = data.decode()
            here = os.path.normpath(os.path.join(os.path.dirname(path), target))
            wanted.append(_merged("." + target) if target.startswith("/") else here)
        wanted += [library[n] for n in _needed(data) if n in library]
    return chosen


def _archive(files):
    """A cpio archive of {path: (mode, contents)} with the folders that they lie in."""
    folders = {d for f in files for d in _parents(f)} - {""}
    members = [(d, b"", stat.S_IFDIR | 0o755) for d in sorted(folders)]
    return images.cpio(members + [(name, data, mode) for name, (mode, data) in sorted(files.items())])


def _parents(path):
    while path:
        path = os.path.dirname(path)
        yield path


def _links():
    """Those of a tree whose programs all lie below /usr. sh is Debian's: busybox's would run its own programs in place of Debian's."""
    return {"usr/bin/sh": (stat.S_IFLNK | 0o777, b"dash")} | {
        d: (stat.S_IFLNK | 0o777, b"usr/" + d.encode()) for d in ("bin", "sbin", "lib", "lib64")}


def toolstack(cache, release=RELEASE):
    """Debian's programs for dom0: an archive of cpio members without its end; made on the first call, from packages of that release."""
    contents = zlib.crc32(repr((PACKAGES, PROGRAMS.pattern, LIBRARIES)).encode())
    suite, version = RELEASES[release]
    path = os.path.join(cache, f"xen-utils-{version}-{contents:08x}.cpio")
    if not os.path.exists(path):
        packages.ensure(TOOLS)
        packages.step(f"downloading xen-utils-{version} of Debian {release}")
        included = ",".join([f"xen-utils-{version}"] + PACKAGES)
        command = ["mmdebstrap", "-q", "--variant=extract", "--include=" + included, suite, "-", packages.mirror()]
        source = subprocess.Popen(packages.as_root(command), stdout=subprocess.PIPE)
        with tarfile.open(fileobj=source.stdout, mode="r|") as archive:
            chosen = _choose(archive)
        if source.wait():
            raise packages.Trouble("Debian's xen-utils cannot be had: is this Debian 12 with its usual package sources?")
        images.write(path, _archive(chosen))
    return path


def _drivers(kernel, names):
    """Those of a downloaded kernel that are not built into it, and the order to load them in."""
    found = {}
    for name in names:
        try:
            path = packages.module_file(kernel, name)
        except StopIteration:
            continue
        data = open(path, "rb").read()
        found[name] = lzma.decompress(data) if path.endswith(".xz") else data
    files = {f"modules/{name}.ko": (stat.S_IFREG | 0o644, data) for name, data in found.items()}
    return files | {"modules/order": (stat.S_IFREG | 0o644, " ".join(found).encode())}


def _by(program):
    return lambda data: subprocess.run([program, "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout


UNPACK = {b"\xfd7zX": lzma.decompress, b"\x28\xb5\x2f\xfd": _by("zstd"), b"\x02\x21\x4c\x18": _by("lz4")}


def vmlinux(path, kernel):
    """The ELF file in a bzImage: made when the bzImage is newer. The toolstack then need not unpack it."""
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(kernel):
        data = open(kernel, "rb").read()
        offset, length = struct.unpack_from("<II", data, 0x248)
        offset += (data[0x1f1] + 1) * 512
        packed = data[offset:offset + length - 4]  # the size of what is in it follows
        images.write_if_changed(path, UNPACK[packed[:4]](packed))
    return path


def _program(text):
    return (stat.S_IFREG | 0o755, text.encode())


def _profile(prompt):
    return {"etc/profile": (stat.S_IFREG | 0o644, images.profile(prompt).encode())}


def guest_initramfs(path, kernel, programs=()):
    """
    What a guest of this kernel runs from: busybox and its drivers; a shell, or commands from its console (caisson.commands). programs:
    {name: file here} to add.
    """
    busybox = (stat.S_IFREG | 0o755, open("/bin/busybox", "rb").read())
    files = {"bin/busybox": busybox, "bin/sh": (stat.S_IFLNK | 0o777, b"busybox"), "init": _program(GUEST)} | _profile("guest")
    files |= {f"sbin/{name}": _program(END) for name in ("poweroff", "reboot")}
    files |= {f"bin/{name}": (stat.S_IFREG | 0o755, open(file, "rb").read()) for name, file in dict(programs).items()}
    return images.write_if_changed(path, _archive(files | _drivers(kernel, GUEST_MODULES)))


def dom0_initramfs(path, cache, kernel, script, files=(), release=RELEASE):
    """script: bash, run when the daemons are up. files: {path in dom0: file here} to add, such as a guest's kernel. release: Debian's."""
    added = {name: (stat.S_IFREG | 0o644, open(file, "rb").read()) for name, file in dict(files).items()}
    own = _links() | _drivers(kernel, DOM0_MODULES) | {"init": _program(DOM0), "script": _program(script)} | _profile("dom0")
    with open(toolstack(cache, release), "rb") as f:
        return images.write_if_changed(path, f.read() + _archive(own | added))


def example(out, cache, kernel, batch):
    """The initramfs of a dom0 that starts a guest of the same kernel: a person is put into its shell, or its report is printed (batch)."""
    files = {"root/vmlinux": vmlinux(os.path.join(out, "vmlinux"), kernel),
             "root/initrd.img": guest_initramfs(os.path.join(out, "guest.cpio"), kernel),
             "root/guest.cfg": images.write_if_changed(os.path.join(out, "guest.cfg"), CONFIG.encode())}
    path = os.path.join(out, "dom0-batch.cpio" if batch else "dom0-shell.cpio")
    return dom0_initramfs(path, cache, kernel, REPORT if batch else SHELL, files)
