/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BDAT: conversations made of chunks (smtp_run.h says what must hold). Behind two bytes as in
 * fuzz_smtp_session, each chunk is a byte with its size (6 bits), whether it is the last, and
 * whether its command is left to the input; then its bytes.
 */
#include "fuzz/smtp_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SIZE_MASK = 63, LAST = 64, RAW = 128 };
    struct smtp_run_setup setup;
    struct buffer input = BUFFER_EMPTY;

    if (size < 2)
        return 0;
    smtp_run_configure(&setup, data[0] & 2U);
    setup.seed = data[0];
    setup.choices = data[1];
    struct bytes rest = bytes_from(data + 2, size - 2);
    buffer_printf(&input, "%s a\r\nMAIL FROM:<x@a.test>%s\r\nRCPT TO:<d@a.test>\r\n",
                  setup.config.service == SMTP_SERVICE_LMTP ? "LHLO" : "EHLO",
                  data[0] & 1 ? " BODY=BINARYMIME" : "");
    while (rest.len > 0) {
        uint8_t head = rest.at[0];
        rest = bytes_skip(rest, 1);
        size_t len = (head & SIZE_MASK) < rest.len ? head & SIZE_MASK : rest.len;
        if (!(head & RAW))
            buffer_printf(&input, "BDAT %zu%s\r\n", len, head & LAST ? " LAST" : "");
        buffer_add(&input, bytes_from(rest.at, len));
        rest = bytes_skip(rest, len);
        if ((head & (LAST | RAW)) == LAST)
            buffer_add_string(&input, "MAIL FROM:<x@a.test>\r\nRCPT TO:<d@a.test>\r\n");
    }
    smtp_run_compare(&setup, buffer_bytes(&input));
    buffer_fini(&input);
    return 0;
}
