# SPDX-License-Identifier: MIT
# A guest is saved and goes on elsewhere: xl save, save -c, restore, with a disk, a network and two CPUs in use.

free_memory >/tmp/free
mkdir -p /saved
mount -t tmpfs -o size=160M tmpfs /saved

created() {
    head -c 1048576 /dev/urandom >/root/disk.img
    guest g "vcpus=2" "vif=['bridge=xenbr0']" "disk=['/root/disk.img,raw,xvda,w']"
    need "xl create" xl create -q /root/g.cfg
    up g
    on_time 0
    # What it has in memory, and two programs that never rest: one stores, one counts.
    inside g 'head -c 4000000 /dev/urandom >/tmp/kept; sha256sum </tmp/kept >/tmp/sum'
    inside g '(while :; do cat /tmp/kept >/tmp/again; cmp /tmp/kept /tmp/again || echo differs; done) >/tmp/differs 2>&1 & true'
    inside g '(n=0; while :; do n=$((n + 1)); echo $n >/tmp/n.new; mv /tmp/n.new /tmp/n; done) & true'
}
step "a busy guest of two CPUs" created

# on_time: its clocks are dom0's, and go on from UPTIME.
on_time() { # UPTIME
    need "its date" between $(($(date +%s) - 20)) "$(inside g 'date +%s')" $(($(date +%s) + 20))
    need "its uptime" between "$1" "$(inside g 'cut -d. -f1 /proc/uptime')" $(($(cut -d. -f1 /proc/uptime) + 20))
}

# same COUNT UPTIME: it is what it was, with its devices, and goes on.
same() {
    need "what it had in memory" inside g 'sha256sum </tmp/kept | cmp - /tmp/sum'
    need "what its program finds" is "$(inside g 'cat /tmp/differs')" ""
    need "what is on its disk" is "$(inside g 'echo 3 >/proc/sys/vm/drop_caches; sha256sum </dev/xvda')" "$(sha256sum </root/disk.img)"
    need "packets come back" ping -q -c 3 -i 0.2 "$(address g)"
    need "both CPUs" is "$(inside g 'cat /sys/devices/system/cpu/online')" 0-1
    counted() { inside g 'cat /tmp/n'; }
    local n=$(counted)
    need "it has counted on" [ "$n" -ge "$1" ]
    await "it counts" eval "[ \$(counted) -gt $n ]"
    on_time "$2"
}

saved() {
    local n=$(inside g 'cat /tmp/n') up=$(inside g 'cut -d. -f1 /proc/uptime') id=$(xl domid g)
    need "xl save" xl save g /saved/g
    need "it has gone" gone xl list g
    nothing_left "$(cat /tmp/free)"
    need "xl restore" xl restore /saved/g
    rm /saved/g
    need "it has another number" [ "$(xl domid g)" -gt "$id" ]
    same "$n" "$up"
}
step "xl save, restore" saved

checkpoint() {
    local n=$(inside g 'cat /tmp/n') up=$(inside g 'cut -d. -f1 /proc/uptime') id=$(xl domid g)
    need "xl save -c" xl save -c g /saved/g
    need "it has its number" is "$(xl domid g)" "$id"
    same "$n" "$up"
    need "xl destroy" xl destroy g
    need "xl restore" xl restore /saved/g
    rm /saved/g
    same "$n" "$up"
}
step "xl save -c: it goes on, and comes back as it was" checkpoint

left() {
    need "xl destroy" xl destroy g
    umount /saved
    nothing_left "$(cat /tmp/free)"
}
step "a restored guest is destroyed: nothing is left" left
