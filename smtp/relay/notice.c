/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/notice.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/notice_internal.h"

enum { PARTS = 3, BOUNDARY_ID_SIZE_MAX = 40 };

bool notice_has(const struct notice *notice, enum notice_action action)
{
    for (size_t i = 0; i < notice->recipient_count; i++)
        if (notice->recipients[i].action == action)
            return true;
    return false;
}

static void check_notice(const struct notice *notice)
{
    CHECK(notice->id.len > 0 && notice->id.len <= NOTICE_ID_SIZE_MAX);
    for (size_t i = 0; i < notice->id.len; i++) {
        uint8_t byte = byte_lower(notice->id.at[i]);
        CHECK((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
              byte == '_');
    }
    CHECK(notice->sender.len > 0); /* nobody is told of mail from the null sender */
    CHECK(notice->recipient_count > 0 && notice->recipient_count <= NOTICE_RECIPIENTS_MAX);
    for (size_t i = 0; i < notice->recipient_count; i++)
        CHECK((unsigned)notice->recipients[i].action < NOTICE_ACTIONS);
}

/* Each time that `prefix` occurs with a number behind it, that number's bit is set, if there is
 * one. Returns how often it occurs at all. */
static size_t mark_boundaries(struct bytes text, struct bytes prefix, uint8_t *taken,
                              size_t taken_count)
{
    size_t count = 0;
    const uint8_t *found;

    while (text.len > 0 && (found = memmem(text.at, text.len, prefix.at, prefix.len)) != NULL) {
        text = bytes_skip(text, (size_t)(found - text.at) + prefix.len);
        struct bytes digits = bytes_from(text.at, text.len < 8 ? text.len : 8);
        uint64_t number = 0;
        for (size_t i = 0; i < digits.len && number < SIZE_MAX / 32; i++) {
            uint8_t byte = byte_lower(digits.at[i]);
            if (byte >= '0' && byte <= '9')
                number = number * 16 + (byte - (uint8_t)'0');
            else if (byte >= 'a' && byte <= 'f')
                number = number * 16 + 10 + (byte - (uint8_t)'a');
        }
        if (number < taken_count)
            taken[number / 8] |= (uint8_t)(1U << number % 8);
        count++;
    }
    return count;
}

/*
 * "=_ID_0000001f": "=_" is nowhere in quoted-printable, but the original may hold anything, a
 * notice of ours too. Of the first n + 1 numbers, n occurrences of the rest leave one that
 * occurs nowhere: two runs over the parts, whoever wrote them.
 */
static void choose_boundary(const struct notice *notice, struct bytes header,
                            const struct notice_part *parts, struct buffer *boundary)
{
    struct bytes texts[PARTS + 1] = {header};
    size_t id_size =
        notice->id.len < BOUNDARY_ID_SIZE_MAX ? notice->id.len : BOUNDARY_ID_SIZE_MAX;
    size_t count = 0;

    for (int i = 0; i < PARTS; i++)
        texts[i + 1] = buffer_bytes(&parts[i].content);
    buffer_add_string(boundary, "=_");
    buffer_add(boundary, bytes_from(notice->id.at, id_size));
    buffer_add_byte(boundary, '_');
    for (int i = 0; i < PARTS + 1; i++)
        count += mark_boundaries(texts[i], buffer_bytes(boundary), NULL, 0);
    uint8_t *taken = calloc(count / 8 + 1, 1);
    CHECK(taken != NULL);
    for (int i = 0; i < PARTS + 1; i++)
        mark_boundaries(texts[i], buffer_bytes(boundary), taken, count + 1);
    size_t number = 0;
    while ((taken[number / 8] & 1U << number % 8) != 0)
        number++;
    free(taken);
    buffer_printf(boundary, "%08zx", number);
}

static const char *subject(const struct notice *notice)
{
    if (notice_has(notice, NOTICE_FAILED))
        return "Your message could not be delivered";
    if (notice_has(notice, NOTICE_DELAYED))
        return "Your message is delayed, and still being tried";
    if (notice_has(notice, NOTICE_RELAYED))
        return "Your message was passed on";
    return "Your message was delivered";
}

/* A field of several pieces; `scratch` is cleared. */
static struct buffer *begin(struct buffer *scratch, const char *start)
{
    buffer_clear(scratch);
    buffer_add_string(scratch, start);
    return scratch;
}

static void write_header(const struct notice *notice, struct buffer *message)
{
    struct bytes domain =
        notice->postmaster_domain.len > 0 ? notice->postmaster_domain : notice->hostname;
    struct buffer value = BUFFER_EMPTY;

    notice_line_add(begin(&value, "Mail Delivery System <MAILER-DAEMON@"), domain,
                    NOTICE_ADDRESS_SIZE_MAX, NOTICE_ASCII);
    buffer_add_byte(&value, '>');
    notice_field_add(message, "From", buffer_bytes(&value));
    notice_text_add(begin(&value, "<"), notice->sender, NOTICE_ADDRESS_SIZE_MAX, NOTICE_UTF8);
    buffer_add_byte(&value, '>');
    notice_field_add(message, "To", buffer_bytes(&value));
    notice_date_add(begin(&value, ""), notice->now_s);
    notice_field_add(message, "Date", buffer_bytes(&value));
    notice_field_add(message, "Subject", bytes_of(subject(notice)));
    buffer_add(begin(&value, "<"), notice->id);
    buffer_add_byte(&value, '@');
    notice_line_add(&value, notice->hostname, NOTICE_ADDRESS_SIZE_MAX, NOTICE_ASCII);
    buffer_add_byte(&value, '>');
    notice_field_add(message, "Message-ID", buffer_bytes(&value));
    notice_original_id(notice, &value);
    if (buffer_len(&value) > 0) {
        notice_field_add(message, "In-Reply-To", buffer_bytes(&value));
        notice_field_add(message, "References", buffer_bytes(&value));
    }
    buffer_add_string(message, "Auto-Submitted: auto-replied\r\n" /* RFC 3834 section 5 */
                               "MIME-Version: 1.0\r\n");
    buffer_fini(&value);
}

static const char *const encodings[] = {
    [NOTICE_7BIT] = "7bit",
    [NOTICE_8BIT] = "8bit",
    [NOTICE_QUOTED] = "quoted-printable",
};

static void write_parts(struct notice_part *parts, struct bytes boundary,
                        struct buffer *message)
{
    enum notice_encoding encoding = NOTICE_7BIT;

    for (int i = 0; i < PARTS; i++)
        if (parts[i].type != NULL && parts[i].encoding == NOTICE_8BIT)
            encoding = NOTICE_8BIT;
    buffer_printf(message,
                  "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                  "\tboundary=\"%.*s\"\r\nContent-Transfer-Encoding: %s\r\n\r\n"
                  "This is a delivery status notification in several parts (MIME).\r\n",
                  BYTES_ARG(boundary), encodings[encoding]);
    for (int i = 0; i < PARTS; i++) {
        if (parts[i].type == NULL)
            continue;
        buffer_printf(message,
                      "\r\n--%.*s\r\nContent-Description: %s\r\nContent-Type: %s\r\n"
                      "Content-Transfer-Encoding: %s\r\n\r\n",
                      BYTES_ARG(boundary), parts[i].description, parts[i].type,
                      encodings[parts[i].encoding]);
        buffer_add(message, buffer_bytes(&parts[i].content));
    }
    buffer_printf(message, "\r\n--%.*s--\r\n", BYTES_ARG(boundary));
}

unsigned notice_make(const struct notice *notice, struct buffer *message)
{
    struct notice_part parts[PARTS] = {0};
    struct buffer header = BUFFER_EMPTY;
    struct buffer boundary = BUFFER_EMPTY;
    unsigned needs = 0;

    check_notice(notice);
    bool utf8_passes = !notice_is_ascii(notice->sender);
    if (utf8_passes) /* RFC 6531 section 3.2 asks for 8BITMIME with it */
        needs |= NOTICE_NEEDS_UTF8 | NOTICE_NEEDS_8BIT;
    notice_words_make(notice, &parts[0]);
    notice_status_make(notice, utf8_passes, &parts[1]);
    notice_original_make(notice, utf8_passes, &parts[2]);
    write_header(notice, &header);
    choose_boundary(notice, buffer_bytes(&header), parts, &boundary);
    buffer_add(message, buffer_bytes(&header));
    write_parts(parts, buffer_bytes(&boundary), message);
    for (int i = 0; i < PARTS; i++) {
        if (parts[i].type != NULL && parts[i].encoding == NOTICE_8BIT)
            needs |= NOTICE_NEEDS_8BIT;
        buffer_fini(&parts[i].content);
    }
    buffer_fini(&boundary);
    buffer_fini(&header);
    return needs;
}
