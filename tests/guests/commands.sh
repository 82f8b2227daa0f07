# SPDX-License-Identifier: MIT
# Commands of xl, by what they do to one guest, which lives from the fourth step to that of xl shutdown; then small guests' ends.

daemons() {
    need "Debian's scripts choose by the version" is "$(/usr/lib/xen-common/bin/xen-dir)" "/usr/lib/xen-$XEN"
    need "dom0's name" is "$(xenstore-read /local/domain/0/name)" Domain-0
    need "oxenstored runs, once" is "$(pidof oxenstored | wc -w)" 1
    need "xenconsoled runs, once" is "$(pidof xenconsoled | wc -w)" 1
}
step "the daemons are up" daemons

store() {
    local key=/local/domain/0/device/test
    xenstore-watch -n 3 $key >/tmp/watched &
    await "the watch is set" has "^$key" /tmp/watched
    xenstore-write $key value
    need "the store keeps" is "$(xenstore-read $key)" value
    need "in its place" is "$(xenstore-ls /local/domain/0/device)" 'test = "value"'
    xenstore-rm $key
    need "it has gone" gone xenstore-read $key
    wait $!
    need "each change was told" is "$(sort -u /tmp/watched)" $key
}
step "xenstore-write, read, ls, watch, rm" store

information() {
    need "the version" is "$(xl info xen_version | cut -c1-4)" "$XEN"
    need "CPUs" is "$(xl info nr_cpus)" 1
    need "memory" between 1500 "$(xl info total_memory)" 2048
    need "free memory" between 900 "$(xl info free_memory)" 1600
    need "the scheduler" is "$(xl info xen_scheduler)" credit2
    xl info -n >/tmp/numa
    need "one node" has "^ *0: *2047 " /tmp/numa
    need "dom0's memory" is "$(field Domain-0 3)" "$DOM0_MEM"
    need "dom0 runs" is "$(state Domain-0)" r-----
    local before=$(ran 0)
    for ((i = 0; i < 10000; i++)); do :; done
    need "its time goes on" [ "$(ran 0)" -gt "$before" ]
    xl list -l Domain-0 >/tmp/long
    need "all of it, in words" has '"domid": 0' /tmp/long
    xl vcpu-list 0 >/tmp/vcpus
    need "its vCPU" has "Domain-0 *0 *0 *0 *r--" /tmp/vcpus
    xl cpupool-list >/tmp/pools
    need "the one pool" has "^Pool-0 *1 *credit2 *y *1" /tmp/pools
    need "nothing is claimed" is "$(xl claims | awk '{ print $NF }' | tr '\n' ' ')" "Claimed 0 "
    xl uptime 0 >/tmp/up
    need "dom0's uptime" has "^Domain-0 *0 *0:0" /tmp/up
}
step "xl info, list, vcpu-list, cpupool-list, claims, uptime" information

log() {
    xl dmesg >/tmp/dmesg
    need "the boot log" has "Command line" /tmp/dmesg
    xl debug-keys h
    await "the keys' list" eval "xl dmesg | grep -q \"'h' pressed\""
    xl dmesg -c >/tmp/dmesg
    need "it is read once more" [ -s /tmp/dmesg ]
    need "it is cleared" [ "$(xl dmesg | wc -c)" -lt 200 ]
}
step "xl dmesg, dmesg -c, debug-keys" log

paused() {
    truncate -s 4M /root/disk.img
    dd if=/dev/urandom of=/root/disk.img conv=notrunc bs=64k count=16
    guest g "vcpus=2" "maxmem=144" "vif=['bridge=xenbr0']" "disk=['/root/disk.img,raw,xvda,w']"
    free_memory >/tmp/free
    need "xl create -p" xl create -p -q /root/g.cfg
    need "it is paused" is "$(state g)" --p---
    need "it has not run" is "$(ran g)" 0
    need "its memory" is "$(field g 3)" 112
    need "its vCPUs" is "$(xl vcpu-list g | wc -l)" 3
    need "free memory" between $(($(cat /tmp/free) - 122)) "$(free_memory)" $(($(cat /tmp/free) - 112))
    need "its name" is "$(xl domname "$(xl domid g)")" g
    xl list -l g >/tmp/long
    need "its configuration" is "$(grep -c '"max_vcpus": 2,\|"max_memkb": 147456,\|"bridge": "xenbr0"\|"pdev_path": "/root/disk.img",' /tmp/long)" 4
}
step "a guest is created, paused; xl domid, domname, list -l" paused

console() {
    xl unpause g
    up g
    need "its own report" has "guest: 2 vCPUs" $LOGS/guest-g.log
    need "a command in it" is "$(inside g 'echo $((6 * 7))')" 42
    need "status of a command in it" gone inside g "false"
    need "status of one that is none" gone inside g "true & ;"
    timeout 100 xl console g >/tmp/console 2>&1 &
    sleep 2
    inside g 'echo through xl console'
    await "xl console" has "through xl console" /tmp/console
    kill $!
}
step "its console: report, commands, xl console" console

