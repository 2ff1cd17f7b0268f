/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/smtp_message.h"

#include <stdio.h>
#include <time.h>

#include "node/base/check.h"

enum {
    TEXT_SIZE = 1024 * 1024,
    LINE_SIZE = 72,
    ATTACHED_TEXT_SIZE = 4096,
    TEXT_HEADER_SIZE = 78,   /* of what add_text() writes beside the body, */
    PARTS_HEADER_SIZE = 216, /* and add_attachment() besides */
};

/* Bodies are cut out of these; lines end with CRLF, none begins with a dot. */
struct lines {
    uint8_t at[TEXT_SIZE];
    size_t len;
};
static struct lines text; /* words, and now and then a line of data */
static struct lines data; /* nothing but data in base64 */
static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void add_word_line(struct lines *lines)
{
    static const char *const syllables[] = {
        "an", "ber", "co", "den", "el",  "fi", "gra", "hu",  "in", "jo",  "kal", "lo",
        "mi", "nor", "os", "pre", "qui", "ra", "sti", "tor", "u",  "ver", "wen", "ze"};
    size_t start = lines->len;

    while (lines->len - start < LINE_SIZE - 12) {
        /* Short numbers are drawn more often, so some words repeat as in a language. */
        for (uint64_t left = 1 + draw(3); left > 0; left--) {
            const char *syllable = syllables[draw(1 + draw(24))];
            size_t len = strlen(syllable);
            memcpy(lines->at + lines->len, syllable, len);
            lines->len += len;
        }
        lines->at[lines->len++] = ' ';
    }
    memcpy(lines->at + lines->len, "\r\n", 2);
    lines->len += 2;
}

static void add_data_line(struct lines *lines)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (unsigned i = 0; i < LINE_SIZE; i++)
        lines->at[lines->len++] = (uint8_t)digits[draw(64)];
    memcpy(lines->at + lines->len, "\r\n", 2);
    lines->len += 2;
}

void smtp_message_text_init(uint64_t seed)
{
    random_state = seed * 2 + 1;
    text.len = 0;
    data.len = 0;
    while (text.len < TEXT_SIZE - 4 * LINE_SIZE) {
        if (draw(8) == 0)
            add_data_line(&text);
        else
            add_word_line(&text);
    }
    while (data.len < TEXT_SIZE - 4 * LINE_SIZE)
        add_data_line(&data);
}

/* Whole lines from anywhere in the text, the last one cut so that the length is right. */
static void add_body(struct buffer *output, const struct lines *lines, size_t len)
{
    while (len > 2) {
        size_t start = (size_t)draw(lines->len - LINE_SIZE);
        struct bytes from = {lines->at + start, lines->len - start};
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

static void add_text(struct buffer *output, size_t size)
{
    buffer_add(output, BYTES("Content-Type: text/plain; charset=us-ascii\r\n"
                             "Content-Transfer-Encoding: 7bit\r\n\r\n"));
    add_body(output, &text, size);
}

/* A short text, and the rest in base64. */
static void add_attachment(struct buffer *output, size_t size)
{
    size_t text_size = size / 4 < ATTACHED_TEXT_SIZE ? size / 4 : ATTACHED_TEXT_SIZE;

    buffer_add(output,
               BYTES("Content-Type: multipart/mixed; boundary=\"=-part\"\r\n\r\n--=-part\r\n"));
    add_text(output, text_size);
    buffer_add(output, BYTES("--=-part\r\nContent-Type: application/octet-stream\r\n"
                             "Content-Disposition: attachment; filename=\"report.bin\"\r\n"
                             "Content-Transfer-Encoding: base64\r\n\r\n"));
    add_body(output, &data, size - text_size);
    buffer_add(output, BYTES("--=-part--\r\n"));
}

void smtp_message_write(struct buffer *output, const struct smtp_message *message)
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
                  "MIME-Version: 1.0\r\n",
                  message->token, message->recipient, date, message->token, date,
                  message->sender, message->recipient, message->token, message->token);
    size_t used = buffer_len(output) - start;
    used += TEXT_HEADER_SIZE;
    if (message->has_attachment)
        used += PARTS_HEADER_SIZE;
    size_t left = message->size > used ? message->size - used : 0;
    if (message->has_attachment)
        add_attachment(output, left);
    else
        add_text(output, left);
    buffer_add(output, BYTES(".\r\n"));
}
