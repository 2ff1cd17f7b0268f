/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/promises.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/base/map.h"

/* Those of some time; kept by a keyed hash of what was promised, which nobody outside can aim
 * at. */
struct age {
    struct map map; /* to `promised` */
    uint64_t begun_ms;
};

struct link {
    uint32_t connection;
    struct age now;
    struct age before;
};

struct promises {
    struct map links; /* by connection */
    size_t count;
    uint8_t key[crypto_shorthash_KEYBYTES];
};

static char promised;

struct promises *promises_new(void)
{
    struct promises *promises = calloc(1, sizeof(*promises));

    CHECK(promises != NULL);
    map_init(&promises->links);
    randombytes_buf(promises->key, sizeof(promises->key));
    return promises;
}

static void age_init(struct age *age, uint64_t now_ms)
{
    map_init(&age->map);
    age->begun_ms = now_ms;
}

static void age_fini(struct promises *promises, struct age *age)
{
    promises->count -= age->map.count;
    map_fini(&age->map);
}

static void link_free(struct promises *promises, struct link *link)
{
    age_fini(promises, &link->now);
    age_fini(promises, &link->before);
    free(link);
}

void promises_connection_closed(struct promises *promises, uint32_t connection)
{
    struct link *link = promises != NULL ? map_remove(&promises->links, connection) : NULL;

    if (link != NULL)
        link_free(promises, link);
}

void promises_free(struct promises **promises)
{
    size_t at = 0;
    uint64_t connection;
    void *link;

    if (*promises == NULL)
        return;
    while (map_next(&(*promises)->links, &at, &connection, &link))
        link_free(*promises, link);
    map_fini(&(*promises)->links);
    free(*promises);
    *promises = NULL;
}

static void link_turn(struct promises *promises, struct link *link, uint64_t now_ms)
{
    age_fini(promises, &link->before);
    link->before = link->now;
    age_init(&link->now, now_ms);
}

/* NULL: nothing was ever promised there. */
static struct link *link_of(struct promises *promises, uint32_t connection, uint64_t now_ms)
{
    struct link *link = map_get(&promises->links, connection);

    while (link != NULL && link->now.map.count + link->before.map.count > 0 &&
           now_ms - link->now.begun_ms >= PROMISES_MS)
        link_turn(promises, link, link->now.begun_ms + PROMISES_MS);
    return link;
}

static struct link *link_make(struct promises *promises, uint32_t connection, uint64_t now_ms)
{
    struct link *link = link_of(promises, connection, now_ms);

    if (link == NULL) {
        link = calloc(1, sizeof(*link));
        CHECK(link != NULL);
        link->connection = connection;
        age_init(&link->before, now_ms);
        age_init(&link->now, now_ms);
        map_put(&promises->links, connection, link);
    }
    if (link->now.map.count + link->before.map.count == 0)
        link->now.begun_ms = now_ms;
    return link;
}

static size_t link_count(const struct link *link)
{
    return link->now.map.count + link->before.map.count;
}

static void make_room(struct promises *promises, uint64_t now_ms)
{
    while (promises->count >= PROMISES_MAX) {
        struct link *most = NULL;
        size_t at = 0;
        uint64_t connection;
        void *link;
        while (map_next(&promises->links, &at, &connection, &link))
            if (most == NULL || link_count(link) > link_count(most))
                most = link;
        CHECK(most != NULL);
        link_turn(promises, most, now_ms);
    }
}

static uint64_t hash_of(const struct promises *promises, struct bytes what)
{
    uint64_t hash;

    CHECK(sizeof(hash) == crypto_shorthash_BYTES);
    crypto_shorthash((uint8_t *)&hash, what.at, what.len, promises->key);
    return hash;
}

/* Each part with its length in front: none runs into the next. */
static void add_part(struct buffer *buffer, struct bytes part)
{
    uint32_t len = (uint32_t)part.len;

    buffer_add(buffer, bytes_from(&len, sizeof(len)));
    buffer_add(buffer, part);
}

/* A sender of its own does not follow from the envelope's any more. */
static uint64_t target_hash(const struct promises *promises,
                            const struct promise_target *target)
{
    struct buffer what = BUFFER_EMPTY;

    buffer_add(&what, bytes_from(&target->account_id, sizeof(target->account_id)));
    add_part(&what, target->remote);
    add_part(&what, target->sender);
    if (target->sender.len == 0)
        add_part(&what, target->envelope);
    uint64_t hash = hash_of(promises, buffer_bytes(&what));
    buffer_fini(&what);
    return hash;
}

static uint64_t account_hash(const struct promises *promises, uint64_t account_id)
{
    return hash_of(promises, bytes_from(&account_id, sizeof(account_id)));
}

static void put(struct promises *promises, uint32_t connection, uint64_t hash, uint64_t now_ms)
{
    struct link *link = link_make(promises, connection, now_ms);

    if (map_get(&link->now.map, hash) != NULL)
        return;
    /* Else the fullest age would have to go, with what was promised a moment ago. */
    if (link->now.map.count >= PROMISES_MAX / 2)
        link_turn(promises, link, now_ms);
    make_room(promises, now_ms);
    map_put(&link->now.map, hash, &promised);
    promises->count++;
}

static bool has(struct promises *promises, uint32_t connection, uint64_t hash, uint64_t now_ms)
{
    const struct link *link = link_of(promises, connection, now_ms);

    return link != NULL &&
           (map_get(&link->now.map, hash) != NULL || map_get(&link->before.map, hash) != NULL);
}

void promises_remote(struct promises *promises, uint32_t connection,
                     const struct promise_target *target, uint64_t now_ms)
{
    put(promises, connection, target_hash(promises, target), now_ms);
}

void promises_account(struct promises *promises, uint32_t connection, uint64_t account_id,
                      uint64_t now_ms)
{
    put(promises, connection, account_hash(promises, account_id), now_ms);
}

bool promises_has_remote(struct promises *promises, uint32_t connection,
                         const struct promise_target *target, uint64_t now_ms)
{
    return has(promises, connection, target_hash(promises, target), now_ms);
}

bool promises_has_account(struct promises *promises, uint32_t connection, uint64_t account_id,
                          uint64_t now_ms)
{
    return has(promises, connection, account_hash(promises, account_id), now_ms);
}
