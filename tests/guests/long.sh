# SPDX-License-Identifier: MIT
# Commands of xl that take longer, or a second CPU: where guests run and for how long, what becomes of them at their end, and guests that
# are half made.

free_memory >/tmp/free

used() { xl vcpu-list "$1" | awk 'NR == 2 { print int($6 * 10) }'; } # tenths of a second
on() { xl vcpu-list "$1" | awk 'NR == 2 { print $4 }'; }             # its CPU

# over SECONDS: a and b are what the two guests have had meanwhile.
over() {
    a=$(used s1) b=$(used s2)
    sleep "$1"
    a=$(($(used s1) - a)) b=$(($(used s2) - b))
    echo "s1 has had $a, s2 $b tenths of a second"
}

# stays CPU GUEST: at each of six looks. dom0 looks from the other CPU.
stays() {
    for _ in 1 2 3 4 5 6; do
        [ "$(on "$2")" = "$1" ] || return 1
        sleep 0.3
    done
}

pins() {
    local name a b
    xl vcpu-pin 0 all 0
    for name in s1 s2; do
        mini $name spin
        need "xl create" xl create -q /root/$name.cfg
        xl vcpu-pin $name 0 1
        need "where it must run" eval "xl vcpu-list $name | grep -q ' 1 / all$'"
    done
    need "one runs there" stays 1 s1
    need "the other too" stays 1 s2
    over 10
    need "they share it" between $((b * 7 / 10)) "$a" $((b * 13 / 10))
    xl vcpu-pin 0 all 1
    xl vcpu-pin s1 0 all 0
    need "where it had better run" eval "xl vcpu-list s1 | grep -q ' all / 0$'"
    await "it goes where it had better" stays 0 s1
    xl vcpu-pin s1 0 0 all
    need "where it must" stays 0 s1
    xl vcpu-pin 0 all 0
    xl vcpu-pin s1 0 1
    need "and back, at once" stays 1 s1
    need "no such CPU" gone xl vcpu-pin s1 0 2
}
step "xl vcpu-pin: two guests on one CPU, and apart" pins

shares() {
    local a b
    xl sched-credit2 -d s1 -w 768
    over 15
    need "thrice the weight" between $((b * 22 / 10)) "$a" $((b * 4))
    xl sched-credit2 -d s1 -w 256 -c 25
    over 15
    need "a cap of a quarter" between $((b / 5)) "$a" $((b * 45 / 100))
    xl sched-credit2 -d s1 -c 0
    over 10
    need "equals again" between $((b * 7 / 10)) "$a" $((b * 13 / 10))
    xl pause s2
    over 5
    need "it has stood still" is "$b" 0
    need "a guest that does not listen stays" gone timeout 5 xl shutdown -w s1
    need "xl destroy" xl destroy s1
    need "xl destroy" xl destroy s2
    xl vcpu-pin 0 all all
    nothing_left "$(cat /tmp/free)"
}
step "xl sched-credit2: what weight and cap are worth" shares

# begin LINE...: a guest of Linux, e.
begin() {
    xl destroy e 2>/dev/null
    rm -f $LOGS/guest-e.log /var/log/xen/xl-e.log
    guest e "$@"
    need "xl create" xl create -q /root/e.cfg
    up e
    : >$LOGS/guest-e.log
    id=$(xl domid e)
}

# ended CODE ACTION: what xl has seen and done
ended() {
    await "the reason" has "Domain $id has shut down, reason code $1 " /var/log/xen/xl-e.log
    await "what is done" has "Action for shutdown reason code $1 is $2$" /var/log/xen/xl-e.log
}

# again: it has been started anew, and comes to its shell; then it goes.
again() {
    await "a new one" eval '[ "$(xl domid e)" = $((id + 1)) ]'
    up e
    need "xl destroy" xl destroy e
}

# kept CODE STATE
kept() {
    ended "$1" preserve
    need "it is there" is "$(state e)" "$2"
    need "with its memory" free_is $(($(cat /tmp/free) - 112))
    need "xl destroy" xl destroy e
    nothing_left "$(cat /tmp/free)"
}

preserved() {
    local id
    begin "on_poweroff='preserve'"
    xl shutdown e
    kept 0 ---s--
    begin "on_reboot='preserve'"
    xl reboot e
    kept 1 ---sr-
    begin "on_crash='preserve'"
    xl sysrq e c
    kept 3 ---sc-
}
step "on_poweroff, on_reboot, on_crash: preserve" preserved

restarted() {
    local id
    begin "on_poweroff='restart'"
    xl shutdown e
    ended 0 restart
    again
    begin "on_reboot='destroy'"
    xl reboot e
    ended 1 destroy
    await "it has gone" gone xl list e
    begin "on_crash='restart'"
    xl sysrq e c
    ended 3 restart
    again
    nothing_left "$(cat /tmp/free)"
}
step "on_poweroff, on_reboot, on_crash: restart, destroy" restarted

renamed() {
    local id
    begin "on_crash='rename-restart'"
    xl sysrq e c
    ended 3 rename-restart
    await "a new one" eval '[ "$(xl domid e)" = $((id + 1)) ]'
    up e
    need "the old one has another name" eval "xl domname $id | grep -q '^e-[0-9]*T[0-9]*Z$'"
    need "and has crashed" is "$(state "$id")" ---sc-
    need "both have their memory" free_is $(($(cat /tmp/free) - 2 * 112))
    need "xl destroy" xl destroy "$id"
    need "xl destroy" xl destroy e
    nothing_left "$(cat /tmp/free)"
}
step "on_crash: rename-restart" renamed

