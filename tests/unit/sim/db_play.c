/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/sim/db_play.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/db/db.h"

enum { READERS = 3, CURSORS = 3, MAP_BYTES = 64 << 20, TABLES = 3 };

struct reader {
    struct db_txn *txn;
    struct db_cursor *cursor;
};

struct play {
    uint64_t random;
    struct db *db;
    struct buffer *answers;
    struct db_txn *txn; /* that writes; NULL: none is open */
    struct db_cursor *cursors[CURSORS];
    bool standing[CURSORS];
    struct reader readers[READERS];
    struct db_watch *watch;
    uint64_t number; /* of the first transaction */
};

/* Prefixes: none, some that end in 0xff, one that nothing begins with. */
static const struct bytes prefixes[] = {
    BYTES_INIT(""),         BYTES_INIT("a"),     BYTES_INIT("ab"), BYTES_INIT("\xff"),
    BYTES_INIT("\xff\xff"), BYTES_INIT("a\xff"), BYTES_INIT("zz"), BYTES_INIT("a\0"),
};

static unsigned below(struct play *play, unsigned end)
{
    uint64_t mixed = play->random += 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((mixed ^ mixed >> 31) % end);
}

static void note(struct play *play, uint64_t number)
{
    buffer_add(play->answers, bytes_from(&number, sizeof(number)));
}

static void note_bytes(struct play *play, struct bytes bytes)
{
    note(play, bytes.len);
    buffer_add(play->answers, bytes);
}

static void note_row(struct play *play, bool found, struct bytes key, struct bytes value)
{
    note(play, found);
    note_bytes(play, key);
    note_bytes(play, value);
}

/* Short keys of few letters, so that most operations meet; now and then one too long. */
static struct bytes random_key(struct play *play, uint8_t *room)
{
    static const uint8_t letters[] = {'a', 'b', 0, 0xff, 'z'};
    unsigned len = below(play, 5);

    if (below(play, 2000) == 0)
        len = 0;
    else if (below(play, 100) == 0)
        len = DB_KEY_SIZE_MAX - below(play, 3);
    else if (below(play, 2000) == 0)
        len = DB_KEY_SIZE_MAX + 1;
    else
        len++;
    for (unsigned i = 0; i < len; i++)
        room[i] = letters[below(play, sizeof(letters))];
    if (len >= 4 && below(play, 4) == 0)
        memcpy(room, "abba", 4);
    return bytes_from(room, len);
}

static enum db_table random_table(struct play *play)
{
    return (enum db_table)(below(play, TABLES) * 5);
}

static void changed(void *context, uint64_t txn_number, enum db_table table, struct bytes key)
{
    struct play *play = context;

    note(play, txn_number - play->number);
    note(play, table);
    note_bytes(play, key);
}

/* Of the keys that begin with "abba". */
static void watch_step(struct play *play)
{
    if (play->watch != NULL)
        db_watch_free(&play->watch);
    else
        CHECK(db_watch_new(play->db, 0x61626261, changed, play, &play->watch) == ERR_OK);
}

static void cursors_close(struct play *play)
{
    for (unsigned i = 0; i < CURSORS; i++)
        db_cursor_close(&play->cursors[i]);
}

/* All rows, as a reader sees them. */
static void note_all(struct play *play, struct db_txn *txn)
{
    for (unsigned table = 0; table < TABLES; table++) {
        struct db_cursor *cursor =
            db_cursor_open(txn, (enum db_table)(table * 5), bytes_from(NULL, 0));
        struct bytes key;
        struct bytes value;

        for (bool more = db_cursor_first(cursor, &key, &value); more;
             more = db_cursor_next(cursor, &key, &value))
            note_row(play, more, key, value);
        db_cursor_close(&cursor);
    }
}

static void reader_step(struct play *play)
{
    struct reader *reader = &play->readers[below(play, READERS)];

    if (reader->txn == NULL) {
        reader->txn = db_read_begin(play->db);
        return;
    }
    note_all(play, reader->txn);
    note(play, db_txn_number(reader->txn) - play->number);
    if (below(play, 2) == 0)
        note(play, db_commit(&reader->txn));
    else
        db_abort(&reader->txn);
}

