/* FPU, SSE and AVX state. Areas have fpu_area_size() bytes, zeroed, any alignment. */
#ifndef HV_X86_FPU_H
#define HV_X86_FPU_H

#include <hv/types.h>

u64 fpu_area_size(void);
void fpu_area_init(void *area);
/* Both leave CR0.TS clear. XCR0 must be the state's owner's, and for saving is passed, too. */
void fpu_save(void *area, u64 xcr0);
void fpu_restore(void *area);

#endif
