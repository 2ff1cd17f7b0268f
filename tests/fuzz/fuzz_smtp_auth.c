/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AUTH: exchanges (smtp_run.h says what must hold). Behind two bytes as in fuzz_smtp_session,
 * each line of the input is a byte that says what becomes of it, and the rest: in base64 behind
 * AUTH, in base64 alone, or as it is.
 */
#include "fuzz/smtp_run.h"
#include "node/mail/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_line(struct bytes line, struct buffer *input)
{
    static const char *const mechanisms[] = {"PLAIN", "login", "OTHER", "NONE"};
    uint8_t head = line.len > 0 ? line.at[0] : 0;

    line = bytes_skip(line, 1);
    if (head % 4 == 0)
        buffer_printf(input, "AUTH %s%s", mechanisms[head >> 2 & 3], line.len > 0 ? " " : "");
    if (head % 4 < 2)
        mail_base64_encode(line, input);
    else
        buffer_add(input, line);
    if (head % 4 == 3)
        buffer_add_string(input, "\r\nMAIL FROM:<a@a.test>\r\nRSET");
    buffer_add_string(input, "\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_run_setup setup;
    struct buffer input = BUFFER_EMPTY;

    if (size < 2)
        return 0;
    smtp_run_configure(&setup, 1);
    setup.connection.tls = data[0] & 1;
    setup.config.tls_required = data[0] & 2;
    setup.config.ask_sender = true;
    setup.seed = data[0];
    setup.choices = data[1];
    struct bytes rest = bytes_from(data + 2, size - 2);
    buffer_add_string(&input, "EHLO a\r\n");
    while (rest.len > 0) {
        size_t len = bytes_find(rest, '\n');
        add_line(bytes_from(rest.at, len), &input);
        rest = bytes_skip(rest, len + 1);
    }
    smtp_run_compare(&setup, buffer_bytes(&input));
    buffer_fini(&input);
    return 0;
}
