/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/smtp/play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"

const struct smtp_config play_config = {
    .hostname = "mx.test",
    .message_size_max = 400,
    .recipients_max = 3,
    .data_line_size_max = 100,
    .errors_max = 5,
    .starttls = true,
};

void play_init_connection(struct play *play, const struct smtp_config *config,
                          const struct smtp_connection *connection, enum play_answers answers)
{
    *play = (struct play){
        .session = smtp_session_new(config, connection),
        .greet_refused = strncmp(config->hostname, "refuse", 6) == 0,
        .answers = answers,
        .random = 0x9e3779b97f4a7c15,
    };
    play_drain(play);
}

void play_init(struct play *play, const struct smtp_config *config, enum play_answers answers)
{
    static const struct smtp_connection connection = {.tls = false};

    play_init_connection(play, config, &connection, answers);
}

void play_fini(struct play *play)
{
    smtp_session_free(&play->session);
    CHECK(play->session == NULL);
    buffer_fini(&play->transcript);
    buffer_fini(&play->body);
}

static uint64_t play_random(struct play *play, uint64_t below)
{
    play->random ^= play->random << 13;
    play->random ^= play->random >> 7;
    play->random ^= play->random << 17;
    return play->random % below;
}

static enum err resolve(const char *address, uint64_t *account)
{
    static const struct {
        const char *address;
        enum err err;
        uint64_t account;
    } users[] = {
        {"y@here.test", ERR_OK, 1},       {"z@here.test", ERR_OK, 2},
        {"postmaster", ERR_OK, 3},        {"down@here.test", ERR_UNAVAILABLE, 0},
        {"full@here.test", ERR_QUOTA, 0}, {"over@here.test", ERR_FULL, 0},
    };
    int number;
    int end = 0;

    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
        if (strcmp(users[i].address, address) == 0) {
            *account = users[i].account;
            return users[i].err;
        }
    if (sscanf(address, "u%3d@here.test%n", &number, &end) == 1 && address[end] == '\0' &&
        end > 0) {
        *account = 100 + (uint64_t)number;
        return ERR_OK;
    }
    const char *at = strrchr(address, '@');
    return at != NULL && strcmp(at, "@here.test") == 0 ? ERR_NOTFOUND : ERR_DENIED;
}

/* The words that the local part of an address asks for, or NULL. */
static const struct smtp_refusal *refusal_of(struct bytes address)
{
    static const struct smtp_refusal refused = {550, "5.7.1", "Not you", false};
    static const struct smtp_refusal later = {450, "4.7.1", "Later", false};
    static const struct smtp_refusal cut = {421, "4.7.0", "Enough", false};

    if (bytes_start_nocase(address, BYTES("refused@")))
        return &refused;
    if (bytes_start_nocase(address, BYTES("later@")))
        return &later;
    return bytes_start_nocase(address, BYTES("cut@")) ? &cut : NULL;
}

static void answer_begin(struct play *play, uint64_t ticket)
{
    static const struct smtp_refusal refusal = {451, "4.7.1", "Not now", false};
    struct bytes sender = smtp_session_envelope(play->session)->sender;
    char trace_id[20];

    snprintf(trace_id, sizeof(trace_id), "T%u", ++play->begins);
    buffer_clear(&play->body);
    if (bytes_start_nocase(sender, BYTES("nobegin@")))
        smtp_session_refused(play->session, ticket, &refusal);
    else
        smtp_session_begun(play->session, ticket, play->begin, trace_id);
}

static void answer_each(struct play *play, uint64_t ticket)
{
    static const struct smtp_refusal refusal = {550, "5.7.1", "Not you", false};
    const struct smtp_envelope *envelope = smtp_session_envelope(play->session);
    struct smtp_outcome outcomes[8];

    CHECK(envelope->recipient_count <= sizeof(outcomes) / sizeof(outcomes[0]));
    for (unsigned i = 0; i < envelope->recipient_count; i++) {
        uint64_t account = envelope->recipients[i].account_id;
        outcomes[i] = (struct smtp_outcome){.result = ERR_OK};
        if (account == 102)
            outcomes[i].refusal = &refusal;
        else if (account == 103)
            outcomes[i].result = ERR_QUOTA;
        else if (account == 104)
            outcomes[i].result = ERR_UNKNOWN;
    }
    smtp_session_committed_each(play->session, ticket, outcomes, envelope->recipient_count);
}

