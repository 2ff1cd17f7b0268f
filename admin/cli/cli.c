/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/cli.h"

int cli_main(int argc, char **argv)
{
    struct cli cli = {.command = NULL};
    int status = CLI_FAILED;

    arena_init(&cli.arena);
    if (cli_parse(&cli, argc, argv, &status))
        status = (int)cli.command->run(&cli);
    store_client_free(&cli.client);
    loop_free(&cli.loop);
    arena_fini(&cli.arena);
    return status;
}
