/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "smtp/relay/notice.h"
#include "smtp/relay/notice_text.h"
#include "smtp/relay/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECIPIENTS_MAX = 8, PIECE_MARK = 0xF5 }; /* a byte that no UTF-8 has */

/* The input up to the next mark. */
static struct bytes take(struct bytes *input)
{
    size_t len = bytes_find(*input, PIECE_MARK);
    struct bytes piece = {input->at, len};

    *input = bytes_skip(*input, len + 1);
    return piece;
}

static uint8_t take_byte(struct bytes *input)
{
    uint8_t byte = input->len > 0 ? input->at[0] : 0;

    *input = bytes_skip(*input, 1);
    return byte;
}

static bool next_line(struct bytes *rest, struct bytes *line)
{
    if (rest->len == 0)
        return false;
    size_t len = 0;
    while (rest->at[len] != '\r' && rest->at[len] != '\n') {
        CHECK(rest->at[len] != '\0');
        len++;
        CHECK(len < rest->len);
    }
    CHECK(len <= NOTICE_LINE_SIZE_MAX);
    CHECK(rest->at[len] == '\r' && len + 1 < rest->len && rest->at[len + 1] == '\n');
    *line = bytes_from(rest->at, len);
    *rest = bytes_skip(*rest, len + 2);
    return true;
}

static struct bytes boundary_of(struct bytes message)
{
    static const struct bytes start = BYTES_INIT("\tboundary=\"");
    const uint8_t *found = memmem(message.at, message.len, start.at, start.len);

    CHECK(found != NULL);
    struct bytes rest = bytes_skip(message, (size_t)(found - message.at) + start.len);
    return bytes_from(rest.at, bytes_find(rest, '"'));
}

static size_t count_of(struct bytes text, struct bytes what)
{
    size_t count = 0;
    const uint8_t *found;

    while (text.len > 0 && (found = memmem(text.at, text.len, what.at, what.len)) != NULL) {
        text = bytes_skip(text, (size_t)(found - text.at) + what.len);
        count++;
    }
    return count;
}

/* What stands in the parts: the second one has the groups of its recipients and nothing else.
 */
static void check_parts(struct bytes message, const struct notice *notice, unsigned needs)
{
    struct bytes boundary = boundary_of(message);
    struct bytes line;
    size_t part = 0; /* 0: the header and what stands before the first part */
    size_t finals = 0;
    size_t groups = 0; /* begun by an empty line, in the second part's content */
    size_t delimiters = 0;
    bool in_content = false;
    bool is_quoted = false;
    bool seen_8bit = false;

    while (next_line(&message, &line)) {
        seen_8bit = seen_8bit || !notice_is_ascii(line);
        if (line.len >= boundary.len + 2 && line.at[0] == '-' && line.at[1] == '-' &&
            bytes_equal(bytes_from(line.at + 2, boundary.len), boundary)) {
            delimiters++;
            part++;
            in_content = false;
            is_quoted = false;
            continue;
        }
        if (!in_content && line.len == 0) {
            in_content = true;
            continue;
        }
        if (!in_content &&
            bytes_equal(line, BYTES("Content-Transfer-Encoding: quoted-printable")))
            is_quoted = true;
        if (part != 2 || !in_content)
            continue;
        groups += line.len == 0 && message.len > 0 && message.at[0] != '-';
        finals += bytes_start_nocase(line, BYTES("Final-Recipient:"));
        CHECK(is_quoted || line.len == 0 || bytes_find(line, ':') < line.len ||
              line.at[0] == ' ');
    }
    CHECK(delimiters == 3 || delimiters == 4);
    CHECK(finals == notice->recipient_count && groups == notice->recipient_count);
    CHECK(!seen_8bit || (needs & NOTICE_NEEDS_8BIT) != 0);
}

static void check_notice(const struct notice *notice)
{
    struct buffer message = BUFFER_EMPTY;
    struct buffer again = BUFFER_EMPTY;
    unsigned needs = notice_make(notice, &message);
    struct bytes text = buffer_bytes(&message);
    struct bytes boundary = boundary_of(text);

    CHECK(notice_make(notice, &again) == needs);
    CHECK(bytes_equal(buffer_bytes(&again), text));
    CHECK(notice_is_plain(text));
    /* Once in the header, the others in front of parts and at the end. */
    size_t count = count_of(text, boundary);
    CHECK(count == 4 || count == 5);
    check_parts(text, notice, needs);
    buffer_fini(&message);
    buffer_fini(&again);
}

static void check_hint(unsigned code, struct bytes text, uint64_t random)
{
    uint64_t hint = retry_hint_ms(&retry_defaults, code, text, random);

    CHECK(hint == 0 ||
          (hint >= retry_defaults.hint_least_ms && hint <= retry_defaults.hint_most_ms));
}

/* A byte of flags, a byte of how many recipients, and texts with marks between them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    struct notice_recipient recipients[RECIPIENTS_MAX] = {0};
    uint8_t flags = take_byte(&input);
    struct notice notice = {
        .id = BYTES("id"),
        .hostname = BYTES("mx.here.example"),
        .now_s = 1795353600,
        .arrival_s = flags & 1 ? 1795353000 : 0,
        .recipients = recipients,
        .recipient_count = 1U + take_byte(&input) % RECIPIENTS_MAX,
        .ret = flags & 2 ? SMTP_RETURN_FULL : SMTP_RETURN_HEADERS,
        .utf8 = flags & 4,
        .header_whole = flags & 8,
        .body_whole = flags & 16,
    };

    notice.sender = take(&input);
    if (notice.sender.len == 0)
        notice.sender = BYTES("a@here.example");
    notice.envid = take(&input);
    notice.header = take(&input);
    notice.body = take(&input);
    for (size_t i = 0; i < notice.recipient_count; i++) {
        struct notice_recipient *recipient = &recipients[i];
        recipient->action = (enum notice_action)(take_byte(&input) % NOTICE_ACTIONS);
        recipient->address = take(&input);
        recipient->orcpt = take(&input);
        recipient->status = take(&input);
        recipient->remote = take(&input);
        recipient->diagnostic = take(&input);
        recipient->tried_s = flags & 32 ? 1795353300 : 0;
        recipient->retry_until_s = flags & 64 ? 1795780800 : 0;
        check_hint(450, recipient->diagnostic, size * 7919);
    }
    check_notice(&notice);
    return 0;
}
