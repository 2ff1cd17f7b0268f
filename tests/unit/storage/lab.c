/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/lab.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/schema/request_id.h"

#define LAB_MAP_BYTES ((uint64_t)4 << 30)

/* Of a record: groups whose digests are taken, and how often the replies are noted. */
enum { LAB_GROUPS_MAX = 64, LAB_REPLIES_EVERY = 64 };

void lab_open(struct lab *lab)
{
    struct stat there;
    const char *base = getenv("TMPDIR");

    if (base == NULL || strlen(base) > 30)
        base = stat("/dev/shm", &there) == 0 ? "/dev/shm" : "/tmp";
    *lab = (struct lab){.now_ms = 1800000000000};
    snprintf(lab->folder, sizeof(lab->folder), "%s/postraft-lab-XXXXXX", base);
    CHECK(mkdtemp(lab->folder) != NULL);
    CHECK(db_open(lab->folder, LAB_MAP_BYTES, &lab->db) == ERR_OK);
    arena_init(&lab->arena);
}

void lab_reopen(struct lab *lab)
{
    db_close(&lab->db);
    CHECK(db_open(lab->folder, LAB_MAP_BYTES, &lab->db) == ERR_OK);
}

static void number_write(FILE *file, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        CHECK(fputc((int)(value >> 8 * i & 0xff), file) != EOF);
}

static void digests_write(struct lab *lab, FILE *file)
{
    struct db_txn *txn = db_read_begin(lab->db);

    for (uint32_t group = 0; group < LAB_GROUPS_MAX; group++) {
        uint8_t digest[32];
        machine_digest(txn, group, digest);
        if (machine_applied(txn, group) == 0)
            continue;
        CHECK(fputc('D', file) != EOF);
        number_write(file, group, 4);
        CHECK(fwrite(digest, 1, sizeof(digest), file) == sizeof(digest));
    }
    CHECK(db_commit(&txn) == ERR_OK);
}

/* Whether all that was applied is known. */
static bool record_is_whole(struct lab *lab)
{
    uint64_t last[LAB_GROUPS_MAX] = {0};
    struct db_txn *txn = db_read_begin(lab->db);
    bool whole = true;

    for (size_t i = 0; i < lab->entry_count; i++)
        if (lab->entries[i].group < LAB_GROUPS_MAX)
            last[lab->entries[i].group] = lab->entries[i].index;
    for (uint32_t group = 0; group < LAB_GROUPS_MAX; group++)
        whole = whole && machine_applied(txn, group) == last[group];
    CHECK(db_commit(&txn) == ERR_OK);
    return whole;
}

/* Names are in the order of closing, so that a test's record is the same each time. */
static void record_keep(struct lab *lab)
{
    static unsigned number;
    const char *folder = getenv("LAB_RECORD");
    char path[512];
    char data[128];

    if (folder == NULL || !record_is_whole(lab))
        return;
    CHECK(snprintf(path, sizeof(path), "%s/%04u.entries", folder, ++number) <
          (int)sizeof(path));
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    for (size_t i = 0; i < lab->entry_count; i++) {
        const struct lab_entry *kept = &lab->entries[i];
        CHECK(fputc('E', file) != EOF);
        number_write(file, kept->group, 4);
        number_write(file, kept->index, 8);
        number_write(file, kept->entry.len, 4);
        CHECK(fwrite(kept->entry.at, 1, kept->entry.len, file) == kept->entry.len);
        if (i % LAB_REPLIES_EVERY != 0 && i + 1 < lab->entry_count)
            continue;
        CHECK(fputc('R', file) != EOF);
        number_write(file, kept->replies, 8);
    }
    digests_write(lab, file);
    CHECK(fclose(file) == 0);
    db_close(&lab->db);
    snprintf(data, sizeof(data), "%s/data.mdb", lab->folder);
    snprintf(path, sizeof(path), "cp '%s' '%s/%04u.state'", data, folder, number);
    CHECK(system(path) == 0);
}

void lab_close(struct lab *lab)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};

    record_keep(lab);
    db_close(&lab->db);
    for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", lab->folder, files[i]);
        CHECK(unlink(path) == 0);
    }
    CHECK(rmdir(lab->folder) == 0);
    free(lab->entries);
    arena_fini(&lab->arena);
}

static void entry_keep(struct lab *lab, uint32_t group, struct bytes entry)
{
    if (lab->entry_count == lab->entry_room) {
        lab->entry_room = lab->entry_room == 0 ? 1024 : lab->entry_room * 2;
        lab->entries = realloc(lab->entries, lab->entry_room * sizeof(*lab->entries));
        CHECK(lab->entries != NULL);
    }
    lab->entries[lab->entry_count++] =
        (struct lab_entry){group, lab->index, arena_copy(&lab->arena, entry), lab->replies};
}

uint64_t lab_hash(uint64_t hash, struct bytes bytes)
{
    hash ^= 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.at[i]) * 0x100000001b3u;
    return hash;
}

uint32_t lab_random(uint64_t *seed, uint32_t below)
{
    uint64_t mixed = *seed += 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((mixed ^ mixed >> 31) % below);
}

