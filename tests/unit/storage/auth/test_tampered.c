/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages that were cut, doubled, left out, or changed in one byte let nobody in. What our
 * SCRAM lets in, libgsasl's server with the same keys, salt and nonce lets in, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gsasl.h>
#include <stdlib.h>

#include "storage/auth/scram_internal.h"
#include "tests/unit/storage/auth/auth_lab.h"

enum { MESSAGES_MAX = 8 };

static struct auth_lab lab;

static int setup(void **unused)
{
    (void)unused;
    auth_lab_init(&lab);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    auth_lab_fini(&lab);
    return 0;
}

/* What a client says that gets in; the bytes belong to the lab or are constant. */
struct talk {
    enum auth_mechanism mechanism;
    struct bytes messages[MESSAGES_MAX];
    size_t count;
};

static void record(struct talk *talk, enum auth_mechanism mechanism)
{
    static char plain[2048];
    bool believed;
    enum auth_next next = AUTH_DONE;

    talk->mechanism = mechanism;
    if (mechanism == AUTH_LOGIN) {
        talk->messages[0] = BYTES(LAB_NAME);
        talk->messages[1] = BYTES(LAB_PASSWORD);
        talk->count = 2;
        return;
    }
    if (mechanism == AUTH_PLAIN) {
        struct bytes message = auth_lab_plain("", LAB_NAME, LAB_PASSWORD);
        memcpy(plain, message.at, message.len);
        talk->messages[0] = bytes_from(plain, message.len);
        talk->count = 1;
        return;
    }
    bool plus = mechanism == AUTH_SCRAM_SHA_1_PLUS || mechanism == AUTH_SCRAM_SHA_256_PLUS;
    struct auth_exchange *exchange = auth_lab_client(
        &lab, mechanism, LAB_NAME, LAB_PASSWORD, plus ? LAB_EXPORTER : NULL, &next, &believed);
    assert_int_equal(next, AUTH_DONE);
    talk->count = lab.said_count;
    memcpy(talk->messages, lab.said, sizeof(talk->messages));
    auth_exchange_free(&exchange);
}

static enum auth_next replay(const struct talk *talk)
{
    struct auth_exchange *exchange = auth_lab_new(&lab, talk->mechanism);
    enum auth_next next = AUTH_CONTINUE;

    for (size_t i = 0; i < talk->count && next != AUTH_REFUSED; i++)
        next = auth_lab_step(&lab, exchange, talk->messages[i]);
    auth_exchange_free(&exchange);
    return next;
}

static const enum auth_mechanism all[] = {
    AUTH_PLAIN,         AUTH_LOGIN,
    AUTH_SCRAM_SHA_1,   AUTH_SCRAM_SHA_1_PLUS,
    AUTH_SCRAM_SHA_256, AUTH_SCRAM_SHA_256_PLUS,
};
enum { ALL = sizeof(all) / sizeof(all[0]) };

/* Exactly as large as the message, so that a read past its end is seen. */
static struct bytes copy_of(struct bytes message, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, message.at, len < message.len ? len : message.len);
    return bytes_from(copy, len);
}

static void free_copy(struct bytes copy)
{
    void *memory;
    memcpy(&memory, &copy.at, sizeof(memory));
    free(memory);
}

static void cut_anywhere(void **unused)
{
    (void)unused;
    for (size_t m = 0; m < ALL; m++) {
        struct talk talk;
        record(&talk, all[m]);
        assert_int_equal(replay(&talk), AUTH_DONE);
        for (size_t i = 0; i < talk.count; i++) {
            struct bytes whole = talk.messages[i];
            for (size_t len = 0; len < whole.len; len++) {
                talk.messages[i] = copy_of(whole, len);
                assert_int_not_equal(replay(&talk), AUTH_DONE);
                free_copy(talk.messages[i]);
            }
            talk.messages[i] = whole;
        }
    }
}

static void doubled_swapped_left_out(void **unused)
{
    (void)unused;
    for (size_t m = 0; m < ALL; m++) {
        struct talk talk;
        struct talk changed;
        record(&talk, all[m]);
        for (size_t i = 0; i < talk.count; i++) {
            changed = talk; /* message i twice */
            memmove(&changed.messages[i + 1], &talk.messages[i],
                    (talk.count - i) * sizeof(talk.messages[0]));
            changed.count++;
            assert_int_equal(replay(&changed), AUTH_REFUSED);
            changed = talk; /* message i, twice in one */
            struct buffer twice = BUFFER_EMPTY;
            buffer_add(&twice, talk.messages[i]);
            buffer_add(&twice, talk.messages[i]);
            changed.messages[i] = buffer_bytes(&twice);
            if (talk.messages[i].len > 0)
                assert_int_equal(replay(&changed), AUTH_REFUSED);
            buffer_fini(&twice);
            changed = talk; /* without it */
            memmove(&changed.messages[i], &talk.messages[i + 1],
                    (talk.count - i - 1) * sizeof(talk.messages[0]));
            changed.count--;
            assert_int_not_equal(replay(&changed), AUTH_DONE);
            for (size_t k = 0; k < i; k++) { /* in another order */
                changed = talk;
                changed.messages[i] = talk.messages[k];
                changed.messages[k] = talk.messages[i];
                assert_int_not_equal(replay(&changed), AUTH_DONE);
            }
        }
        changed = talk; /* one too many */
        changed.messages[changed.count++] = BYTES("");
        assert_int_equal(replay(&changed), AUTH_REFUSED);
    }
}

