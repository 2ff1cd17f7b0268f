/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "node/mail/utf8.h"
#include "smtp/relay/client_reply.h"

/* What a reply says: status (RFC 3463, RFC 2034) and words. */

/* What a code tells where the server has no status, or one of another class. Codes that are
 * used for anything (450, 550, 552, 554) tell nothing more than their class. */
static const struct {
    unsigned code;
    const char *detail;
} details[] = {
    {421, "3.2"}, {432, "7.12"}, {451, "3.0"}, {452, "3.1"},  {454, "7.0"},
    {455, "5.4"}, {500, "5.2"},  {501, "5.4"}, {502, "5.1"},  {503, "5.1"},
    {504, "5.4"}, {521, "3.2"},  {530, "7.0"}, {556, "1.10"}, {555, "5.4"},
};

static size_t digits(struct bytes text)
{
    size_t len = 0;

    while (len < text.len && text.at[len] >= '0' && text.at[len] <= '9')
        len++;
    return len;
}

/* "5.1.1" at the start of `text`, with a space or nothing behind it, of the code's class.
 * Returns its length, or 0. */
static size_t read_status(struct bytes text, unsigned code)
{
    enum { DIGITS_MAX = 3 };
    size_t at = 1;

    if (text.len == 0 || text.at[0] != '0' + code / 100)
        return 0;
    for (unsigned i = 0; i < 2; i++) {
        if (at >= text.len || text.at[at] != '.')
            return 0;
        size_t len = digits(bytes_skip(text, at + 1));
        if (len == 0 || len > DIGITS_MAX)
            return 0;
        at += 1 + len;
    }
    return at == text.len || text.at[at] == ' ' ? at : 0;
}

static void derive_status(unsigned code, char status[SMTP_CLIENT_STATUS_SIZE])
{
    const char *detail = "0.0";

    for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++)
        if (details[i].code == code)
            detail = details[i].detail;
    snprintf(status, SMTP_CLIENT_STATUS_SIZE, "%c.%s", (int)('0' + code / 100), detail);
}

/* C0 and C1 controls, and DEL: the length of the one at the start of `text`, or 0. */
static size_t control_len(struct bytes text)
{
    if (text.at[0] < ' ' || text.at[0] == 0x7F)
        return 1;
    return text.len > 1 && text.at[0] == 0xC2 && text.at[1] >= 0x80 && text.at[1] < 0xA0 ? 2
                                                                                         : 0;
}

/* Appends well-formed UTF-8 without control characters, of which any run is one space. */
static void add_words(struct buffer *words, struct bytes text)
{
    struct buffer clean = BUFFER_EMPTY;
    bool space = false;

    utf8_add_clean(&clean, text);
    text = buffer_bytes(&clean);
    while (text.len > 0) {
        size_t control = control_len(text);
        size_t len = control > 0 ? control : utf8_sequence(text);
        struct bytes character = {text.at, len};
        text = bytes_skip(text, len);
        if (control > 0 || character.at[0] == ' ') {
            space = true;
            continue;
        }
        if (space && buffer_len(words) > 0)
            buffer_add_byte(words, ' ');
        space = false;
        buffer_add(words, character);
    }
    buffer_fini(&clean);
}

/* Cut between two characters, never within one. */
static void copy_text(struct bytes words, char text[SMTP_CLIENT_TEXT_SIZE_MAX])
{
    size_t len = words.len;

    if (len >= SMTP_CLIENT_TEXT_SIZE_MAX) {
        len = SMTP_CLIENT_TEXT_SIZE_MAX - 1;
        while (len > 0 && (words.at[len] & 0xC0) == 0x80)
            len--;
    }
    if (len > 0)
        memcpy(text, words.at, len);
    text[len] = '\0';
}

static enum smtp_client_result result_of(unsigned code)
{
    static const enum smtp_client_result results[] = {
        [2] = SMTP_CLIENT_DELIVERED,
        [3] = SMTP_CLIENT_DEFERRED,
        [4] = SMTP_CLIENT_DEFERRED,
        [5] = SMTP_CLIENT_FAILED,
    };
    return results[code / 100];
}

void smtp_client_reply_verdict(const struct smtp_client_reply_reader *reader,
                               enum smtp_client_phase phase,
                               struct smtp_client_verdict *verdict)
{
    struct buffer words = BUFFER_EMPTY;
    struct buffer lines = BUFFER_EMPTY;
    struct bytes text = buffer_bytes(&reader->text);
    struct bytes status = {
        text.at, read_status(bytes_from(text.at, bytes_find(text, '\n')), reader->code)};

    *verdict = (struct smtp_client_verdict){
        .result = result_of(reader->code),
        .phase = phase,
        .code = reader->code,
        .status_said = status.len > 0,
    };
    if (status.len > 0)
        snprintf(verdict->status, sizeof(verdict->status), "%.*s", BYTES_ARG(status));
    else
        derive_status(reader->code, verdict->status);
    for (bool first = true; first || text.len > 0; first = false) {
        struct bytes line = {text.at, bytes_find(text, '\n')};
        text = bytes_skip(text, line.len + 1);
        size_t len = first ? 0 : read_status(line, reader->code);
        if (len > 0 && bytes_equal(bytes_from(line.at, len), status))
            line = bytes_skip(line, len);
        buffer_add_byte(&lines, '\n');
        buffer_add(&lines, line);
    }
    buffer_printf(&words, "%u", reader->code);
    add_words(&words, buffer_bytes(&lines));
    copy_text(buffer_bytes(&words), verdict->text);
    buffer_fini(&lines);
    buffer_fini(&words);
}

void smtp_client_local_verdict(enum smtp_client_result result, enum smtp_client_phase phase,
                               const char *status, const char *text,
                               struct smtp_client_verdict *verdict)
{
    struct buffer words = BUFFER_EMPTY;

    *verdict = (struct smtp_client_verdict){.result = result, .phase = phase};
    snprintf(verdict->status, sizeof(verdict->status), "%s", status);
    add_words(&words, bytes_of(text));
    copy_text(buffer_bytes(&words), verdict->text);
    buffer_fini(&words);
}

void smtp_client_local_verdict_add(struct smtp_client_verdict *verdict, const char *text)
{
    struct buffer words = BUFFER_EMPTY;

    buffer_printf(&words, "%s ", verdict->text);
    add_words(&words, bytes_of(text));
    copy_text(buffer_bytes(&words), verdict->text);
    buffer_fini(&words);
}
