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

# A guest that migrates, without a disk, which would be in use twice for a moment. It has a program that stores, and does not take all of the
# CPU. (Its writes stay logged when it is given up: xl's helper dies of the broken pipe, as on Xen.)
migrates() {
    guest m "vcpus=2" "vif=['bridge=xenbr0']"
    free_memory >/tmp/free
    need "xl create" xl create -q /root/m.cfg
    up m
    inside m 'head -c 4000000 /dev/urandom >/tmp/kept; sha256sum </tmp/kept >/tmp/sum'
    inside m '(while sleep 1; do cat /tmp/kept >/tmp/again; cmp /tmp/kept /tmp/again || echo differs; done) >/tmp/differs 2>&1 & true'
}

# whole: it has what it had in memory and on its network.
whole() {
    need "what it had in memory" inside m 'sha256sum </tmp/kept | cmp - /tmp/sum'
    need "what its program finds" is "$(inside m 'cat /tmp/differs')" ""
    need "packets come back" ping -q -c 3 -i 0.2 "$(address m)"
}

given_up() {
    migrates
    local id=$(xl domid m)
    need "xl migrate fails" gone xl migrate -s "" m "head -c 6000000 | xl migrate-receive"
    need "it has its number" is "$(xl domid m)" "$id"
    need "there is no other" is "$(xl list | wc -l)" 3
    whole
}
step "a live migration that is given up: the guest goes on as before" given_up

migrated() {
    local id=$(xl domid m)
    need "xl migrate" xl migrate -s "" m "xl migrate-receive"
    need "it has another number" [ "$(xl domid m)" -gt "$id" ]
    ln -sf guest-m--incoming.log $LOGS/guest-m.log # the name that it came with
    whole
    need "xl destroy" xl destroy m
    nothing_left "$(cat /tmp/free)"
}
step "xl migrate, live, to the same host" migrated
