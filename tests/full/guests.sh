# SPDX-License-Identifier: MIT
# Guests in a whole Debian, behind tests/guests/common.sh. The disk "files" has the initrd of a guest that takes commands from its console.

export LC_ALL=C
cd /root
tar xf /dev/disk/by-id/virtio-files
# driver NAME: of the kernel that runs, which is the guests' too; Debian 13 packs them.
driver() {
    python3 -c 'import lzma, sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(lzma.decompress(d) if d[:1] == b"\xfd" else d)' \
        <"$(find "/lib/modules/$(uname -r)/kernel" -name "$1.ko*")"
}
mkdir -p modules
for name in xen-blkfront xen-netfront; do driver $name >modules/$name.ko; done
find modules | cpio -o -H newc --quiet >>initrd.img
ip address add 10.99.0.1/24 dev xenbr0
free_memory >/tmp/free

example() { cp /root/guest.cfg /root/example.cfg && printf '%s\n' "$@" >>/root/example.cfg; }
example_up() { await "the example's shell" has "This is a guest beside dom0" $LOGS/guest-guest.log; }

units() {
    for unit in xen xendomains; do
        await "unit $unit" systemctl -q is-active $unit
    done
    need "no unit has failed" is "$(systemctl --failed --plain --no-legend)" ""
    for program in oxenstored xenconsoled; do
        need "$program runs, once" is "$(pidof $program | wc -w)" 1
    done
    need "QEMU for dom0's own back ends" pgrep -f xen-domid\ 0
    need "dom0's name" is "$(xenstore-read /local/domain/0/name)" Domain-0
    need "what systemd thinks that it is in" is "$(systemd-detect-virt --container)" none
    need "capabilities" is "$(cat /proc/xen/capabilities)" control_d
}
step "systemd's units and the daemons" units

first() {
    need "xl create" xl create -q /root/guest.cfg
    example_up
    local lease=$(tr -d '\r' <$LOGS/guest-guest.log | sed -n 's/^udhcpc: lease of \([0-9.]*\) .*/\1/p')
    need "its address is of dom0's network" is "${lease%.*}" 10.0.2
    await "it answers" ping -q -c 1 "$lease"
    need "each packet comes back" ping -q -c 5 -i 0.3 -s 1400 "$lease"
    need "xl shutdown" xl shutdown -w guest
    await "it is gone" gone xl list guest
    need "what it ended of" has "has shut down, reason code 0" /var/log/xen/xl-guest.log
    nothing_left "$(cat /tmp/free)"
}
step "the example guest: a shell, an address by DHCP, xl shutdown" first

# Its kernel as Debian packs it, its disk a qcow2 image with the example's root file system.
packed() {
    qemu-img convert -O qcow2 guest.img root.qcow2
    example "kernel='/vmlinuz'" "disk=['/root/root.qcow2,qcow2,xvda,w']"
    : >$LOGS/guest-guest.log
    need "xl create" xl create -q /root/example.cfg
    example_up
    need "its back end" has /backend/qdisk/ <(xl block-list guest)
    need "xl reboot" xl reboot guest
    : >$LOGS/guest-guest.log
    await "it is another one" eval '! xl list guest | grep -q "guest  *2 "'
    example_up
    need "xl destroy" xl destroy guest
    need "the image is whole" qemu-img check -q root.qcow2
    nothing_left "$(cat /tmp/free)"
}
step "a guest from a bzImage, on a qcow2 image; xl reboot" packed

# The frame buffer by VNC: its size, and the sum of 64 KiB in its midst in the format of the guest. Its console's cursor blinks above.
cat >vnc.py <<'P'
import hashlib, socket, struct
s = socket.create_connection(("127.0.0.1", 5900), 30)
f = s.makefile("rb")
assert f.read(12) == b"RFB 003.008\n"
s.sendall(b"RFB 003.008\n")
assert 1 in f.read(f.read(1)[0])
s.sendall(b"\1")
assert f.read(4) == bytes(4)
s.sendall(b"\1")
width, height = struct.unpack(">HH", f.read(4))
f.read(16)
f.read(struct.unpack(">I", f.read(4))[0])
s.sendall(struct.pack(">BBHiBBHHHH", 2, 0, 1, 0, 3, 0, 0, 0, width, height))
assert f.read(4) == b"\0\0\0\1"  # one rectangle
x, y, w, h, encoding = struct.unpack(">HHHHi", f.read(12))
assert (x, y, w, h, encoding) == (0, 0, width, height, 0)
pixels = f.read(w * h * 4)
print(width, height, hashlib.sha256(pixels[15 << 16:16 << 16]).hexdigest())
P

