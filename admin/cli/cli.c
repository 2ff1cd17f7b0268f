/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <langinfo.h>
#include <locale.h>
#include <string.h>

#include "admin/cli/cli.h"

/* Addresses are UTF-8. Where the environment names no locale (sudo, cron), tables show them all
 * the same. */
static void use_utf8(void)
{
    if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

int cli_main(int argc, char **argv)
{
    struct cli cli = {.command = NULL};
    int status = CLI_FAILED;

    use_utf8();
    arena_init(&cli.arena);
    if (cli_parse(&cli, argc, argv, &status))
        status = (int)cli.command->run(&cli);
    store_client_free(&cli.client);
    loop_free(&cli.loop);
    arena_fini(&cli.arena);
    return status;
}
