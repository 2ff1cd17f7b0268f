/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and domains as people read them; the directory has their domains in A-labels. */
#include <string.h>

#include "admin/cli/output.h"
#include "node/base/check.h"
#include "node/mail/idn.h"

char *output_unicode(struct arena *arena, const char *address)
{
    const char *at = strrchr(address, '@');
    const char *domain = at != NULL ? at + 1 : address;

    if (strstr(domain, "xn--") == NULL)
        return arena_string(arena, bytes_of(address));
    struct bytes shown = mail_domain_to_unicode(bytes_of(domain), arena);
    return arena_printf(arena, "%.*s%.*s", (int)(domain - address), address, BYTES_ARG(shown));
}

json_t *json_of_text(const char *text)
{
    json_t *made = json_string(text);

    return made != NULL ? made : json_string("(not readable)");
}

void output_add(json_t *row, const char *key, json_t *value)
{
    CHECK(value != NULL && json_object_set_new(row, key, value) == 0);
}

void output_add_address(json_t *row, const char *key, const char *address)
{
    struct arena arena;

    arena_init(&arena);
    const char *shown = output_unicode(&arena, address);
    output_add(row, key, json_of_text(address));
    if (strcmp(shown, address) != 0)
        output_add(row, arena_printf(&arena, "%s_unicode", key), json_of_text(shown));
    arena_fini(&arena);
}

void output_add_addresses(json_t *row, const char *key, char *const *addresses, size_t count)
{
    struct arena arena;
    json_t *kept = json_array();
    json_t *shown = json_array();
    bool differ = false;

    arena_init(&arena);
    for (size_t i = 0; i < count; i++) {
        const char *readable = output_unicode(&arena, addresses[i]);
        differ = differ || strcmp(readable, addresses[i]) != 0;
        CHECK(json_array_append_new(kept, json_of_text(addresses[i])) == 0);
        CHECK(json_array_append_new(shown, json_of_text(readable)) == 0);
    }
    output_add(row, key, kept);
    if (differ)
        output_add(row, arena_printf(&arena, "%s_unicode", key), shown);
    else
        json_decref(shown);
    arena_fini(&arena);
}