static void answer_commit(struct play *play, uint64_t ticket)
{
    static const struct smtp_refusal virus = {554, "5.7.1", "Virus found", false};
    struct bytes sender = smtp_session_envelope(play->session)->sender;

    if (bytes_start_nocase(sender, BYTES("each@")))
        answer_each(play, ticket);
    else if (bytes_start_nocase(sender, BYTES("virus@")))
        smtp_session_refused(play->session, ticket, &virus);
    else
        smtp_session_committed(play->session, ticket, play->commit);
}

static void answer_resolve(struct play *play, uint64_t ticket, const char *address)
{
    const struct smtp_refusal *refusal = refusal_of(bytes_of(address));
    uint64_t account = 0;
    enum err err = resolve(address, &account);

    if (refusal != NULL)
        smtp_session_refused(play->session, ticket, refusal);
    else
        smtp_session_resolved(play->session, ticket, err, account);
}

static void answer_xclient(struct play *play, uint64_t ticket)
{
    static const struct smtp_refusal refusal = {550, "5.7.1", "Not you", false};
    const struct smtp_session *session = play->session;
    const struct smtp_xclient_value *address = smtp_session_xclient(session, SMTP_XCLIENT_ADDR);
    const struct smtp_xclient_value *login = smtp_session_xclient(session, SMTP_XCLIENT_LOGIN);

    buffer_add_string(&play->transcript, "<xclient");
    for (unsigned i = 0; i < SMTP_XCLIENT_COUNT; i++) {
        const struct smtp_xclient_value *value =
            smtp_session_xclient(session, (enum smtp_xclient)i);
        if (value->said != SMTP_XCLIENT_UNSAID)
            buffer_printf(&play->transcript, " %u:%u:%.*s", i, (unsigned)value->said,
                          BYTES_ARG(value->text));
    }
    buffer_add_string(&play->transcript, ">");
    if (bytes_equal(address->text, BYTES("192.0.2.66")))
        smtp_session_refused(play->session, ticket, &refusal);
    else
        smtp_session_xclient_taken(play->session, ticket, 7, login->text);
}

static void answer_question(struct play *play, uint64_t ticket, const char *address)
{
    static const struct smtp_refusal greet = {554, "5.7.1", "No service for you", false};
    const struct smtp_refusal *refusal =
        play->greet_refused ? &greet : refusal_of(bytes_of(address));

    if (refusal != NULL)
        smtp_session_refused(play->session, ticket, refusal);
    else
        smtp_session_allowed(play->session, ticket);
}

void play_answer(struct play *play, unsigned position)
{
    CHECK(position < play->outstanding_count);
    const struct play_question question = play->outstanding[position];

    play->outstanding_count--;
    memmove(&play->outstanding[position], &play->outstanding[position + 1],
            (play->outstanding_count - position) * sizeof(play->outstanding[0]));
    switch (question.want) {
    case SMTP_WANT_RESOLVE:
        answer_resolve(play, question.ticket, question.text);
        break;
    case SMTP_WANT_BEGIN:
        answer_begin(play, question.ticket);
        break;
    case SMTP_WANT_COMMIT:
        answer_commit(play, question.ticket);
        break;
    case SMTP_WANT_XCLIENT:
        answer_xclient(play, question.ticket);
        break;
    case SMTP_WANT_AUTH:
        play_answer_auth(play, &question);
        break;
    default:
        answer_question(play, question.ticket, question.text);
        break;
    }
}

static void note(struct play *play, const struct smtp_action *action)
{
    switch (action->want) {
    case SMTP_WANT_WRITE:
        CHECK(action->bytes.len > 0);
        buffer_add(&play->transcript, action->bytes);
        break;
    case SMTP_WANT_BODY:
        buffer_add(&play->body, action->bytes);
        break;
    case SMTP_WANT_COMMIT:
        play->commits++;
        buffer_printf(&play->transcript, "<body %zu:", buffer_len(&play->body));
        buffer_add(&play->transcript, buffer_bytes(&play->body));
        buffer_add_string(&play->transcript, ">");
        break;
    case SMTP_WANT_ABORT:
        buffer_printf(&play->transcript, "<abort %u>", smtp_reply_code(action->refusal));
        break;
    case SMTP_WANT_START_TLS:
        buffer_add_string(&play->transcript, "<tls>");
        break;
    case SMTP_WANT_CLOSE:
        buffer_add_string(&play->transcript, "<close>");
        play->closed = true;
        break;
    default:
        break;
    }
}