Pr__Outcome *lab_apply_entry(struct lab *lab, uint32_t group, struct bytes entry)
{
    ProtobufCAllocator allocator = arena_allocator(&lab->arena);
    struct db_txn *txn = lab->txn != NULL ? lab->txn : db_write_begin(lab->db);
    struct bytes reply;
    Pr__Outcome *outcome;

    lab->events = (struct machine_events){0};
    machine_apply(txn, group, ++lab->index, 1, entry, &lab->arena, &reply, &lab->events);
    lab->replies = lab_hash(lab->replies, reply);
    entry_keep(lab, group, entry);
    CHECK(db_error(txn) == ERR_OK);
    if (lab->txn == NULL)
        CHECK(db_commit(&txn) == ERR_OK);
    outcome = pr__outcome__unpack(&allocator, reply.len, reply.at);
    CHECK(outcome != NULL);
    return outcome;
}

/* Three domains of two tenants. Now and then they are made anew; not everybody knows of them,
 * or of all, or has heard of the new ones. */
static Pr__AccountScopes *scopes_make(struct lab *lab, uint64_t account_id)
{
    uint64_t turn = lab->index % 7;
    uint64_t age = (lab->index + (turn == 2 ? 0 : 50)) / 200;
    Pr__AccountScopes *scopes;

    if (turn == 0)
        return NULL;
    scopes = arena_alloc(&lab->arena, sizeof(*scopes));
    pr__account_scopes__init(scopes);
    scopes->domain_id = turn == 1 ? 0 : 1 + account_id % 3 + 3 * age;
    scopes->tenant_id = turn == 3 ? 0 : 1 + (account_id + age) % 2;
    return scopes;
}

static void scopes_add(struct lab *lab, Pr__Command *command)
{
    switch ((int)command->call_case) {
    case PR__COMMAND__CALL_DELIVER:
        for (size_t i = 0; i < command->deliver->n_recipients; i++) {
            Pr__Recipient *recipient = command->deliver->recipients[i];
            recipient->scopes = scopes_make(lab, recipient->account_id);
        }
        break;
    case PR__COMMAND__CALL_APPEND:
        command->append->scopes = scopes_make(lab, command->append->account_id);
        break;
    case PR__COMMAND__CALL_COPY:
        command->copy->scopes = scopes_make(lab, command->copy->account_id);
        break;
    case PR__COMMAND__CALL_UNDELETE:
        command->undelete->scopes = scopes_make(lab, command->undelete->account_id);
        break;
    default:
        break;
    }
}

Pr__Outcome *lab_apply(struct lab *lab, uint32_t group, Pr__Command *command)
{
    struct buffer entry = BUFFER_EMPTY;
    Pr__Outcome *outcome;

    if (command->time_ms == 0)
        command->time_ms = lab->now_ms;
    if (lab->scopes)
        scopes_add(lab, command);
    entry_encode(command, &entry);
    outcome = lab_apply_entry(lab, group, buffer_bytes(&entry));
    buffer_fini(&entry);
    return outcome;
}

ProtobufCBinaryData lab_field(struct lab *lab, struct bytes bytes)
{
    return field_of_bytes(arena_copy(&lab->arena, bytes));
}

ProtobufCBinaryData lab_id(struct lab *lab)
{
    uint8_t random[10] = {0};
    struct request_id id;

    lab->ids++;
    memcpy(random, &lab->ids, sizeof(lab->ids));
    id = request_id_make(lab->now_ms, random);
    return lab_field(lab, bytes_from(id.bytes, sizeof(id.bytes)));
}

Pr__Body *lab_body(struct lab *lab, struct bytes frame, uint64_t size)
{
    Pr__Body *body = arena_alloc(&lab->arena, sizeof(*body));
    uint8_t digest[32] = {1};

    pr__body__init(body);
    body->size = size;
    body->block_count = 1;
    body->blocks = arena_alloc(&lab->arena, sizeof(*body->blocks));
    body->n_blocks = 1;
    body->blocks[0] = lab_field(lab, frame);
    body->digest = lab_field(lab, bytes_from(digest, sizeof(digest)));
    body->summary = lab_field(lab, BYTES("summary"));
    return body;
}

Pr__UidRange **lab_ranges(struct lab *lab, size_t count, const uint32_t *pairs)
{
    Pr__UidRange **ranges = arena_alloc(&lab->arena, (count + 1) * sizeof(*ranges));

    for (size_t i = 0; i < count; i++) {
        ranges[i] = arena_alloc(&lab->arena, sizeof(**ranges));
        pr__uid_range__init(ranges[i]);
        ranges[i]->first = pairs[2 * i];
        ranges[i]->last = pairs[2 * i + 1];
    }
    return ranges;
}

Pr__Outcome *lab_deliver(struct lab *lab, uint32_t group, uint64_t account_id,
                         struct bytes frame)
{
    Pr__Deliver deliver = PR__DELIVER__INIT;
    Pr__Recipient recipient = PR__RECIPIENT__INIT;
    Pr__Recipient *recipients[] = {&recipient};

    recipient.account_id = account_id;
    deliver.recipients = recipients;
    deliver.n_recipients = 1;
    deliver.body = lab_body(lab, frame, frame.len);
    return lab_apply(lab, group, LAB_COMMAND(deliver, DELIVER, &deliver));
}
