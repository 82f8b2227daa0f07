/* SPDX-License-Identifier: MIT */
/* Says what command line it was given. */
#include "guest.h"

void test_main(void)
{
    const char *line = (const char *)start_info->cmd_line;
    u32 n = 0;

    while (n < sizeof(start_info->cmd_line) && line[n])
        n++;
    CHECK(n < sizeof(start_info->cmd_line));
    char start[21] = "";

    memory_copy(start, line, n < 20 ? n : 20);
    print("command line: 0x%x characters, '%s' to '%s'\n", n, start, line + (n > 30 ? n - 30 : 0));
}