pause() {
    xl pause g
    need "it is paused, blocked or not" is "$(state g | tr b -)" --p---
    local before=$(ran g)
    sleep 2
    need "its time stands still" is "$(ran g)" "$before"
    xl unpause g
    inside g 'i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done'
    need "its time goes on" [ "$(ran g)" -gt "$before" ]
}
step "xl pause, unpause" pause

disk() {
    need "what is on it" is "$(inside g 'sha256sum </dev/xvda')" "$(sha256sum </root/disk.img)"
    inside g 'head -c 2097152 /dev/urandom >/tmp/new; dd if=/tmp/new of=/dev/xvda bs=64k conv=fsync'
    need "what it wrote" is "$(inside g 'sha256sum </tmp/new')" "$(head -c 2097152 /root/disk.img | sha256sum)"
    xl block-list g >/tmp/blocks
    need "xl block-list" has "^51712 *0 " /tmp/blocks
}
step "a disk, read and written" disk

second_disk() {
    head -c 1048576 /dev/urandom >/root/second.img
    need "xl block-attach" xl block-attach g "/root/second.img,raw,xvdb,r"
    await "it has come" inside g 'test -b /dev/xvdb'
    need "what is on it" is "$(inside g 'sha256sum </dev/xvdb')" "$(sha256sum </root/second.img)"
    need "it is read only" is "$(inside g 'cat /sys/block/xvdb/ro')" 1
    need "xl block-detach" xl block-detach g xvdb
    await "it has gone" inside g 'test ! -e /sys/block/xvdb'
    await "the loop device is free" eval '! losetup -a | grep -q second'
}
step "xl block-attach, block-detach" second_disk

network() {
    need "xl network-list" eval "xl network-list g | grep -q '^0 *0 *00:16:3e:'"
    need "packets come back" ping -q -c 3 -i 0.2 -s 1400 "$(address g)"
    head -c 1048576 /dev/urandom >/tmp/there
    httpd -p 7000 -h /tmp
    inside g 'wget -q -O /tmp/got http://10.99.0.1:7000/there'
    need "what came to the guest" is "$(inside g 'sha256sum </tmp/got')" "$(sha256sum </tmp/there)"
    inside g 'httpd -p 7001 -h /tmp'
    wget -q -O /tmp/back "http://$(address g):7001/got"
    need "and came back" cmp /tmp/there /tmp/back
}
step "a network, both ways" network

second_network() {
    need "xl network-attach" xl network-attach g bridge=xenbr0 mac=00:16:3e:00:00:77
    await "it has come" inside g 'test -e /sys/class/net/eth1'
    need "its address" is "$(inside g 'cat /sys/class/net/eth1/address')" 00:16:3e:00:00:77
    need "xl network-detach" xl network-detach g 00:16:3e:00:00:77
    await "it has gone" inside g 'test ! -e /sys/class/net/eth1'
}
step "xl network-attach, network-detach" second_network

names() {
    xl rename g other
    need "its new name" is "$(field other 1)" other
    need "the old one is none" gone xl list g
    xl rename other g
    need "its old name" is "$(field g 1)" g
}
step "xl rename" names

watching() {
    xentop -b -i 1 >/tmp/top
    need "both domains" has "^ *g .* 2 " /tmp/top
    need "dom0" has "^ *Domain-0 " /tmp/top
    xl uptime g >/tmp/up
    need "its age" has "^g *[0-9]* *0:[0-9]" /tmp/up
}
step "xentop, xl uptime" watching

vcpus() {
    local cpu1=/sys/devices/system/cpu/cpu1
    xl vcpu-set g 1
    await "one CPU" inside g '[ "$(cat /sys/devices/system/cpu/online)" = 0 ]'
    xl vcpu-list g >/tmp/vcpus
    need "the other is down" has "^g *[0-9]* *1 *- *--p" /tmp/vcpus
    xl vcpu-set --ignore-host g 2
    await "two again" inside g "echo 1 >$cpu1/online; [ \$(cat /sys/devices/system/cpu/online) = 0-1 ]"
    had() { xl vcpu-list g | awk '$3 == 1 { print int($6 * 10) }'; }
    local before=$(had)
    inside g 'taskset 2 sh -c "i=0; while [ \$i -lt 30000 ]; do i=\$((i + 1)); done"'
    need "the second runs" [ "$(had)" -gt "$before" ]
    need "more than it has" gone xl vcpu-set --ignore-host g 3
}
step "xl vcpu-set" vcpus