together() {
    truncate -s 32M data.img
    head -c 1048576 /dev/urandom | dd of=data.img conv=notrunc status=none
    qemu-img convert -f raw -O qcow2 data.img data.qcow2
    guest g "memory=256" "maxmem=320" "vcpus=2" "vif=['bridge=xenbr0']" "vfb=['vnc=1,vnclisten=127.0.0.1']" \
        "disk=['/root/data.img,raw,xvda,r', '/root/data.qcow2,qcow2,xvdb,w']"
    need "xl create" xl create -q g.cfg
    up g
    local sum=$(sha256sum <data.img)
    need "the raw image" is "$(inside g 'sha256sum </dev/xvda')" "$sum"
    need "the qcow2 image" is "$(inside g 'sha256sum </dev/xvdb')" "$sum"
    # Of qemu-img dd, count counts what is skipped as well.
    inside g 'head -c 4194304 /dev/urandom >/tmp/new; dd if=/tmp/new of=/dev/xvdb seek=64 bs=64k conv=fsync'
    need "what came to qcow2" is "$(inside g 'sha256sum </tmp/new')" \
        "$(qemu-img dd -U -f qcow2 -O raw if=data.qcow2 of=/tmp/back bs=64k skip=64 count=128 >&2; sha256sum </tmp/back)"
    rm /tmp/back
    need "packets" ping -q -c 3 -i 0.3 "$(address g)"
}
step "a guest with disks, raw and qcow2, a network and a frame buffer" together

frame_buffer() {
    need "it is there" has xen <(inside g 'cat /proc/fb')
    need "a keyboard, too" has "Xen Virtual Keyboard" <(inside g 'cat /proc/bus/input/devices')
    inside g 'head -c 65536 /dev/urandom >/tmp/picture; dd if=/tmp/picture of=/dev/fb0 bs=64k seek=15'
    local drawn=$(inside g 'sha256sum </tmp/picture')
    await "what was drawn is to be seen" eval "python3 vnc.py >/tmp/vnc && grep -q '${drawn%% *}' /tmp/vnc"
    need "its size" has "^800 600 " /tmp/vnc
}
step "the frame buffer by VNC" frame_buffer

xl destroy g

# A guest whose initrd has Linux's driver of the watchdog, which the small one lacks.
unfed() {
    local id name
    for name in watchdog xen_wdt; do driver $name >$name.ko; done
    (cat initrd.img && printf '%s\n' watchdog.ko xen_wdt.ko | cpio -o -H newc) >wdt.img
    guest w "ramdisk='/root/wdt.img'"
    need "xl create" xl create -q w.cfg
    up w
    id=$(xl domid w)
    inside w 'insmod /watchdog.ko; insmod /xen_wdt.ko timeout=15'
    need "it is fed, and lives longer than without" inside w 'exec 3>/dev/watchdog; for i in 1 2 3 4 5 6 7 8; do echo >&3; sleep 3; done'
    need "it lives" is "$(xl domid w)" "$id"
    await "xl sees why it ended" has "Domain $id has shut down, reason code 4 " /var/log/xen/xl-w.log
    need "what is done" has "Action for shutdown reason code 4 is destroy" /var/log/xen/xl-w.log
    need "the hypervisor's word" eval "xl dmesg | grep -q 'd$id: its watchdog was not set anew in time'"
    await "it is gone" gone xl list w
    # dom0's own: fed, and closed as one does who needs it no longer.
    modprobe xen_wdt timeout=15
    exec 3>/dev/watchdog
    for i in 1 2 3 4 5 6 7 8; do echo >&3; sleep 3; done
    printf V >&3
    exec 3>&-
    sleep 20
    need "nobody has it" modprobe -r xen_wdt
}
step "Linux's /dev/watchdog: a guest that feeds it no longer ends; dom0 feeds it, and closes it" unfed

echo "guests: over"
systemctl poweroff
