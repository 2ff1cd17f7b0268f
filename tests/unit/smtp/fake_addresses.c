/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What addresses stand for in the store of the tests; see fake_store.h. */
#include <stdlib.h>

#include "node/base/arena.h"
#include "unit/smtp/fake_store.h"

static enum err resolve(const char *address, uint64_t size, Pr__ResolveAnswer *answer)
{
    static const char *const users[] = {"y@here.test", "z@here.test", "postmaster",
                                        "abuse@localhost", "postmaster@localhost"};
    const char *at = strrchr(address, '@');

    answer->domain_local = at != NULL && strcmp(at, "@here.test") == 0;
    for (unsigned i = 0; i < sizeof(users) / sizeof(users[0]); i++)
        if (strcmp(users[i], address) == 0) {
            answer->account_id = i + 1;
            answer->domain_local = true;
            return ERR_OK;
        }
    if (strcmp(address, "full@here.test") == 0 || strcmp(address, "over@here.test") == 0) {
        answer->permanent = address[0] == 'o';
        return size == 0 || size > 1000 ? ERR_QUOTA : ERR_OK;
    }
    return strcmp(address, "down@here.test") == 0 ? ERR_UNAVAILABLE : ERR_NOTFOUND;
}

static void add_target(struct arena *arena, Pr__ResolveAnswer *answer, uint64_t account_id,
                       const char *remote, const char *sender)
{
    Pr__ResolvedTarget *target = arena_alloc(arena, sizeof(*target));

    pr__resolved_target__init(target);
    target->account_id = account_id;
    target->remote = arena_string(arena, bytes_of(remote));
    target->sender = arena_string(arena, bytes_of(sender));
    if (answer->targets == NULL)
        answer->targets = arena_alloc(arena, 4 * sizeof(*answer->targets));
    answer->targets[answer->n_targets++] = target;
    answer->domain_local = true;
}

/* Addresses that stand for others; false: it is none. */
static bool resolve_many(const Pr__Request *request, struct arena *arena,
                         Pr__ResolveAnswer *answer)
{
    const Pr__Resolve *asked = request->resolve;
    const char *digits = asked->address + strlen("forward");
    static char list[] = "list@here.test";
    static char words[] = "Staff";

    if (strcmp(asked->address, list) == 0) {
        add_target(arena, answer, 1, "", "");
        add_target(arena, answer, 2, "", "");
        add_target(arena, answer, 0, "far@else.test", "list-bounces@here.test");
        for (unsigned i = 0; i < 3; i++)
            answer->targets[i]->from_list = true;
        answer->list = list;
        answer->list_description = words;
    } else if (strcmp(asked->address, "pair@here.test") == 0) {
        add_target(arena, answer, 1, "", "");
        add_target(arena, answer, 2, "", "");
    } else if (strncmp(asked->address, "forward", strlen("forward")) == 0) {
        const char *sender = asked->sender[0] != '\0' ? "SRS0=x@here.test" : "";
        add_target(arena, answer, 0, "away@else.test", sender);
        answer->targets[0]->forward_account_id = 9 + (uint64_t)atoi(digits);
        answer->forward_account_id = 9 + (uint64_t)atoi(digits);
        answer->group = 6;
    } else if (strcmp(asked->address, "both@here.test") == 0) {
        add_target(arena, answer, 0, "one@else.test", "SRS0=x@here.test");
        add_target(arena, answer, 0, "two@else.test", "SRS0=x@here.test");
        add_target(arena, answer, 1, "", "");
        answer->targets[0]->forward_account_id = 21;
        answer->targets[1]->forward_account_id = 22;
    } else if (request->session != 0 && strstr(asked->address, "@here.test") == NULL &&
               strstr(asked->address, "@localhost") == NULL) {
        add_target(arena, answer, 0, asked->address, "");
        answer->targets[0]->keep_sender = true;
        answer->domain_local = false;
    }
    return answer->n_targets > 0;
}

enum err fake_resolve(const Pr__Request *request, struct arena *arena,
                      Pr__ResolveAnswer *answer)
{
    const Pr__Resolve *asked = request->resolve;

    return resolve_many(request, arena, answer) ? ERR_OK
                                                : resolve(asked->address, asked->size, answer);
}
