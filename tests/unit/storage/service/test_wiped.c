/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passwords in the store: no block of memory that is given back holds one, whatever becomes of
 * who said it. A call's own memory is as it came: here nobody wipes it behind its handler.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/service/login.h"
#include "storage/service/passwords.h"
#include "storage/service/verifiers.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/login_lab.h"

#define SECRET "Horse-Battery-Staple"
#define WRONG "Horse-Battery-Clip-y-Staple"
static const char *const traces[] = {"Horse-Ba", "y-Staple"};

enum { CONNECTION = 5 };

void __real_free(void *memory);
void __wrap_free(void *memory);

static bool looking;
static unsigned found;

void __wrap_free(void *memory)
{
    if (looking && memory != NULL)
        for (unsigned i = 0; i < sizeof(traces) / sizeof(traces[0]); i++)
            found += memmem(memory, malloc_usable_size(memory), traces[i], 8) != NULL;
    __real_free(memory);
}

/* Nothing of calls_world: it packs requests, and keeps what it packed. */
static struct service_call *call_new(Pr__Request__CallCase call_case)
{
    struct service_call *call = calloc(1, sizeof(*call));

    CHECK(call != NULL);
    *call = (struct service_call){
        .service = &world.service,
        .role = ROLE_IMAP,
        .connection = CONNECTION,
        .deadline_ms = world.now_ms + CALLS_MS,
    };
    arena_init(&call->call_arena);
    call->request = arena_alloc(&call->call_arena, sizeof(*call->request));
    pr__request__init(call->request);
    call->request->call_case = call_case;
    return call;
}

static void say(uint64_t exchange, const char *mechanism, struct bytes message)
{
    struct service_call *call = call_new(PR__REQUEST__CALL_AUTH_STEP);
    struct arena *arena = &call->call_arena;
    Pr__AuthStep *step = arena_alloc(arena, sizeof(*step));

    pr__auth_step__init(step);
    step->exchange = exchange;
    step->mechanism = arena_string(arena, bytes_of(mechanism));
    step->message = field_of_bytes(arena_copy(arena, message));
    step->initial = exchange == 0 && message.len > 0;
    step->tls = true;
    call->request->auth_step = step;
    auth_step_call(call);
}

static void plain(const char *user, const char *password)
{
    char message[200];
    int len = snprintf(message, sizeof(message), "%c%s%c%s", 0, user, 0, password);

    say(0, "PLAIN", bytes_from(message, (size_t)len));
}

static void imap_login(const char *user, const char *password)
{
    struct service_call *call = call_new(PR__REQUEST__CALL_LOGIN);
    Pr__Login *login = arena_alloc(&call->call_arena, sizeof(*login));

    pr__login__init(login);
    login->user = arena_string(&call->call_arena, bytes_of(user));
    login->password = arena_string(&call->call_arena, bytes_of(password));
    login->peer_address = arena_string(&call->call_arena, BYTES("192.0.2.1"));
    call->request->login = login;
    login_call(call);
}

static void work(void)
{
    world_run(world.now_ms);
}

static int begin(void **state)
{
    login_lab_begin(state);
    login_lab_account("eve@acme.example", SECRET);
    found = 0;
    looking = true;
    return 0;
}

static int end(void **state)
{
    login_lab_end(state);
    looking = false;
    return 0;
}

static void nothing_found(void)
{
    work();
    looking = false;
    assert_int_equal(found, 0);
}

/* The test itself sees what is not wiped. */
static void test_seen(void **state)
{
    char *copy = strdup(SECRET);

    (void)state;
    free(copy);
    assert_int_equal(found, 2);
}

