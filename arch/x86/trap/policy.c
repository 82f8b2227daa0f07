/* One row per exception vector, from the list in vectors.h. */
#include <hv/x86/trap.h>

/* Vectors whose meaning is the machine's or that no guest can raise are not handed to guests. */
#define GUEST_DELIVERY(v)                                                                                  \
    ((v) != VEC_NMI && (v) != VEC_DF && (v) != VEC_MC && (v) != VEC_CSO && (v) != VEC_SPV && (v) != VEC_VE && \
     (v) < VEC_R22 && (v) != VEC_CP)

const struct vector_policy vector_policies[32] = {
#define X(v, name, dpl, ist, err, pol, text)                              \
    [v] = {                                                               \
        .mnemonic = "#" #name,                                            \
        .what = text,                                                     \
        .hypervisor = POLICY_##pol,                                       \
        .guest_delivery = GUEST_DELIVERY(v),                              \
        .has_error_code = err,                                            \
        .follows_current = (v) == VEC_NMI || (v) == VEC_MC ? PHASE_ACTIVE : PHASE_BOOT, \
    },
    VECTOR_LIST(X)
#undef X
};
