# SPDX-License-Identifier: MIT
# The life of one guest, in few words, for a toolstack that asks by another version of the interface.

toolstack() {
    need "the version that the hypervisor says" is "$(xl info xen_version | cut -c1-4)" "$XEN"
    need "Debian's choice by it" is "$(/usr/lib/xen-common/bin/xen-dir)" "/usr/lib/xen-$XEN"
    need "what it says of the hypervisor" is "$(xl info xen_extra)" "$(cat /sys/hypervisor/version/extra)"
    need "of its command line" has "^xen_commandline *: xen-version=$XEN noreboot" <(xl info)
    need "dom0's memory" is "$(field Domain-0 3)" "$DOM0_MEM"
    need "an id that no domain has" gone xl domname 9
    free_memory >/tmp/free
}
step "xl info, list" toolstack

life() {
    guest g "vcpus=2" "vif=['bridge=xenbr0']"
    need "xl create" xl create -q /root/g.cfg
    up g
    need "xl list" is "$(field g 3)" 112
    need "its vCPUs" is "$(xl vcpu-list g | wc -l)" 3
    need "its console" is "$(inside g 'echo $((6 * 7)) $(nproc)')" "42 2"
    need "packets come back" ping -q -c 3 -i 0.2 "$(address g)"
}
step "xl create, list, a console, a network" life

ended() {
    need "xl destroy" xl destroy g
    await "it has gone" gone xl list g
    nothing_left "$(cat /tmp/free)"
}
step "xl destroy: nothing is left" ended