/* Right, wrong and of nobody, in one message and in two; verifiers are made of the first. */
static void test_log_ins(void **state)
{
    unsigned answers = heard.count;

    (void)state;
    plain("eve@acme.example", SECRET);
    work();
    assert_non_null(login_lab_credentials("eve@acme.example")->scram);
    plain("eve@acme.example", SECRET); /* remembered */
    plain("eve@acme.example", WRONG);
    plain("nobody@acme.example", SECRET);
    imap_login("eve@acme.example", SECRET);
    imap_login("eve@acme.example", WRONG);
    work();
    assert_int_equal(heard.count, answers + 6);
    say(0, "LOGIN", bytes_from(NULL, 0));
    uint64_t exchange = login_lab_answer()->exchange;
    say(exchange, "", BYTES("eve@acme.example"));
    work();
    say(exchange, "", BYTES(SECRET));
    work();
    assert_int_equal(heard.reply->err, ERR_OK);
    say(exchange, "", BYTES("")); /* it is over */
    nothing_found();
}

/* The majority is away; the password can be of no mechanism; a code is missing. */
static void test_trouble(void **state)
{
    (void)state;
    world.reads_fail = true;
    plain("eve@acme.example", SECRET);
    imap_login("eve@acme.example", SECRET);
    work();
    assert_int_equal(heard.reply->err, ERR_UNAVAILABLE);
    say(0, "PLAIN", BYTES("nothing but " SECRET));
    nothing_found();
}

/* The client goes while its password waits its turn, or is compared. */
static void test_gone(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 12; steps++) {
        plain("eve@acme.example", steps % 2 == 0 ? SECRET : WRONG);
        plain("eve@acme.example", WRONG);
        plain("eve@acme.example", WRONG "!");
        for (unsigned i = 0; i < steps; i++)
            world_step(world.now_ms);
        logins_connection_closed(world.service.logins, CONNECTION);
        work();
    }
    nothing_found();
}

/* The store ends meanwhile. */
static void test_end(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 12; steps++) {
        for (unsigned i = 0; i < 5; i++)
            plain("eve@acme.example", i % 2 == 0 ? SECRET : WRONG);
        for (unsigned i = 0; i < steps; i++)
            world_step(world.now_ms);
        logins_free(&world.service.logins);
        work();
        world.service.logins = logins_new(&world.service);
    }
    nothing_found();
}

static enum world_fate lose(struct service_world *of, uint32_t group,
                            const Pr__Command *command)
{
    (void)of;
    (void)group;
    (void)command;
    return WORLD_LOST;
}

static void test_verifiers(void **state)
{
    (void)state;
    verifiers_set(&world.service, BYTES("eve@acme.example"), BYTES("hash"), BYTES(SECRET));
    verifiers_set(&world.service, BYTES("eve@acme.example"), BYTES("hash"),
                  BYTES(SECRET "\001")); /* there are none of it */
    work();
    world.fate = lose;
    verifiers_set(&world.service, BYTES("eve@acme.example"), BYTES("hash"), BYTES(SECRET));
    work();
    verifiers_set(&world.service, BYTES("eve@acme.example"), BYTES("hash"), BYTES(SECRET));
    verifiers_free(&world.service.verifiers);
    nothing_found();
}

static void on_hashed(void *context, enum err err, struct bytes hash)
{
    (void)err;
    (void)hash;
    ++*(unsigned *)context;
}

/* New ones: hashed, waiting, two that are the same, and when the store ends. */
static void test_new_passwords(void **state)
{
    struct passwords *passwords = passwords_new(NULL);
    unsigned done = 0;

    (void)state;
    passwords_hash(passwords, BYTES(SECRET), on_hashed, &done);
    passwords_hash(passwords, BYTES(SECRET), on_hashed, &done);
    work();
    assert_int_equal(done, 2);
    passwords_hash(passwords, BYTES(SECRET), on_hashed, &done);
    passwords_hash(passwords, BYTES(SECRET "1"), on_hashed, &done);
    passwords_hash(passwords, BYTES(SECRET "2"), on_hashed, &done);
    passwords_free(&passwords);
    work();
    assert_int_equal(done, 5);
    nothing_found();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_seen), TEST(test_log_ins),   TEST(test_trouble),       TEST(test_gone),
        TEST(test_end),  TEST(test_verifiers), TEST(test_new_passwords),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
