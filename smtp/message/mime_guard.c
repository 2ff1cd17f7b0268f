/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/mime_guard.h"

#include <stdlib.h>

#include "node/base/buffer.h"
#include "node/base/check.h"

enum {
    EXCESSIVE = SMTP_MIME_TOO_DEEP | SMTP_MIME_TOO_MANY_PARTS | SMTP_MIME_TOO_MANY_PARAMETERS |
                SMTP_MIME_HEADER_TOO_LARGE,
    ODD = SMTP_MIME_NO_BOUNDARY | SMTP_MIME_ODD_BOUNDARY | SMTP_MIME_UNENDED,
};

struct smtp_mime_guard {
    struct mime_events events; /* nothing has to be told */
    struct mime_walk *walk;
};

struct smtp_mime_guard *smtp_mime_guard_new(void)
{
    struct smtp_mime_guard *guard = calloc(1, sizeof(*guard));

    CHECK(guard != NULL);
    guard->walk = mime_walk_new(&guard->events);
    return guard;
}

void smtp_mime_guard_free(struct smtp_mime_guard **guard)
{
    if (*guard == NULL)
        return;
    mime_walk_free(&(*guard)->walk);
    free(*guard);
    *guard = NULL;
}

void smtp_mime_guard_feed(struct smtp_mime_guard *guard, struct bytes piece)
{
    if (!mime_walk_settled(guard->walk))
        mime_walk_feed(guard->walk, piece);
}

enum smtp_mime_verdict smtp_mime_guard_verdict(const struct smtp_mime_guard *guard)
{
    unsigned faults = mime_walk_faults(guard->walk);

    if ((faults & EXCESSIVE) != 0)
        return SMTP_MIME_EXCESSIVE;
    return (faults & ODD) != 0 ? SMTP_MIME_ODD : SMTP_MIME_FINE;
}

struct smtp_mime_report smtp_mime_guard_finish(struct smtp_mime_guard *guard)
{
    mime_walk_finish(guard->walk);
    return (struct smtp_mime_report){
        .verdict = smtp_mime_guard_verdict(guard),
        .faults = mime_walk_faults(guard->walk),
        .parts = mime_walk_parts(guard->walk),
        .depth = mime_walk_depth_most(guard->walk),
    };
}

struct bytes smtp_mime_faults_text(unsigned faults, struct arena *arena)
{
    static const char *const names[] = {
        "too deep",         "too many parts", "too many parameters",
        "header too large", "no boundary",    "odd boundary",
        "no end",
    };
    struct buffer text = BUFFER_EMPTY;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if ((faults & (1U << i)) != 0)
            buffer_printf(&text, "%s%s", buffer_len(&text) > 0 ? ", " : "", names[i]);
    struct bytes copy = arena_copy(arena, buffer_bytes(&text));
    buffer_fini(&text);
    return copy;
}
