# SPDX-License-Identifier: MIT
# What cannot become a guest: xl says why, and nothing is left of it.

free_memory >/tmp/free

bad_files() {
    head -c 100000 /dev/zero >/root/nonsense
    refused "failed to open file '/root/nothing': No such file" "kernel='/root/nothing'"
    refused "no loader found: Invalid kernel" "kernel='/root/nonsense'"
    refused "failed to open file '/root/nothing': No such file" "ramdisk='/root/nothing'"
    refused "failed to stat: /root/nothing: No such file" "disk=['/root/nothing,raw,xvda,w']"
    refused "config parsing error near" "disk=['"
}
step "bad input: files that are not there, or something else" bad_files

bad_amounts() {
    refused "Out of memory" "memory=4000"
    refused "segment kernel too large" "memory=16"
    refused "Could not find bridge device nothing" "vif=['bridge=nothing']"
    refused "Domain with name .Domain-0. already exists" "name='Domain-0'"
}
step "bad input: too much memory, too little, no bridge, a name that is taken" bad_amounts

not_offered() {
    refused "neither hap nor shadow paging available" "type='hvm'"
    refused "neither hap nor shadow paging available" "type='pvh'"
}
step "bad input: guests that need VT-x or SVM" not_offered
