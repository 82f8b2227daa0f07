# SPDX-License-Identifier: MIT
# Commands of xl, by what they do to one guest, which lives from the fourth step on.

daemons() {
    need "Debian's scripts choose by the version" is "$(/usr/lib/xen-common/bin/xen-dir)" /usr/lib/xen-4.17
    need "dom0's name" is "$(xenstore-read /local/domain/0/name)" Domain-0
    need "oxenstored runs, once" is "$(pidof oxenstored | wc -w)" 1
    need "xenconsoled runs, once" is "$(pidof xenconsoled | wc -w)" 1
    xenstore-write /local/domain/0/device/test value
    need "the store keeps" is "$(xenstore-read /local/domain/0/device/test)" value
    xenstore-rm /local/domain/0/device/test
}
step "the daemons are up" daemons

information() {
    need "the version" is "$(xl info xen_version | cut -c1-4)" 4.17
    need "CPUs" is "$(xl info nr_cpus)" 1
    need "memory" between 1500 "$(xl info total_memory)" 2048
    need "free memory" between 900 "$(xl info free_memory)" 1600
    need "the scheduler" is "$(xl info xen_scheduler)" credit2
    xl info -n >/tmp/numa
    need "one node" has "^ *0: *2047 " /tmp/numa
    need "dom0's memory" is "$(field Domain-0 3)" 448
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
    xl uptime 0 >/tmp/up
    need "dom0's uptime" has "^Domain-0 *0 *0:0" /tmp/up
}
step "xl info, list, vcpu-list, cpupool-list, uptime" information

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
    xl domname "$(xl domid g)" >/tmp/name
    need "its name" is "$(cat /tmp/name)" g
}
step "a guest is created, paused" paused

console() {
    xl unpause g
    up g
    need "its own report" has "guest: 2 vCPUs" $LOGS/guest-g.log
    need "a command in it" is "$(inside g 'echo $((6 * 7))')" 42
    need "status of a command in it" gone inside g "false"
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