void play_drain(struct play *play)
{
    struct smtp_action action;

    while (smtp_session_next(play->session, &action)) {
        CHECK(!play->closed);
        note(play, &action);
        if (action.want == SMTP_WANT_START_TLS)
            smtp_session_tls_started(play->session);
        if (action.ticket == 0)
            continue;
        unsigned last = play->outstanding_count++;
        CHECK(last < sizeof(play->outstanding) / sizeof(play->outstanding[0]));
        struct play_question *question = &play->outstanding[last];
        *question = (struct play_question){
            .ticket = action.ticket,
            .want = action.want,
            .initial = action.initial,
            .has_response = action.has_response,
        };
        size_t len = action.bytes.len;
        CHECK(len < sizeof(question->text) || action.want == SMTP_WANT_AUTH);
        question->text_len = len < sizeof(question->text) ? len : sizeof(question->text) - 1;
        if (len > 0)
            memcpy(question->text, action.bytes.at, question->text_len);
        snprintf(question->mechanism, sizeof(question->mechanism), "%.*s",
                 BYTES_ARG(action.mechanism));
        if (play->outstanding_count > play->outstanding_most)
            play->outstanding_most = play->outstanding_count;
        if (play->answers == PLAY_AT_ONCE)
            play_answer(play, last);
    }
}

/* Returns false when nothing was outstanding. */
static bool answer_one(struct play *play)
{
    if (play->outstanding_count == 0)
        return false;
    unsigned position = 0;
    if (play->answers == PLAY_REVERSED)
        position = play->outstanding_count - 1;
    else if (play->answers == PLAY_RANDOM)
        position = (unsigned)play_random(play, play->outstanding_count);
    play_answer(play, position);
    play_drain(play);
    return true;
}

void play_feed(struct play *play, struct bytes input)
{
    while (!play->closed) {
        bool random = play->answers == PLAY_RANDOM;
        if (random && play_random(play, 2) == 0 && answer_one(play))
            continue;
        struct bytes piece = input;
        if (random && input.len > 1)
            piece.len = (size_t)play_random(play, input.len) + 1;
        size_t used = smtp_session_feed(play->session, piece);
        CHECK(used <= piece.len);
        input = bytes_skip(input, used);
        play_drain(play);
        if (used == 0 && !answer_one(play))
            return;
    }
}

const char *play_take(struct play *play)
{
    buffer_add_byte(&play->transcript, '\0');
    const char *text = (const char *)buffer_bytes(&play->transcript).at;
    play->transcript.end = play->transcript.start;
    return text;
}

static void expect_once(struct play *play, const char *name, struct bytes input, size_t cut,
                        const char *want)
{
    play_feed(play, bytes_from(input.at, cut));
    play_feed(play, bytes_skip(input, cut));
    const char *seen = play_take(play);
    if (strcmp(seen, want) != 0)
        print_error("%s, cut at %zu, answers %d, random %llu\n", name, cut, (int)play->answers,
                    (unsigned long long)play->random);
    assert_string_equal(seen, want);
    play_fini(play);
}

void play_expect(const struct smtp_config *config, const char *name, struct bytes input,
                 const char *want)
{
    static const struct smtp_connection connection = {.tls = false};

    play_expect_connection(config, &connection, name, input, want);
}

void play_expect_connection(const struct smtp_config *config,
                            const struct smtp_connection *connection, const char *name,
                            struct bytes input, const char *want)
{
    enum { ROUNDS = 100, CUTS_MAX = 2000 };
    struct play play;

    for (size_t cut = 0; cut <= input.len; cut += input.len / CUTS_MAX + 1)
        for (unsigned answers = 0; answers < PLAY_RANDOM; answers++) {
            play_init_connection(&play, config, connection, (enum play_answers)answers);
            expect_once(&play, name, input, cut, want);
        }
    for (unsigned round = 0; round < ROUNDS; round++) {
        play_init_connection(&play, config, connection, PLAY_RANDOM);
        play.random += round;
        expect_once(&play, name, input, 0, want);
    }
    play_init_connection(&play, config, connection, PLAY_AT_ONCE);
    for (size_t i = 0; i < input.len; i++)
        play_feed(&play, bytes_from(input.at + i, 1));
    expect_once(&play, name, BYTES(""), 0, want);
}

void play_expect_line(const struct smtp_config *config,
                      const struct smtp_connection *connection, const char *before,
                      const char *line, const char *want)
{
    struct buffer input = BUFFER_EMPTY;
    struct buffer transcript = BUFFER_EMPTY;
    struct play play;

    play_init_connection(&play, config, connection, PLAY_AT_ONCE);
    play_feed(&play, bytes_of(before));
    buffer_printf(&transcript, "%s%s%c", play_take(&play), want, '\0');
    play_fini(&play);
    buffer_printf(&input, "%s%s\r\n", before, line);
    play_expect_connection(config, connection, line, buffer_bytes(&input),
                           (const char *)buffer_bytes(&transcript).at);
    buffer_fini(&input);
    buffer_fini(&transcript);
}
