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

# In the guest, until /tmp/stop is there: what is written is read again, what is fetched is what dom0 has; rounds are counted.
LOAD='(n=0; while [ ! -e /tmp/stop ]; do dd if=/dev/urandom of=/tmp/w bs=64k count=32; dd if=/tmp/w of=/dev/xvdb bs=64k conv=fsync;
 echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/xvdb bs=64k count=32 | cmp - /tmp/w || echo disk >>/tmp/bad; n=$((n+1)); echo $n >/tmp/disk; sleep 1; done;
 echo >/tmp/over1) >/dev/null 2>&1 & (n=0; while [ ! -e /tmp/stop ]; do wget -q -O /tmp/f http://10.99.0.1:7000/there; e=$?;
 [ "$(sha256sum </tmp/f)" = "$(cat /tmp/sum)" ] || echo "network: wget $e, $(wc -c </tmp/f) bytes" >>/tmp/bad; n=$((n+1)); echo $n >/tmp/net; sleep 1; done; echo >/tmp/over2) >/dev/null 2>&1 & true'

hot_disk() { # NAME SPECIFICATION SUM
    need "attach $1" xl block-attach g "$2"
    await "$1 has come" inside g "test -b /dev/$1"
    need "what is on $1" is "$(inside g "sha256sum </dev/$1")" "$3"
    need "detach $1" xl block-detach g "$1"
    await "$1 has gone" inside g "test ! -e /sys/block/$1"
}

hot_network() {
    need "network-attach" xl network-attach g bridge=xenbr0 mac=00:16:3e:00:00:77
    await "it has come" inside g 'test -e /sys/class/net/eth1'
    inside g 'ip link set eth1 up; ip address add 10.99.1.2/24 dev eth1'
    ip address add 10.99.1.1/24 dev xenbr0
    await "it answers" ping -q -c 1 10.99.1.2
    ip address del 10.99.1.1/24 dev xenbr0
    need "network-detach" xl network-detach g 00:16:3e:00:00:77
    await "it has gone" inside g 'test ! -e /sys/class/net/eth1'
}

tools() {
    need "xentop" has "^ *g .* 2 " <(xentop -b -i 2 -d 1)
    need "both domains" has "^ *Domain-0 " <(xentop -b -f -n -x -v -i 1)
    local i
    for i in {1..30}; do xenstore-write /local/domain/0/test/$i "value $i"; done
    need "xenstore-list" is "$(xenstore-list /local/domain/0/test | wc -l)" 30
    need "xenstore-read" is "$(xenstore-read /local/domain/0/test/17)" "value 17"
    xenstore-chmod /local/domain/0/test/17 n0 "r$(xl domid g)"
    need "xenstore-ls" has "17 = \"value 17\" *(n0,r" <(xenstore-ls -fp /local/domain/0/test)
    timeout 60 xenstore-watch -n 2 /local/domain/0/test/1 >/tmp/watched &
    sleep 2
    xenstore-write /local/domain/0/test/1 changed
    need "xenstore-watch" wait $!
    xenstore-rm /local/domain/0/test
    need "xenstore-exists" gone xenstore-exists /local/domain/0/test
}

under_load() {
    mkdir -p www
    head -c 2097152 /dev/urandom >www/there
    (cd www && exec python3 -m http.server -b 10.99.0.1 7000) >/dev/null 2>&1 &
    local server=$! round
    head -c 1048576 /dev/urandom >second.img
    qemu-img convert -f raw -O qcow2 second.img second.qcow2
    local sum=$(sha256sum <second.img)
    await "the server" eval ': 3<>/dev/tcp/10.99.0.1/7000'
    inside g "echo '$(sha256sum <www/there)' >/tmp/sum"
    inside g "$(tr '\n' ' ' <<<"$LOAD")"
    # The toolstack gives a hot-plug script 40 s. So dom0 comes first, as one sets it who has busy guests.
    xl sched-credit2 -d 0 -w 2048
    nice -n 19 stress-ng --cpu 1 --vm 1 --vm-bytes 64M --verify --timeout @SECONDS@ >/tmp/stress 2>&1 &
    local stress=$!
    for round in 1 2 3; do
        hot_disk xvdc "/root/second.img,raw,xvdc,r" "$sum"
        hot_disk xvdd "/root/second.qcow2,qcow2,xvdd,w" "$sum"
        hot_network
        tools
        xl pause g && sleep 1 && xl unpause g
        xl mem-set g $((320 - 40 * (round % 2)))
        xl vcpu-set g $((1 + round % 2))
    done
    : >$LOGS/guest-guest.log
    need "another guest" xl create -q guest.cfg
    example_up
    need "which ends" xl destroy guest
    need "stress-ng in dom0" wait $stress
    inside g 'touch /tmp/stop'
    await "the guest's load ends" inside g 'test -e /tmp/over1 && test -e /tmp/over2'
    kill $server
    xl sched-credit2 -d 0 -w 256
    need "nothing was lost or changed" inside g 'test ! -e /tmp/bad || ! cat /tmp/bad'
    need "rounds of its disk" [ "$(inside g 'cat /tmp/disk')" -ge 3 ]
    need "rounds of its network" [ "$(inside g 'cat /tmp/net')" -ge 3 ]
    echo "rounds: $(inside g 'cat /tmp/disk /tmp/net' | xargs)"
}
step "under load: disks, networks, tools, another guest, come and go" under_load

crowd() {
    local i
    for i in 1 2 3 4; do
        cp second.qcow2 c$i.qcow2
        guest c$i "vif=['bridge=xenbr0']" "disk=['/root/c$i.qcow2,qcow2,xvda,w']"
        xl create -q c$i.cfg &
    done
    wait
    for i in 1 2 3 4; do up c$i; done
    for i in 1 2 3 4; do
        await "c$i has a disk" inside c$i 'test -b /dev/xvda'
        need "the disk of c$i" is "$(inside c$i 'sha256sum </dev/xvda')" "$(sha256sum <second.img)"
        need "packets of c$i" ping -q -c 2 "$(address c$i)"
    done
    for i in 1 2 3 4; do xl destroy c$i & done
    wait
    await "all are gone" eval '! xl list | grep -q "^c[1-4] "'
}
step "four guests at once, created and destroyed beside each other" crowd

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

over() {
    need "xl destroy, busy as it is" xl destroy g
    await "its QEMU has gone" eval '! pgrep -f "name g "'
    need "the qcow2 image is whole" qemu-img check -q data.qcow2
    nothing_left "$(cat /tmp/free)"
    need "no unit has failed" is "$(systemctl --failed --plain --no-legend)" ""
    need "dom0's kernel is content" gone eval 'dmesg | grep -E "BUG:|WARNING:|Oops|soft lockup|rcu: INFO|blocked for more|Call Trace"'
    xl debug-keys m
    await "the audit of frames" eval 'xl dmesg | grep -q "audit ok"'
    need "which finds nothing" gone eval 'xl dmesg | grep ": audit " | grep -v ": audit ok"'
}
step "nothing is left, and nobody complains" over

domains() {
    mkdir -p /etc/xen/auto
    ln -s /root/guest.cfg /etc/xen/auto
    : >$LOGS/guest-guest.log
    need "systemctl restart" systemctl restart xendomains
    example_up
    need "systemctl stop" systemctl stop xendomains
    await "the guest has ended" gone xl list guest
    need "as it was asked to" has "has shut down, reason code 0" /var/log/xen/xl-guest.log
    nothing_left "$(cat /tmp/free)"
}
step "xendomains starts guests, and ends them before dom0" domains

echo "guests: over"
systemctl poweroff
