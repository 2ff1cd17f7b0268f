/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notices for notice_oracle.py. A request is lines "name hex" and ends with an empty line; the
 * line "recipient" begins the next one. Each is answered with a line "size needs" and the
 * message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include "node/base/hex.h"
#include "smtp/relay/notice.h"

static struct arena request_arena;
static struct notice notice;
static struct notice_recipient recipients[NOTICE_RECIPIENTS_MAX];

static const struct {
    const char *name;
    struct bytes *field;
} texts[] = {
    {"id", &notice.id},
    {"hostname", &notice.hostname},
    {"postmaster", &notice.postmaster_domain},
    {"trace", &notice.trace_id},
    {"sender", &notice.sender},
    {"envid", &notice.envid},
    {"header", &notice.header},
    {"body", &notice.body},
};

static int64_t number(struct bytes value)
{
    return strtoll(arena_string(&request_arena, value), NULL, 10);
}

static void take_recipient(const char *name, struct bytes value)
{
    if (notice.recipient_count == 0)
        return;
    struct notice_recipient *recipient = &recipients[notice.recipient_count - 1];
    if (strcmp(name, "address") == 0)
        recipient->address = value;
    else if (strcmp(name, "orcpt") == 0)
        recipient->orcpt = value;
    else if (strcmp(name, "action") == 0)
        recipient->action = (enum notice_action)number(value);
    else if (strcmp(name, "status") == 0)
        recipient->status = value;
    else if (strcmp(name, "remote") == 0)
        recipient->remote = value;
    else if (strcmp(name, "diagnostic") == 0)
        recipient->diagnostic = value;
    else if (strcmp(name, "tried") == 0)
        recipient->tried_s = number(value);
    else if (strcmp(name, "until") == 0)
        recipient->retry_until_s = number(value);
}

static void take(const char *name, struct bytes value)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(name, texts[i].name) == 0)
            *texts[i].field = value;
    if (strcmp(name, "now") == 0)
        notice.now_s = number(value);
    else if (strcmp(name, "arrival") == 0)
        notice.arrival_s = number(value);
    else if (strcmp(name, "by") == 0)
        notice.deliver_by_s = number(value);
    else if (strcmp(name, "ret") == 0)
        notice.ret = (enum smtp_return)number(value);
    else if (strcmp(name, "utf8") == 0)
        notice.utf8 = number(value) != 0;
    else if (strcmp(name, "header_whole") == 0)
        notice.header_whole = number(value) != 0;
    else if (strcmp(name, "body_whole") == 0)
        notice.body_whole = number(value) != 0;
    else
        take_recipient(name, value);
}

/* Returns false at the end of the input. */
static bool read_request(char **line, size_t *line_size)
{
    arena_reset(&request_arena);
    notice = (struct notice){.recipients = recipients};
    for (;;) {
        ssize_t len = getline(line, line_size, stdin);
        if (len <= 0)
            return false;
        (*line)[--len] = '\0';
        if (len == 0)
            return true;
        if (strcmp(*line, "recipient") == 0) {
            CHECK(notice.recipient_count < NOTICE_RECIPIENTS_MAX);
            recipients[notice.recipient_count++] = (struct notice_recipient){0};
            continue;
        }
        char *space = strchr(*line, ' ');
        CHECK(space != NULL);
        *space = '\0';
        size_t size = strlen(space + 1) / 2;
        uint8_t *value = arena_alloc(&request_arena, size);
        CHECK(hex_decode(bytes_of(space + 1), value, size));
        take(*line, bytes_from(value, size));
    }
}

int main(void)
{
    char *line = NULL;
    size_t line_size = 0;

    arena_init(&request_arena);
    while (read_request(&line, &line_size)) {
        struct buffer message = BUFFER_EMPTY;
        unsigned needs = notice_make(&notice, &message);
        printf("%zu %u\n", buffer_len(&message), needs);
        fwrite(buffer_bytes(&message).at, 1, buffer_len(&message), stdout);
        fflush(stdout);
        buffer_fini(&message);
    }
    free(line);
    arena_fini(&request_arena);
    return 0;
}
