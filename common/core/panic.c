/* Ends that are not a guest's. The report itself is arch/x86/trap/fatal.c. */
#include <hv/cmdline.h>
#include <hv/panic.h>

bool opt_noreboot;
OPTION("noreboot", option_bool, opt_noreboot);
