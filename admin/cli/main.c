/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/cli.h"
#include "node/base/log.h"

int main(int argc, char **argv)
{
    log_init("postraft", LOG_LEVEL_ERROR, false);
    return cli_main(argc, argv);
}
