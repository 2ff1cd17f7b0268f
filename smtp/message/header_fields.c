/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/header_fields.h"

#include <stddef.h>

#include "node/mail/lexer.h"
#include "node/mail/text.h"

#define FACT(member) offsetof(struct smtp_header_facts, member)
#define NAME(literal) .name = BYTES_INIT(literal)
#define COUNT(name) .count = SMTP_COUNT_##name
#define LEFT_OUT(literal, group)                                                               \
    {                                                                                          \
        NAME(literal), .drop = SMTP_DROP_##group, .count = -1                                  \
    }
#define PREFIX(literal, group)                                                                 \
    {                                                                                          \
        NAME(literal), .is_prefix = true, .drop = SMTP_DROP_##group, .count = -1               \
    }
#define COUNTED(literal, counter)                                                              \
    {                                                                                          \
        NAME(literal), COUNT(counter)                                                          \
    }
#define SINGLE(literal, counter)                                                               \
    {                                                                                          \
        NAME(literal), COUNT(counter), .is_single = true                                       \
    }
#define ADDRESSES(literal, counter, member)                                                    \
    {                                                                                          \
        NAME(literal), COUNT(counter), .is_single = true, .kind = HEADER_ADDRESSES,            \
                                       .offset = FACT(member)                                  \
    }
#define SINGLE_TEXT(literal, counter, member)                                                  \
    {                                                                                          \
        NAME(literal), COUNT(counter), .is_single = true, .kind = HEADER_TEXT,                 \
                                       .offset = FACT(member)                                  \
    }
#define TEXT(literal, groups, member)                                                          \
    {                                                                                          \
        NAME(literal), .drop = (groups), .count = -1, .kind = HEADER_TEXT,                     \
                       .offset = FACT(member)                                                  \
    }

