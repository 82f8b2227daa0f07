# SPDX-License-Identifier: MIT
# What the scripts that run in dom0 (bash) share. A step says "guests: ok TITLE", or "guests: FAILED TITLE" and what its commands printed.

LOGS=/var/log/xen/console

# step TITLE FUNCTION ARGUMENT...: ended if it takes longer than anything should.
step() {
    ("${@:2}") </dev/null >/tmp/step 2>&1 &
    local pid=$! began=$SECONDS
    while kill -0 $pid 2>/dev/null && [ $((SECONDS - began)) -lt 900 ]; do sleep 0.2; done
    kill -9 $pid 2>/dev/null && echo "not at an end after 900 s" >>/tmp/step
    if wait $pid 2>/dev/null; then
        echo "guests: ok $1 (after $((SECONDS - began)) s)"
    else
        echo "guests: FAILED $1"
        tail -n 30 /tmp/step
    fi
}

# need WHAT COMMAND...: ends the step with a sentence if the command fails.
need() {
    local what=$1
    shift
    "$@" || { echo "$what: $*"; exit 1; }
}

# await WHAT COMMAND...: until it succeeds; a busy machine may be slow.
await() {
    local what=$1 until=$((SECONDS + 300))
    shift
    while [ $SECONDS -lt $until ]; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.3
    done
    echo "$what, awaited in vain: $*"
    exit 1
}

between() { # LOW VALUE HIGH
    [ "$2" -ge "$1" ] && [ "$2" -le "$3" ]
}

is() { [ "$1" = "$2" ]; }
has() { grep -qe "$1" "$2" || { tail -n 30 "$2"; false; }; } # PATTERN FILE
gone() { ! "$@" >/dev/null 2>&1; }
free_memory() { xl info free_memory; } # MiB
free_is() { between $(($1 - 1)) "$(free_memory)" $(($1 + 1)); }
field() { xl list "$1" | awk -v f="$2" 'NR == 2 { print $f }'; } # NAME COLUMN
state() { field "$1" 5; }
ran() { field "$1" 6 | awk '{ print int($1 * 10) }'; } # tenths of a second

# guest NAME LINE...: a configuration, /root/NAME.cfg.
guest() {
    local name=$1
    shift
    printf '%s\n' "name='$name'" "kernel='/root/vmlinux'" "ramdisk='/root/initrd.img'" "memory=112" \
        "extra='console=hvc0 quiet sysrq_always_enabled caisson.commands'" "$@" >/root/"$name".cfg
}

# mini NAME KERNEL LINE...: likewise, of 4 MiB with one of this project's test kernels.
mini() {
    local name=$1 kernel=$2
    shift 2
    printf '%s\n' "name='$name'" "kernel='/root/$kernel.elf'" "memory=4" "$@" >/root/"$name".cfg
}

# refused SENTENCE LINE...: no guest comes of that, as xl says; /tmp/free has what was free before.
refused() {
    local sentence=$1
    shift
    guest bad "$@"
    need "xl create fails" gone eval "xl create -q /root/bad.cfg >/tmp/said 2>&1"
    need "xl's sentence" has "$sentence" /tmp/said
    need "no domain is left" is "$(xl list | wc -l)" 2
    need "nor anything of it in the store" is "$(xenstore-list /local/domain)" 0
    await "memory as before" free_is "$(cat /tmp/free)"
}

address() { printf '10.99.0.%d' 0x"$(xl network-list "$1" | awk 'NR == 2 { print $3 }' | cut -d: -f6)"; }
up() { await "$1 has reached its shell" has "^guest: [0-9]* vCPUs" $LOGS/guest-"$1".log; }

# Nothing is left of any guest; FREE is what free_memory said before.
nothing_left() { # FREE
    need "dom0 alone" is "$(xl list | wc -l)" 2
    await "memory as before" free_is "$1"
    await "nobody else in the store" eval '[ "$(xenstore-list /local/domain)" = 0 ] && [ -z "$(xenstore-list /vm)$(xenstore-list /libxl)" ]'
    await "no backend" eval '! xenstore-ls /local/domain/0/backend | grep -q "frontend-id = .[1-9]"' # dom0 may have one of its own
    await "no loop device, no interface" eval '[ -z "$(losetup -a)" ] && ! ls /sys/class/net | grep -q vif'
}

# inside NAME COMMAND: run by the guest's shell, which a command with an error in its syntax does not end; its output and its status.
inside() {
    local id=$RANDOM$RANDOM log=$LOGS/guest-$1.log tty status
    tty=$(xenstore-read /local/domain/"$(xl domid "$1")"/console/tty)
    echo "echo start-$id; command eval $(printf %q "$2") 2>&1; echo end-$id-\$?" >"$tty"
    await "$1 answers" has "^end-$id-[0-9]" "$log"
    tr -d '\r' <"$log" | sed -n "/^start-$id/,/^end-$id/p" | sed '1d;$d'
    status=$(sed -n "s/^end-$id-\([0-9]*\).*/\1/p" "$log")
    return "$status"
}
