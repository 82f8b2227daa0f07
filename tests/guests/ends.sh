# SPDX-License-Identifier: MIT
# How guests end that nobody asked to, and many beside each other. They are test kernels, so each lives for moments.

free_memory >/tmp/free

crash() {
    mini c dies_unhandled_fault "on_crash='preserve'"
    need "xl create" xl create -q /root/c.cfg
    local id=$(xl domid c)
    await "it has crashed" eval 'state c | grep -q "^---sc-"'
    await "xl knows why" has "Domain $id has shut down, reason code 3 " /var/log/xen/xl-c.log
    need "xl does as told" has "Action for shutdown reason code 3 is preserve" /var/log/xen/xl-c.log
    xl dmesg >/tmp/dmesg
    need "the hypervisor's report" has "d$id:v0: unhandled page fault (ec=0002) in kernel mode: no handler is registered" /tmp/dmesg
    need "the page walk" has "L4\[0x024\] = 0000000000000000 not present" /tmp/dmesg
    need "the registers" has "rax: 0000123456789000 " /tmp/dmesg
    need "dom0 goes on" is "$(state Domain-0)" r-----
    need "xl destroy" xl destroy c
    nothing_left "$(cat /tmp/free)"
}
step "a guest's crash: the report, its state, xl destroy; dom0 goes on" crash

watchdog() {
    mini w dies_watchdog "on_watchdog='preserve'"
    need "xl create" xl create -q /root/w.cfg
    await "its time is up" eval 'state w | grep -q "^-.-sw-"'
    await "xl does as told" has "Action for shutdown reason code 4 is preserve" /var/log/xen/xl-w.log
    need "the hypervisor's word" eval "xl dmesg | grep -q 'd$(xl domid w): its watchdog was not set anew in time'"
    need "xl destroy" xl destroy w
    nothing_left "$(cat /tmp/free)"
}
step "a guest's watchdog" watchdog

many() {
    local i
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        mini m$i spin
        need "xl create" xl create -p -q /root/m$i.cfg
    done
    need "their memory" between $(($(cat /tmp/free) - 12 * 5)) "$(free_memory)" $(($(cat /tmp/free) - 12 * 4))
    for i in 5 1 12 3 8 2; do need "xl destroy" xl destroy m$i; done
    need "the others" is "$(xl list | awk 'NR > 2 { print $1 }' | tr '\n' ' ')" "m4 m6 m7 m9 m10 m11 "
    for i in 12 1 5; do
        need "xl create" xl create -p -q /root/m$i.cfg
        need "its memory is its own" is "$(field m$i 3)" 4
    done
    for i in 12 4 1 9 6 11 5 7 10; do need "xl destroy" xl destroy m$i; done
    nothing_left "$(cat /tmp/free)"
}
step "twelve guests, created and destroyed in mixed order" many
