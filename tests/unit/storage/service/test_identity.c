/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/schema/entry.h"
#include "storage/service/cluster.h"
#include "storage/service/cluster_folder.h"
#include "storage/service/identity.h"
#include "storage/service/join.h"

/* token.c's call part; not reached here. */
uint64_t service_self(const struct service *service)
{
    (void)service;
    abort();
}
struct service_node *service_node(const struct service *service, uint64_t node_id)
{
    (void)service;
    (void)node_id;
    abort();
}
void write_start(struct service *service, uint32_t group, Pr__Command *command,
                 uint64_t deadline_ms, write_done *done, void *context)
{
    (void)service;
    (void)group;
    (void)command;
    (void)deadline_ms;
    (void)done;
    (void)context;
    abort();
}
void call_reply(struct service_call *call, Pr__Reply *reply)
{
    (void)call;
    (void)reply;
    abort();
}
void call_fail(struct service_call *call, enum err err, const char *text)
{
    (void)call;
    (void)err;
    (void)text;
    abort();
}
void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    (void)call;
    (void)err;
    (void)outcome;
    abort();
}

struct place {
    char folder[64];
    struct arena arena;
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    strcpy(place->folder, "/tmp/postraft-identity-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    arena_init(&place->arena);
    *state = place;
    return 0;
}

static void remove_file(const struct place *place, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", place->folder, name);
    if (unlink(path) < 0)
        rmdir(path);
}

static int remove_place(void **state)
{
    struct place *place = *state;
    static const char *const names[] = {"identity",
                                        "identity.new",
                                        "initialising",
                                        "log/data.mdb",
                                        "log/lock.mdb",
                                        "log",
                                        "state-0/data.mdb",
                                        "state-0/lock.mdb",
                                        "state-0",
                                        "other/x",
                                        "other",
                                        "journal/0000000000000001.log",
                                        "journal"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        remove_file(place, names[i]);
    assert_int_equal(rmdir(place->folder), 0);
    arena_fini(&place->arena);
    free(place);
    return 0;
}

static void put_file(const struct place *place, const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", place->folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_folder(const struct place *place, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", place->folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static Pr__Identity sample(struct arena *arena)
{
    Pr__Identity identity = PR__IDENTITY__INIT;

    identity.cluster_id = arena_string(arena, BYTES("0123456789abcdef0123456789abcdef"));
    identity.node_id = 7;
    identity.node_name = arena_string(arena, BYTES("n7"));
    identity.data_center = arena_string(arena, BYTES("dc2"));
    identity.authority = field_of_bytes(BYTES("AUTHORITY"));
    identity.certificate = field_of_bytes(BYTES("CERTIFICATE"));
    identity.key = field_of_bytes(BYTES("KEY"));
    return identity;
}

static void test_round_trip(void **state)
{
    struct place *place = *state;
    Pr__Identity identity = sample(&place->arena);
    Pr__Identity *loaded = NULL;
    const char *problem = NULL;
    char path[256];
    struct stat status;

    assert_int_equal(identity_load(place->folder, &place->arena, &loaded, &problem),
                     ERR_NOTFOUND);
    assert_int_equal(identity_save(place->folder, &identity, &place->arena, &problem), ERR_OK);
    assert_int_equal(identity_load(place->folder, &place->arena, &loaded, &problem), ERR_OK);
    assert_int_equal(loaded->node_id, 7);
    assert_string_equal(loaded->data_center, "dc2");
    assert_true(bytes_equal(bytes_of_field(loaded->key), BYTES("KEY")));
    snprintf(path, sizeof(path), "%s/identity", place->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    snprintf(path, sizeof(path), "%s/identity.new", place->folder);
    assert_int_equal(stat(path, &status), -1);
}

/* Any one byte changed, or the file cut anywhere, is noticed. */
static void test_damage(void **state)
{
    struct place *place = *state;
    Pr__Identity identity = sample(&place->arena);
    Pr__Identity *loaded = NULL;
    const char *problem = NULL;
    char path[256];
    uint8_t whole[1024];

    assert_int_equal(identity_save(place->folder, &identity, &place->arena, &problem), ERR_OK);
    snprintf(path, sizeof(path), "%s/identity", place->folder);
    int fd = open(path, O_RDWR);
    ssize_t len = read(fd, whole, sizeof(whole));
    assert_in_range(len, 100, sizeof(whole) - 1);
    for (ssize_t i = 0; i < len; i++) {
        uint8_t wrong = whole[i] ^ 0x20;
        assert_int_equal(pwrite(fd, &wrong, 1, i), 1);
        problem = NULL;
        assert_int_equal(identity_load(place->folder, &place->arena, &loaded, &problem),
                         ERR_MALFORMED);
        assert_non_null(problem);
        assert_int_equal(pwrite(fd, &whole[i], 1, i), 1);
    }
    for (ssize_t cut = len - 1; cut >= 0; cut--) {
        assert_int_equal(ftruncate(fd, cut), 0);
        assert_int_equal(identity_load(place->folder, &place->arena, &loaded, &problem),
                         ERR_MALFORMED);
    }
    close(fd);
}

/* A crash between saving the identity and removing the mark must not make mail look half made
 * later. */
static void test_identity_ends_making(void **state)
{
    struct place *place = *state;
    Pr__Identity identity = sample(&place->arena);
    Pr__Identity *loaded = NULL;
    const char *problem = NULL;
    bool half_made = true;

    put_folder(place, "log");
    put_file(place, "log/data.mdb", "mail");
    put_file(place, "initialising", "");
    assert_int_equal(identity_save(place->folder, &identity, &place->arena, &problem), ERR_OK);
    assert_int_equal(identity_load(place->folder, &place->arena, &loaded, &problem), ERR_OK);
    assert_false(identity_file_exists(place->folder, "initialising"));
    remove_file(place, "identity");
    assert_true(cluster_folder_used(place->folder, &half_made));
    assert_false(half_made);
}

static void test_journal_is_used(void **state)
{
    struct place *place = *state;
    bool half_made = true;

    assert_false(cluster_folder_used(place->folder, &half_made));
    put_folder(place, "journal");
    assert_true(cluster_folder_used(place->folder, &half_made));
    assert_false(half_made);
}

static void test_folder_clear(void **state)
{
    struct place *place = *state;
    const char *problem = NULL;
    bool half_made = true;

    put_folder(place, "other");
    put_file(place, "other/x", "x");
    assert_false(cluster_folder_used(place->folder, &half_made));
    assert_false(half_made);
    put_folder(place, "log");
    put_file(place, "log/data.mdb", "mail");
    put_folder(place, "state-0");
    put_file(place, "state-0/data.mdb", "mail");
    put_file(place, "state-0/lock.mdb", "");
    put_folder(place, "journal");
    put_file(place, "journal/0000000000000001.log", "mail");

    /* Somebody's mail: never touched. */
    assert_true(cluster_folder_used(place->folder, &half_made));
    assert_false(half_made);
    assert_int_equal(cluster_folder_clear(place->folder, &place->arena, &problem), ERR_OK);
    assert_true(identity_file_exists(place->folder, "state-0"));
    assert_true(identity_file_exists(place->folder, "journal/0000000000000001.log"));

    put_file(place, "initialising", "");
    assert_true(cluster_folder_used(place->folder, &half_made));
    assert_true(half_made);
    assert_int_equal(cluster_folder_clear(place->folder, &place->arena, &problem), ERR_OK);
    assert_false(identity_file_exists(place->folder, "state-0"));
    assert_false(identity_file_exists(place->folder, "log"));
    assert_false(identity_file_exists(place->folder, "journal"));
    assert_true(identity_file_exists(place->folder, "other"));
}

static void test_names(void **state)
{
    static const struct {
        const char *text;
        bool name;
        bool address;
    } rows[] = {
        {"dc1", true, false},
        {"A.b-c_9", true, false},
        {"", false, false},
        {"-a", false, false},
        {"a b", false, false},
        {"127.0.0.1:7101", false, true},
        {"[::1]:7101", false, true},
        {"0.0.0.0:7101", false, false},
        {"[::]:7101", false, false},
        {"127.0.0.1:0", false, false},
        {"127.0.0.1:70000", false, false},
        {"127.0.0.1", true, false},
        {":7101", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(cluster_name_valid(rows[i].text), rows[i].name);
        assert_int_equal(cluster_address_valid(rows[i].text), rows[i].address);
    }
    assert_false(cluster_address_valid(NULL));
}

#define SECRET "00112233445566778899aabbccddeeff"
#define PIN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_token(void **state)
{
    struct place *place = *state;
    struct join_token token;
    static const char *const good = "PRJ1." SECRET "." PIN ".127.0.1.1:7103,[::1]:7103";
    static const char *const bad[] = {
        "",
        "PRJ1.",
        "PRJ2." SECRET "." PIN ".127.0.1.1:7103",
        "PRJ1." SECRET "." PIN ".",
        "PRJ1." SECRET "." PIN "",
        "PRJ1." SECRET "0." PIN ".127.0.1.1:7103",
        "PRJ1." SECRET "." PIN "0.127.0.1.1:7103",
        "PRJ1." SECRET "." PIN ".127.0.1.1",
        "PRJ1." SECRET "." PIN ".127.0.1.1:7103,,127.0.1.2:7103",
        "PRJ1." SECRET "." PIN ".1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1",
    };

    assert_true(join_token_parse(bytes_of(good), &place->arena, &token));
    assert_int_equal(token.address_count, 2);
    assert_string_equal(token.addresses[1], "[::1]:7103");
    assert_string_equal(token.authority_pin, PIN);
    assert_int_equal(token.secret[15], 0xff);
    assert_string_equal(join_token_format(&token, &place->arena), good);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (join_token_parse(bytes_of(bad[i]), &place->arena, &token))
            fail_msg("taken: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_damage, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_identity_ends_making, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_journal_is_used, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_folder_clear, make_place, remove_place),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_token, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
