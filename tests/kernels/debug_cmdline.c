/* Says what command line it was given. */
#include "guest.h"

void test_main(void)
{
    const char *line = (const char *)start_info->cmd_line;
    u32 n = 0;

    while (n < sizeof(start_info->cmd_line) && line[n])
        n++;
    CHECK(n < sizeof(start_info->cmd_line));
    print("command line: %u characters, ends in '%s'\n", n, line + (n > 60 ? n - 60 : 0));
}
