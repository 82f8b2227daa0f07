/* Makes the running boot stack the boot CPU's idle vCPU; `current` is valid afterwards. */
#ifndef HV_SCHED_IDLE_H
#define HV_SCHED_IDLE_H

void idle_init_boot_cpu(void);

#endif