dumped() {
    local id what core=/var/lib/xen/dump/e
    mount -t tmpfs -o size=160M tmpfs /var/lib/xen/dump
    for what in destroy restart; do
        begin "on_crash='coredump-$what'"
        inside e 'i=0; while [ $i -lt 64 ]; do printf "%-4096s" "page-$i-of-the-guest"; i=$((i + 1)); done >/tmp/pages'
        xl sysrq e c
        ended 3 coredump-$what
        await "it has gone" gone xl list "$id"
        strings -n 16 $core | grep -o 'page-[0-9]*-of-the-guest\|panic - not syncing: sysrq triggered crash' | sort -u >/tmp/words
        need "what it wrote" is "$(grep -c page- /tmp/words)" 64
        need "its last words" has "sysrq triggered crash" /tmp/words
        rm $core
        [ $what = destroy ] || again
        need "no other comes" gone xl list e
    done
    umount /var/lib/xen/dump
    nothing_left "$(cat /tmp/free)"
}
step "on_crash: coredump-destroy, coredump-restart" dumped

updated() {
    local id
    begin "vcpus=1"
    need "as it was created" is "$(inside e nproc)" 1
    guest e "vcpus=2"
    need "xl config-update" xl config-update e /root/e.cfg
    xl reboot e
    await "a new one" eval '[ "$(xl domid e)" = $((id + 1)) ]'
    up e
    need "as the new configuration says" is "$(inside e nproc)" 2
    need "xl destroy" xl destroy e
    nothing_left "$(cat /tmp/free)"
}
step "xl config-update" updated

# fails SENTENCE LINE...: no guest comes of it, and nothing is left.
fails() {
    refused "$@"
    nothing_left "$(cat /tmp/free)"
}

half_made() {
    local disk="'/root/disk.img,raw,xvda,w'" card="'bridge=xenbr0'"
    head -c 1048576 /dev/zero >/root/disk.img
    head -c 30000000 /root/vmlinux >/root/short
    printf '#!/bin/sh\nexit 1\n' >/root/refuses
    chmod +x /root/refuses
    cp /etc/xen/xl.conf /tmp/xl.conf
    fails "no loader found: Invalid kernel" "kernel='/root/short'"
    fails "Could not find bridge device nothing" "disk=[$disk]" "vif=[$card,'bridge=nothing']"
    fails "/root/nothing: No such file or directory" "disk=[$disk,'/root/nothing,raw,xvdb,w']" "vif=[$card]"
    fails "/root/refuses online .* exited with error status 1" "disk=[$disk]" "vif=[$card,'bridge=xenbr0,script=/root/refuses']"
    fails "/root/refuses add .* exited with error status 1" \
        "disk=[$disk,'format=raw,vdev=xvdb,access=w,script=/root/refuses,target=/root/disk.img']"
    fails "segment kernel too large" "disk=[$disk]" "vif=[$card]" "memory=64"
    fails "can.t allocate low memory for domain: Out of memory" "memory=4000"
    fails "Hard affinity completely outside of domain.s cpupool" "vcpus=8" "cpus='5'"
    # Without a claim, memory runs out while it is given.
    printf 'claim_mode=0\nautoballoon="off"\n' >>/etc/xen/xl.conf
    fails "failed to allocate 0x.* pages" "memory=$(($(cat /tmp/free) - 4))" "disk=[$disk]"
    fails "failed to allocate 0x.* pages" "memory=$(($(cat /tmp/free) + 60))"
    cp /tmp/xl.conf /etc/xen/xl.conf
}
step "xl create that fails half-way leaves nothing" half_made

# Killed ever later, until it is ready before.
killed() {
    local tenths=1 d half=0
    head -c 1048576 /dev/zero >/root/disk.img
    guest h "disk=['/root/disk.img,raw,xvda,w']" "vif=['bridge=xenbr0']"
    until timeout -s KILL $((tenths / 10)).$((tenths % 10)) xl create -q /root/h.cfg; do
        for d in $(xl list | awk 'NR > 2 { print $(NF - 4) }'); do
            need "xl destroy" xl destroy "$d"
            half=$((half + 1))
        done
        nothing_left "$(cat /tmp/free)"
        tenths=$((tenths + tenths / 4 + 1))
    done
    need "there was something to destroy" [ $half -gt 0 ]
    up h
    need "xl destroy" xl destroy h
    nothing_left "$(cat /tmp/free)"
}
step "xl create that is killed half-way: xl destroy takes the rest" killed

together() {
    local i sum
    for i in 1 2 3 4 5 6 7 8; do
        guest t$i "vif=['bridge=xenbr0']"
        need "xl create" xl create -q /root/t$i.cfg
    done
    for i in 1 2 3 4 5 6 7 8; do up t$i; done
    inside t1 'head -c 1048576 /dev/urandom >/tmp/there; httpd -p 7000 -h /tmp'
    sum=$(inside t1 'sha256sum </tmp/there')
    for i in 2 5 8; do
        inside t$i "wget -q -O /tmp/got http://$(address t1):7000/there"
        need "from one to another" is "$(inside t$i 'sha256sum </tmp/got')" "$sum"
    done
    for i in 4 8 1; do need "xl destroy" xl destroy t$i; done
    for i in 2 3 5 6 7; do need "the others go on" is "$(inside t$i 'echo well')" well; done
    : >$LOGS/guest-t4.log
    need "xl create" xl create -q /root/t4.cfg
    for i in 3 2; do need "xl shutdown" xl shutdown -w t$i; done
    up t4
    for i in 7 4 6 5; do need "xl destroy" xl destroy t$i; done
    nothing_left "$(cat /tmp/free)"
}
step "eight guests with networks between them" together
