/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/smtp_message.h"

#include <stdio.h>
#include <time.h>

#include "node/base/check.h"

enum { TEXT_SIZE = 1024 * 1024, LINE_SIZE = 72 };

/* Bodies are cut out of this; lines end with CRLF, none begins with a dot. */
static uint8_t text[TEXT_SIZE];
static size_t text_len;
static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void add_word_line(void)
{
    static const char *const syllables[] = {
        "an", "ber", "co", "den", "el",  "fi", "gra", "hu",  "in", "jo",  "kal", "lo",
        "mi", "nor", "os", "pre", "qui", "ra", "sti", "tor", "u",  "ver", "wen", "ze"};
    size_t start = text_len;

    while (text_len - start < LINE_SIZE - 12) {
        /* Short numbers are drawn more often, so some words repeat as in a language. */
        for (uint64_t left = 1 + draw(3); left > 0; left--) {
            const char *syllable = syllables[draw(1 + draw(24))];
            size_t len = strlen(syllable);
            memcpy(text + text_len, syllable, len);
            text_len += len;
        }
        text[text_len++] = ' ';
    }
    memcpy(text + text_len, "\r\n", 2);
    text_len += 2;
}

static void add_data_line(void)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (unsigned i = 0; i < LINE_SIZE; i++)
        text[text_len++] = (uint8_t)digits[draw(64)];
    memcpy(text + text_len, "\r\n", 2);
    text_len += 2;
}

void smtp_message_text_init(uint64_t seed)
{
    random_state = seed * 2 + 1;
    text_len = 0;
    while (text_len < TEXT_SIZE - 4 * LINE_SIZE) {
        if (draw(8) == 0)
            add_data_line();
        else
            add_word_line();
    }
}

/* Whole lines from anywhere in the text, the last one cut so that the length is right. */
static void add_body(struct buffer *output, size_t len)
{
    while (len > 2) {
        size_t start = (size_t)draw(text_len - LINE_SIZE);
        struct bytes from = {text + start, text_len - start};
        from = bytes_skip(from, bytes_find(from, '\n') + 1);
        if (from.len > len - 2)
            from.len = len - 2;
        /* Back to a line end, but for the last piece. */
        size_t cut = from.len;
        while (cut > 0 && from.at[cut - 1] != '\n')
            cut--;
        if (cut > 0 && cut + LINE_SIZE < len) {
            from.len = cut;
            buffer_add(output, from);
            len -= cut;
            continue;
        }
        while (from.len > 0 && (from.at[from.len - 1] == '\r' || from.at[from.len - 1] == '\n'))
            from.len--;
        buffer_add(output, from);
        buffer_add(output, BYTES("\r\n"));
        len -= from.len + 2;
    }
}

void smtp_message_write(struct buffer *output, size_t size, const char *token,
                        const char *sender, const char *recipient)
{
    size_t start = buffer_len(output);
    time_t now = time(NULL);
    struct tm utc;
    char date[64];

    gmtime_r(&now, &utc);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &utc);
    buffer_printf(output,
                  "Received: from [198.51.100.7] (port=40212)\r\n"
                  "\tby relay.bench.test with ESMTPSA id %s\r\n"
                  "\tfor <%s>; %s\r\n"
                  "Message-ID: <%s@bench.test>\r\n"
                  "Date: %s\r\n"
                  "From: \"Load Generator\" <%s>\r\n"
                  "To: <%s>\r\n"
                  "Subject: Report %s\r\n"
                  "X-Bench-Token: %s\r\n"
                  "User-Agent: bench-smtp\r\n"
                  "MIME-Version: 1.0\r\n"
                  "Content-Type: text/plain; charset=us-ascii\r\n"
                  "Content-Transfer-Encoding: 7bit\r\n"
                  "\r\n",
                  token, recipient, date, token, date, sender, recipient, token, token);
    size_t used = buffer_len(output) - start;
    if (used < size)
        add_body(output, size - used);
    buffer_add(output, BYTES(".\r\n"));
}