static void cursor_step(struct play *play)
{
    unsigned number = below(play, CURSORS);
    struct db_cursor **cursor = &play->cursors[number];
    uint8_t room[DB_KEY_SIZE_MAX + 1];
    struct bytes key = {NULL, 0};
    struct bytes value = {NULL, 0};
    bool found = false;

    if (*cursor == NULL) {
        *cursor = db_cursor_open(play->txn, random_table(play),
                                 prefixes[below(play, sizeof(prefixes) / sizeof(*prefixes))]);
        play->standing[number] = false;
        return;
    }
    switch (below(play, 8)) {
    case 0:
        found = db_cursor_first(*cursor, &key, &value);
        break;
    case 1:
        found = db_cursor_last(*cursor, &key, &value);
        break;
    case 2:
        found = db_cursor_seek(*cursor, random_key(play, room), &key, &value);
        break;
    case 3:
        found = db_cursor_before(*cursor, random_key(play, room), &key, &value);
        break;
    case 4:
        if (play->standing[number])
            db_cursor_delete(*cursor);
        memset(play->standing, 0, sizeof(play->standing));
        return;
    case 5:
        db_cursor_close(cursor);
        return;
    default:
        found = db_cursor_next(*cursor, &key, &value);
        break;
    }
    play->standing[number] = found;
    note_row(play, found, key, value);
}

/* Rows come and go under cursors: what stood on one may not delete it any more. */
static void write_step(struct play *play)
{
    uint8_t room[DB_KEY_SIZE_MAX + 1];
    uint8_t *reserved;
    struct bytes value = {NULL, 0};
    enum db_table table = random_table(play);
    struct bytes key = random_key(play, room);
    uint64_t number = play->random;

    switch (below(play, 5)) {
    case 0:
        note(play, db_delete(play->txn, table, key));
        memset(play->standing, 0, sizeof(play->standing));
        break;
    case 1:
        db_reserve(play->txn, table, key, sizeof(number), &reserved);
        note(play, reserved != NULL);
        if (reserved != NULL)
            memcpy(reserved, &number, sizeof(number));
        break;
    case 2:
        note(play, db_get(play->txn, table, key, &value));
        note_bytes(play, value);
        break;
    default:
        db_put(play->txn, table, key, bytes_from(&number, below(play, sizeof(number) + 1)));
        break;
    }
    note(play, db_error(play->txn));
}

static void txn_end(struct play *play)
{
    cursors_close(play);
    if (below(play, 20) == 0)
        db_fail(play->txn, ERR_CONFLICT);
    if (below(play, 4) == 0)
        db_abort(&play->txn);
    else
        note(play, db_commit(&play->txn));
}

void db_play(const char *folder, uint64_t seed, unsigned steps, struct buffer *answers)
{
    struct play play = {.random = seed, .answers = answers};
    struct db_txn *txn;

    CHECK(db_open(folder, MAP_BYTES, &play.db) == ERR_OK);
    txn = db_read_begin(play.db);
    play.number = db_txn_number(txn);
    db_abort(&txn);
    for (unsigned i = 0; i < steps; i++) {
        unsigned what = below(&play, 100);
        if (what < 3)
            reader_step(&play);
        else if (play.txn == NULL && what < 30)
            watch_step(&play);
        else if (play.txn == NULL)
            play.txn = db_write_begin(play.db);
        else if (what < 5)
            txn_end(&play);
        else if (what < 50)
            cursor_step(&play);
        else
            write_step(&play);
    }
    if (play.txn != NULL)
        txn_end(&play);
    for (unsigned i = 0; i < READERS; i++)
        db_abort(&play.readers[i].txn);
    db_watch_free(&play.watch);
    txn = db_read_begin(play.db);
    note_all(&play, txn);
    note(&play, db_commit(&txn));
    db_close(&play.db);
}
