/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SMTP session engine over any input (smtp_run.h says what must hold). The first byte
 * chooses the service, how it is cut and when it is answered, the second what the answers are.
 */
#include "fuzz/smtp_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_run_setup setup;

    if (size < 2)
        return 0;
    smtp_run_configure(&setup, data[0]);
    setup.seed = data[0];
    setup.choices = data[1];
    smtp_run_compare(&setup, bytes_from(data + 2, size - 2));
    return 0;
}