static const struct header_row rows[] = {
    ADDRESSES("From", FROM, from),
    ADDRESSES("Sender", SENDER, sender),
    ADDRESSES("Reply-To", REPLY_TO, reply_to),
    SINGLE("To", TO),
    SINGLE("Cc", CC),
    {NAME("Bcc"), COUNT(BCC), .drop = SMTP_DROP_BCC},
    LEFT_OUT("Resent-Bcc", BCC),
    SINGLE_TEXT("Date", DATE, date),
    SINGLE_TEXT("Message-ID", MESSAGE_ID, message_id),
    SINGLE_TEXT("Subject", SUBJECT, subject),
    SINGLE("In-Reply-To", IN_REPLY_TO),
    SINGLE("References", REFERENCES),
    SINGLE_TEXT("Content-Type", CONTENT_TYPE, content_type),
    SINGLE_TEXT("Content-Transfer-Encoding", CONTENT_ENCODING, content_encoding),
    TEXT("MIME-Version", 0, mime_version),
    TEXT("Auto-Submitted", 0, auto_submitted),
    COUNTED("Received", RECEIVED),
    COUNTED("DKIM-Signature", DKIM),
    {NAME("Delivered-To"), COUNT(DELIVERED_TO), .kind = HEADER_DELIVERED_TO},

    LEFT_OUT("Return-Path", RETURN_PATH),
    {NAME("Authentication-Results"), .drop = SMTP_DROP_RESULTS, .count = -1,
     .kind = HEADER_RESULTS},
    {NAME("ARC-Authentication-Results"), .count = -1, .kind = HEADER_ARC_RESULTS},
    LEFT_OUT("Received-SPF", VERDICTS),
    PREFIX("X-Spam-", VERDICTS),
    PREFIX("X-Virus-", VERDICTS),
    PREFIX("X-Postraft-", VERDICTS),

    TEXT("List-Id", SMTP_DROP_LIST, list_id),
    TEXT("List-Unsubscribe", SMTP_DROP_LIST, list_unsubscribe),
    TEXT("List-Unsubscribe-Post", SMTP_DROP_LIST, list_unsubscribe_post),
    TEXT("Precedence", SMTP_DROP_LIST, precedence),
    LEFT_OUT("List-Post", LIST),
    LEFT_OUT("List-Help", LIST),
    LEFT_OUT("List-Owner", LIST),
    LEFT_OUT("List-Subscribe", LIST),
    LEFT_OUT("List-Archive", LIST),
    LEFT_OUT("Return-Receipt-To", LIST),
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

const struct header_row *header_row_find(struct bytes name)
{
    for (size_t i = 0; i < ROWS; i++) {
        bool is_it = rows[i].is_prefix ? bytes_start_nocase(name, rows[i].name)
                                       : bytes_equal_nocase(name, rows[i].name);
        if (is_it)
            return &rows[i];
    }
    return NULL;
}

size_t header_row_size_max(const struct header_row *row)
{
    static const size_t sizes[] = {
        [HEADER_TEXT] = SMTP_EDIT_VALUE_SIZE_MAX,
        [HEADER_ADDRESSES] = SMTP_EDIT_FIELD_SIZE_MAX,
        [HEADER_DELIVERED_TO] = SMTP_EDIT_VALUE_SIZE_MAX,
        [HEADER_ARC_RESULTS] = SMTP_EDIT_RESULTS_SIZE_MAX,
        [HEADER_RESULTS] = SMTP_EDIT_RESULTS_SIZE_MAX,
    };
    return sizes[row->kind];
}

static bool is_no_at(uint8_t byte)
{
    return byte != '@' && byte != '(' && byte != '"' && !lexer_is_space(byte);
}

/* Each @ that is not inside of quotes or a comment: what some reader may take for an address.
 */
static size_t count_ats(struct parse *parse, struct bytes value)
{
    size_t count = 0;

    while (lexer_skip(&value, NULL), value.len > 0) {
        if (value.at[0] == '"') {
            buffer_truncate(&parse->word, 0);
            lexer_quoted(&value, &parse->word);
        } else if (lexer_accept(&value, '@')) {
            count++;
        } else {
            lexer_run(&value, is_no_at);
        }
    }
    return count;
}

static size_t count_whole(const struct mail_address_list *list, size_t from)
{
    size_t count = 0;

    for (size_t i = from; i < list->count; i++)
        count += list->at[i].group == MAIL_ADDRESS_PLAIN && list->at[i].local.len > 0 &&
                 list->at[i].domain.len > 0;
    return count;
}

static size_t count_plain(const struct mail_address_list *list, size_t from)
{
    size_t count = 0;

    for (size_t i = from; i < list->count; i++)
        count += list->at[i].group == MAIL_ADDRESS_PLAIN;
    return count;
}

static void read_addresses(const struct header_row *row, struct bytes value, bool is_cut,
                           struct parse *parse, struct smtp_header_facts *facts)
{
    struct mail_address_list *list =
        (struct mail_address_list *)(void *)((uint8_t *)facts + row->offset);
    size_t before = list->count;

    parse->truncated = false;
    parse_addresses(parse, value, list);
    bool is_author = row->count == SMTP_COUNT_FROM || row->count == SMTP_COUNT_SENDER;
    if (is_cut || parse->truncated || (is_author && list->count > SMTP_EDIT_FROM_COUNT_MAX))
        facts->faults |= SMTP_FAULT_FIELD_TOO_LARGE;
    size_t whole = count_whole(list, before);
    if (is_author &&
        (whole == 0 || whole != count_plain(list, before) || whole != count_ats(parse, value)))
        facts->faults |=
            row->count == SMTP_COUNT_FROM ? SMTP_FAULT_BAD_FROM : SMTP_FAULT_BAD_SENDER;
}

uint64_t smtp_delivered_to_hash(struct bytes address)
{
    uint64_t hash = 0xCBF29CE484222325U; /* FNV-1a: it only has to differ by chance */

    while (address.len > 0 && (lexer_is_space(address.at[0]) || address.at[0] == '<'))
        address = bytes_skip(address, 1);
    while (address.len > 0 &&
           (lexer_is_space(address.at[address.len - 1]) || address.at[address.len - 1] == '>'))
        address.len--;
    for (size_t i = 0; i < address.len; i++)
        hash = (hash ^ byte_lower(address.at[i])) * 0x100000001B3U;
    return hash;
}

void header_read(const struct header_row *row, struct bytes value, bool is_cut,
                 const struct smtp_header_edit_config *config, struct parse *parse,
                 struct smtp_header_facts *facts)
{
    struct bytes *text;

    switch (row->kind) {
    case HEADER_PLAIN:
    case HEADER_RESULTS:
        break;
    case HEADER_TEXT:
        text = (struct bytes *)(void *)((uint8_t *)facts + row->offset);
        if (text->at == NULL)
            *text = mail_unfold(parse->arena, value);
        break;
    case HEADER_ADDRESSES:
        read_addresses(row, value, is_cut, parse, facts);
        break;
    case HEADER_DELIVERED_TO:
        if (facts->delivered_to_count < SMTP_EDIT_DELIVERED_TO_MAX)
            facts->delivered_to[facts->delivered_to_count++] = smtp_delivered_to_hash(value);
        break;
    case HEADER_ARC_RESULTS:
        /* "i=1; name; ..." */
        value = bytes_skip(value, bytes_find(value, ';') + 1);
        facts->counts[SMTP_COUNT_OWN_ARC] += header_results_ours(config, value, is_cut);
        break;
    }
}

void header_judge(struct smtp_header_facts *facts)
{
    if (facts->counts[SMTP_COUNT_FROM] == 0)
        facts->faults |= SMTP_FAULT_NO_FROM;
    if (facts->counts[SMTP_COUNT_FROM] > 1)
        facts->faults |= SMTP_FAULT_TWO_FROM;
    if (count_plain(&facts->from, 0) > 1 && facts->counts[SMTP_COUNT_SENDER] == 0)
        facts->faults |= SMTP_FAULT_NO_SENDER;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].is_single && rows[i].count != SMTP_COUNT_FROM &&
            facts->counts[rows[i].count] > 1)
            facts->faults |= SMTP_FAULT_REPEATED;
}

