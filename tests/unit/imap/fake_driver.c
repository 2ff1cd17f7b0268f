/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "imap/protocol/limits.h"
#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "tests/unit/imap/fake_internal.h"

/* The names of calls, for the tests that say which ones may be made. */
static const char *call_name(const Pr__Request *request)
{
    const ProtobufCMessageDescriptor *type = request->base.descriptor;

    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].id == (uint32_t)request->call_case)
            return type->fields[i].name;
    return "?";
}

static void on_event(void *owner, enum imap_event event, struct bytes text)
{
    struct fake_driver *driver = owner;

    (void)text;
    driver->logged_in |= event == IMAP_EVENT_LOGIN;
    driver->breaches += event == IMAP_EVENT_BREACH;
    if (event == IMAP_EVENT_TURNED_AWAY) {
        CHECK(imap_session_store_id(driver->session) != 0);
        driver->turned_away++;
    }
}

static struct imap_verdict judge(void *owner, enum imap_attempt attempt, uint64_t account,
                                 struct bytes secret)
{
    static const char *const names[] = {"try", "right", "wrong"};
    struct fake_driver *driver = owner;
    struct imap_verdict verdict = driver->verdict;

    buffer_add_string(&driver->attempts, names[attempt]);
    if (attempt != IMAP_ATTEMPT_TRIES)
        buffer_printf(&driver->attempts, " %" PRIu64 "%s", account,
                      secret.len > 0 ? " secret" : "");
    buffer_add_string(&driver->attempts, "; ");
    if (attempt != driver->judged)
        return (struct imap_verdict){.text = NULL};
    driver->verdict = (struct imap_verdict){.text = NULL};
    return verdict;
}

void fake_driver_init(struct fake_driver *driver, bool has_tls)
{
    *driver = (struct fake_driver){.seen = BUFFER_EMPTY};
    fake_store_init(&driver->store);
    driver->config = (struct imap_session_config){
        .hostname = "imap.test",
        .append_size_max = 1000000,
        .login_failures_max = 3,
        .mechanisms = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN "
                      "LOGIN OAUTHBEARER",
        .codec = driver->store.codec,
        .on_event = on_event,
        .judge = judge,
    };
    driver->session = imap_session_new(&driver->config, driver, "192.0.2.1", has_tls, !has_tls);
    imap_session_greet(driver->session);
}

void fake_driver_fini(struct fake_driver *driver)
{
    imap_session_free(&driver->session);
    CHECK(driver->session == NULL);
    fake_store_fini(&driver->store);
    buffer_fini(&driver->seen);
    buffer_fini(&driver->calls);
    buffer_fini(&driver->upload);
    buffer_fini(&driver->attempts);
}

/* As a connection has it: 32 bytes of each kind. */
static void add_bindings(Pr__AuthStep *step, struct arena *arena)
{
    static const char exporter[] = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
    static const char end_point[] = "EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE";

    if (step->exchange != 0)
        return;
    step->exporter = field_of_bytes(arena_copy(arena, bytes_of(exporter)));
    step->end_point = field_of_bytes(arena_copy(arena, bytes_of(end_point)));
}

static void perform_call(struct fake_driver *driver, const struct imap_action *action)
{
    struct arena arena;

    arena_init(&arena);
    buffer_printf(&driver->calls, "%s ", call_name(action->request));
    if (!driver->logged_in && action->request->call_case != PR__REQUEST__CALL_AUTH_STEP)
        driver->call_without_login = true;
    if (action->request->call_case == PR__REQUEST__CALL_AUTH_STEP)
        add_bindings(action->request->auth_step, &arena);
    Pr__Reply *reply = fake_store_answer(&driver->store, action->request, &arena);
    enum err lost = driver->store.lost;
    driver->store.lost = ERR_OK;
    imap_session_answered(driver->session, action->ticket, lost, lost == ERR_OK ? reply : NULL);
    arena_fini(&arena);
}

static void finish_body(struct fake_driver *driver)
{
    struct fake_store *store = &driver->store;
    Pr__Body *body = arena_alloc(&store->arena, sizeof(*body));

    pr__body__init(body);
    body->size = buffer_len(&driver->upload);
    body->digest = field_of_bytes(arena_copy(&store->arena, buffer_bytes(&driver->upload)));
    imap_session_body_finished(driver->session, ERR_OK, body, 1795295370);
}

static void note(struct fake_driver *driver, const char *text)
{
    if (!driver->quiet)
        buffer_add_string(&driver->seen, text);
}

static void perform(struct fake_driver *driver, const struct imap_action *action)
{
    switch (action->want) {
    case IMAP_WANT_WRITE:
        CHECK(!driver->closed && action->bytes.len > 0);
        if (action->bytes.len > driver->write_max)
            driver->write_max = action->bytes.len;
        buffer_add(&driver->seen, action->bytes);
        break;
    case IMAP_WANT_CALL:
        perform_call(driver, action);
        break;
    case IMAP_WANT_BODY_BEGIN:
        CHECK(!driver->uploading);
        driver->uploading = true;
        buffer_truncate(&driver->upload, 0);
        break;
    case IMAP_WANT_BODY_DATA:
        CHECK(driver->uploading);
        buffer_add(&driver->upload, action->bytes);
        break;
    case IMAP_WANT_BODY_END:
        CHECK(driver->uploading);
        finish_body(driver);
        break;
    case IMAP_WANT_BODY_DROP:
    case IMAP_WANT_BODY_USED:
        CHECK(driver->uploading);
        driver->uploading = false;
        break;
    case IMAP_WANT_DELAY:
        note(driver, action->delay_ms == IMAP_LOGIN_DELAY_MS ? "<delay>" : "<long delay>");
        imap_session_delayed(driver->session, action->ticket);
        break;
    case IMAP_WANT_START_TLS:
        note(driver, "<TLS>");
        imap_session_tls_started(driver->session);
        break;
    case IMAP_WANT_CLOSE:
        CHECK(!driver->closed);
        driver->closed = true;
        note(driver, "<CLOSE>");
        break;
    }
}

void fake_driver_pump(struct fake_driver *driver)
{
    struct imap_action action;

    while (imap_session_next(driver->session, &action)) {
        size_t memory = imap_session_memory(driver->session);
        driver->memory_max = memory > driver->memory_max ? memory : driver->memory_max;
        perform(driver, &action);
    }
}

void fake_driver_feed(struct fake_driver *driver, struct bytes input)
{
    fake_driver_pump(driver);
    while (input.len > 0) {
        size_t used = imap_session_feed(driver->session, input);
        fake_driver_pump(driver);
        /* When nothing is left to do, the session reads. */
        CHECK(used > 0);
        input = bytes_skip(input, used);
    }
}