share() {
    xl sched-credit2 -d g -w 512 -c 30
    need "its weight and cap" is "$(xl sched-credit2 -d g | awk '$1 == "g" { print $3, $4 }')" "512 30"
    xl sched-credit2 -d g -w 256 -c 0
    need "no weight is too much" gone xl sched-credit2 -d g -w 70000
    need "there is no second CPU" gone xl vcpu-pin g 1 1
}
step "xl sched-credit2, vcpu-pin: what is kept, what is refused" share

memory() {
    local free=$(free_memory) total=$(total)
    xl mem-set g 96
    await "the host has what it gave" free_is $((free + 16))
    need "it has less" is "$(total)" $((total - 16384))
    xl mem-set g 130
    await "the host has given" free_is $((free - 18))
    need "it has more than at its start" is "$(total)" $((total + 18432))
    need "more than its kernel expects" gone xl mem-set g 200
    # The toolstack grants 1 MiB beyond: so much its own driver gets, which asks for all.
    xl mem-max g 134
    need "its bound" is "$(xentop -b -i 1 | awk '$1 == "g" { print $7 }')" 138240
    inside g "echo 147456 >/sys/devices/system/xen_memory/xen_memory0/target_kb"
    await "it has all that it may" eval '[ "$(field g 3)" = 135 ]'
    sleep 2
    need "and no more" is "$(field g 3)" 135
    xl mem-max g 144
    xl mem-set g 112
    await "memory as before" free_is "$free"
}
total() { inside g 'grep MemTotal /proc/meminfo | tr -s " " | cut -d" " -f2'; }
step "xl mem-set, mem-max" memory

keys() {
    xl sysrq g h
    await "what the key prints" has "sysrq: HELP" $LOGS/guest-g.log
    need "xl trigger nmi" xl trigger g nmi 1
    await "its second CPU has an NMI" has "NMI received for unknown reason 00 on CPU 1" $LOGS/guest-g.log
    refused() { xl trigger g "$1" 2>&1 | grep -q "$2"; }
    need "a PV guest is not reset" refused reset "Function not implemented"
    need "nor started like this" refused init "Function not implemented"
    need "nor has it a button" refused power "Invalid argument"
    need "it lives on" is "$(inside g 'echo well')" well
}
step "xl sysrq, trigger" keys

# number FILE OFFSET, of 8 bytes
number() { od -A n -t u8 -j "$2" -N 8 "$1" | tr -d ' '; }

# section DUMP INDEX FIELD: a field of a section's header in an ELF file, by its offset in it.
section() { number "$1" $(($(number "$1" 40) + 64 * $2 + $3)); }

# page DUMP PFN: a page of a guest's memory, as its dump has it.
page() {
    local index=$(od -A n -v -t u8 -w16 -j "$(section "$1" 6 24)" -N "$(section "$1" 6 32)" "$1" | awk -v p="$2" '$1 == p { print NR - 1 }')
    dd if="$1" bs=4096 skip=$(($(section "$1" 5 24) / 4096 + index)) count=1 2>/dev/null
}

dump() {
    local core=/var/lib/xen/dump/g banner
    mount -t tmpfs -o size=160M tmpfs /var/lib/xen/dump
    need "xl dump-core" xl dump-core g $core
    need "its sections" is "$(dd if=$core bs=1 skip="$(section $core 1 24)" count="$(section $core 1 32)" | tr '\0' ' ')" \
        " .shstrtab .note.Xen .xen_prstatus .xen_shared_info .xen_pages .xen_p2m "
    need "its memory" is "$(section $core 5 32)" $((112 << 20))
    # Where the kernel's image maps its first 2 GiB of memory.
    banner=$((0x$(inside g "sed -n 's/^ffffffff\(.*\) . linux_banner$/\1/p' /proc/kallsyms") - 0x80000000))
    need "its kernel's name, where that lies" is "$(page $core $((banner >> 12)) | tail -c +$((banner % 4096 + 1)) | head -n 1)" \
        "$(inside g 'cat /proc/version')"
    umount /var/lib/xen/dump
    need "it goes on" is "$(inside g 'echo well')" well
}
step "xl dump-core" dump

reboot() {
    local id=$(xl domid g) free=$(free_memory)
    inside g 'touch /tmp/before'
    : >$LOGS/guest-g.log
    need "xl reboot" xl reboot g
    await "its kernel is told" has "reboot: Restarting system" $LOGS/guest-g.log
    up g
    need "it has another number" is "$(xl domid g)" $((id + 1))
    need "it starts anew" gone inside g 'test -e /tmp/before'
    need "with its devices" is "$(inside g 'sha256sum </dev/xvda')" "$(sha256sum </root/disk.img)"
    await "memory of one guest" free_is "$free"
}
step "xl reboot" reboot

shut_down() {
    need "xl shutdown -w" xl shutdown -w g
    need "its kernel was told" has "reboot: System halted" $LOGS/guest-g.log
    await "it has gone" gone xl list g
    nothing_left "$(cat /tmp/free)"
}
step "xl shutdown: nothing is left" shut_down