static bool is_at_or_below(struct bytes name, struct bytes domain)
{
    if (domain.len == 0 || name.len < domain.len)
        return false;
    size_t before = name.len - domain.len;
    return bytes_equal_nocase(bytes_skip(name, before), domain) &&
           (before == 0 || name.at[before - 1] == '.');
}

/* Hosts write the name as a token or quoted; without its last dot it is the same host. */
static bool name_is_ours(const struct smtp_header_edit_config *config, struct bytes name)
{
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    for (size_t i = 0; i < config->authserv_id_count; i++)
        if (bytes_equal_nocase(name, config->authserv_ids[i]))
            return true;
    return is_at_or_below(name, config->authserv_domain);
}

bool header_results_ours(const struct smtp_header_edit_config *config, struct bytes value,
                         bool is_cut)
{
    struct buffer quoted = BUFFER_EMPTY;
    struct bytes name;
    bool ours;

    lexer_skip(&value, NULL);
    if (value.len > 0 && value.at[0] == '"') {
        lexer_quoted(&value, &quoted);
        name = buffer_bytes(&quoted);
    } else {
        name = lexer_run(&value, lexer_is_token);
    }
    /* What may go on behind the cut is no name yet. */
    if (is_cut && value.len == 0)
        name.len = 0;
    ours = name.len == 0 || name_is_ours(config, name);
    buffer_fini(&quoted);
    return ours;
}

struct bytes smtp_header_faults_text(unsigned faults, struct arena *arena)
{
    static const char *const names[] = {
        "too large",   "no field",          "field too large", "no from",    "two from",
        "no sender",   "bad from",          "repeated field",  "8bit",       "not utf-8",
        "line length", "control character", "no end",          "bad sender",
    };
    struct buffer text = BUFFER_EMPTY;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if ((faults & (1U << i)) != 0)
            buffer_printf(&text, "%s%s", buffer_len(&text) > 0 ? ", " : "", names[i]);
    struct bytes copy = arena_copy(arena, buffer_bytes(&text));
    buffer_fini(&text);
    return copy;
}
