# SPDX-License-Identifier: MIT
# Commands of xl, by what they do to one guest, which lives from the fourth step on; then what must fail, and guests that crash.

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