/* Stands in front of libgsasl's own, so that its server has the same nonce as ours. */
static const uint8_t *forced_nonce;

int gsasl_nonce(char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] = forced_nonce != NULL ? (char)forced_nonce[i % AUTH_NONCE_SIZE]
                                       : (char)('a' + (i * 7 + 3) % 26);
    return GSASL_OK;
}

static char *base64_of(const uint8_t *bytes, size_t len)
{
    char *text = NULL;
    assert_int_equal(gsasl_base64_to((const char *)bytes, len, &text, NULL), GSASL_OK);
    return text;
}

static int on_property(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    bool sha1 = strncmp(gsasl_mechanism_name(session), "SCRAM-SHA-1", 11) == 0;
    const struct auth_scram_keys *keys = &lab.secrets.password_scram;
    char *text = NULL;
    (void)context;
    switch (property) {
    case GSASL_SCRAM_ITER:
        return gsasl_property_set(session, property, "4096");
    case GSASL_SCRAM_SALT:
        text = base64_of(lab.secrets.salt, AUTH_SALT_SIZE);
        break;
    case GSASL_SCRAM_STOREDKEY:
        text = sha1 ? base64_of(keys->stored_sha1, AUTH_SHA1_SIZE)
                    : base64_of(keys->stored_sha256, AUTH_SHA256_SIZE);
        break;
    case GSASL_SCRAM_SERVERKEY:
        text = sha1 ? base64_of(keys->server_sha1, AUTH_SHA1_SIZE)
                    : base64_of(keys->server_sha256, AUTH_SHA256_SIZE);
        break;
    case GSASL_CB_TLS_EXPORTER:
        text = base64_of((const uint8_t *)LAB_EXPORTER, strlen(LAB_EXPORTER));
        break;
    default:
        return GSASL_NO_CALLBACK;
    }
    int result = gsasl_property_set(session, property, text);
    gsasl_free(text);
    return result;
}

static int gsasl_says(Gsasl *context, const struct talk *talk)
{
    Gsasl_session *session = NULL;
    int result = GSASL_NEEDS_MORE;

    assert_int_equal(
        gsasl_server_start(context, auth_mechanism_name(talk->mechanism), &session), GSASL_OK);
    for (size_t i = 0; i < 2 && result == GSASL_NEEDS_MORE; i++) {
        char *answer = NULL;
        size_t len;
        result = gsasl_step(session, (const char *)talk->messages[i].at, talk->messages[i].len,
                            &answer, &len);
        gsasl_free(answer);
    }
    gsasl_finish(session);
    return result;
}

/*
 * Every byte of every message takes every other value. Changed names are unknown, and all bytes
 * of SCRAM messages are under the proof.
 */
static void every_byte_changed(void **unused)
{
    (void)unused;
    for (size_t m = 0; m < ALL; m++) {
        struct talk talk;
        record(&talk, all[m]);
        for (size_t i = 0; i < talk.count; i++) {
            struct bytes whole = talk.messages[i];
            struct bytes changed = copy_of(whole, whole.len);
            uint8_t *bytes;
            memcpy(&bytes, &changed.at, sizeof(bytes));
            talk.messages[i] = changed;
            for (size_t at = 0; at < whole.len; at++) {
                for (unsigned flip = 1; flip < 256; flip++) {
                    bytes[at] = (uint8_t)(whole.at[at] ^ flip);
                    assert_int_not_equal(replay(&talk), AUTH_DONE);
                }
                bytes[at] = whole.at[at];
            }
            talk.messages[i] = whole;
            free_copy(changed);
        }
    }
}

/* The same two messages, recorded against our server, get in there. */
static void libgsasl_agrees(void **unused)
{
    static const enum auth_mechanism scrams[] = {AUTH_SCRAM_SHA_1, AUTH_SCRAM_SHA_1_PLUS,
                                                 AUTH_SCRAM_SHA_256, AUTH_SCRAM_SHA_256_PLUS};
    Gsasl *context = NULL;
    (void)unused;
    assert_int_equal(gsasl_init(&context), GSASL_OK);
    gsasl_callback_set(context, on_property);
    unsigned let_in = 0;
    for (size_t m = 0; m < 4; m++) {
        struct talk talk;
        forced_nonce = NULL;
        record(&talk, scrams[m]);
        forced_nonce = lab.channel.nonce;
        assert_int_equal(replay(&talk), AUTH_DONE);
        let_in += gsasl_says(context, &talk) == GSASL_OK;
    }
    forced_nonce = NULL;
    gsasl_done(context);
    assert_int_equal(let_in, 4);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(cut_anywhere),
        TEST(doubled_swapped_left_out),
        TEST(every_byte_changed),
        TEST(libgsasl_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
