/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz/smtp_run.h"

#include <stdio.h>

#include "node/base/check.h"
#include "node/mail/utf8.h"

enum { QUESTIONS_MAX = SMTP_LOOKUPS_MAX + 1 };

struct question {
    uint64_t ticket;
    enum smtp_want want;
    uint8_t key; /* of its content */
    bool has_response;
};

struct run {
    const struct smtp_run_setup *setup;
    struct smtp_session *session;
    unsigned random;    /* 0: whole pieces, answers at once */
    struct bytes input; /* all of it */
    size_t consumed;    /* of it */
    size_t body_start;  /* where in the input the message began */
    struct buffer body; /* as the engine gives it */
    bool in_body;       /* BEGIN was answered with ERR_OK */
    bool asked;         /* a question is out that is no RESOLVE */
    bool let_in;        /* somebody was authenticated since the last restart */
    bool closed;
    struct buffer seen; /* what the client sees, and commits */
    struct question questions[QUESTIONS_MAX];
    unsigned question_count;
};

void smtp_run_configure(struct smtp_run_setup *setup, unsigned kind)
{
    static const enum smtp_service services[] = {SMTP_SERVICE_MX, SMTP_SERVICE_SUBMISSION,
                                                 SMTP_SERVICE_LMTP, SMTP_SERVICE_MX};
    bool all = kind % 4 == 3;

    setup->config = (struct smtp_config){
        .service = services[kind % 4],
        .hostname = "mx.test",
        .message_size_max = 3000,
        .recipients_max = 5,
        .data_line_size_max = 300,
        .errors_max = 8,
        .starttls = true,
        .auth_clear = "PLAIN OTHER",
        .auth_tls = "PLAIN LOGIN OTHER",
        .auth_failures_max = 3,
        .ask_greet = all,
        .ask_sender = all,
        .null_sender_single = all,
        .limits_announced = all,
        .mails_max = all ? 4 : 0,
        .requiretls = true,
        .dsn = true,
        .smtputf8 = true,
        .binarymime = true,
        .hold_max_s = 1000,
        .deliver_by = true,
    };
    setup->connection = (struct smtp_connection){.xclient = all, .trusted = all, .now_s = 1000};
}

static unsigned draw(struct run *run, unsigned below)
{
    run->random = run->random * 1103515245 + 12345;
    return (run->random >> 16) % below;
}

static void check_replies(struct bytes text)
{
    CHECK(text.len > 0 && text.len < SMTP_OUTPUT_MAX + 4096);
    while (text.len > 0) {
        size_t len = bytes_find(text, '\r');
        CHECK(len >= 4 && len <= 510 && len + 1 < text.len && text.at[len + 1] == '\n');
        CHECK(text.at[0] >= '2' && text.at[0] <= '5');
        CHECK(text.at[3] == ' ' || text.at[3] == '-');
        for (size_t i = 0; i < len; i++)
            CHECK(text.at[i] >= ' ' && text.at[i] < 127);
        text = bytes_skip(text, len + 2);
    }
}

/* It will stand in headers, logs and DSNs. */
static void check_text(struct bytes text, bool utf8)
{
    while (text.len > 0) {
        size_t len = utf8 ? utf8_sequence(text) : text.at[0] < 0x80;
        CHECK(len > 0 && text.at[0] >= ' ' && text.at[0] != 127);
        text = bytes_skip(text, len);
    }
}

static void check_envelope(struct run *run)
{
    const struct smtp_envelope *envelope = smtp_session_envelope(run->session);
    const struct smtp_config *config = &run->setup->config;

    CHECK(envelope->recipient_count <= config->recipients_max);
    CHECK(!envelope->authenticated || run->let_in);
    CHECK(config->service != SMTP_SERVICE_SUBMISSION || envelope->authenticated);
    CHECK(envelope->size <= config->message_size_max);
    check_text(envelope->helo, false);
    check_text(envelope->sender, envelope->utf8);
    check_text(envelope->envelope_id, false);
    check_text(envelope->auth_identity, false);
    for (unsigned i = 0; i < envelope->recipient_count; i++) {
        check_text(envelope->recipients[i].address, envelope->utf8);
        check_text(envelope->recipients[i].path, envelope->utf8);
        check_text(envelope->recipients[i].original_type, false);
        check_text(envelope->recipients[i].original_address, true);
    }
}

static void commit(struct run *run)
{
    struct buffer want = BUFFER_EMPTY;

    CHECK(run->in_body);
    run->in_body = false;
    smtp_reference_body(&run->setup->config, run->input, run->body_start, run->consumed,
                        smtp_session_envelope(run->session)->body_binary, &want);
    CHECK(bytes_equal(buffer_bytes(&want), buffer_bytes(&run->body)));
    CHECK(buffer_len(&want) <= run->setup->config.message_size_max);
    buffer_add_string(&run->seen, "<commit>");
    buffer_add(&run->seen, buffer_bytes(&want));
    buffer_fini(&want);
}

static const enum err results[] = {ERR_OK, ERR_OK,          ERR_OK,   ERR_OK,
                                   ERR_OK, ERR_UNAVAILABLE, ERR_FULL, ERR_UNKNOWN};
static const struct smtp_refusal refusals[] = {
    {450, "4.7.1", "Later", false},
    {550, "5.7.1", "No\r\n250 yes", false},
    {421, NULL, NULL, false},
    {554, "5.7.1", "\xff\x01 go", true},
};

static void answer_auth(struct run *run, const struct question *question)
{
    static const enum smtp_auth_result kinds[] = {
        SMTP_AUTH_CONTINUE,   SMTP_AUTH_CONTINUE,  SMTP_AUTH_DONE,     SMTP_AUTH_DONE,
        SMTP_AUTH_REFUSED,    SMTP_AUTH_TEMPORARY, SMTP_AUTH_WEAK,     SMTP_AUTH_NEEDS_TLS,
        SMTP_AUTH_TRANSITION, SMTP_AUTH_MALFORMED, SMTP_AUTH_TOO_MANY,
    };
    uint8_t key = question->key;
    struct smtp_auth_answer answer = {
        .result = question->has_response ? kinds[key % (sizeof(kinds) / sizeof(kinds[0]))]
                                         : SMTP_AUTH_CONTINUE,
        .bytes = key & 64 ? BYTES("more") : BYTES(""),
        .account_id = 1,
        .login = BYTES("y"),
    };

    run->let_in |= answer.result == SMTP_AUTH_DONE;
    smtp_session_authenticated(run->session, question->ticket, &answer);
}

static void answer_begin(struct run *run, uint64_t ticket)
{
    enum err result = results[run->setup->choices & 7];

    buffer_clear(&run->body);
    run->body_start = run->consumed;
    run->in_body = result == ERR_OK;
    if (result == ERR_UNKNOWN)
        smtp_session_refused(run->session, ticket, &refusals[run->setup->choices >> 3 & 3]);
    else
        smtp_session_begun(run->session, ticket, result, "trace");
}

static void answer_commit(struct run *run, uint64_t ticket)
{
    unsigned choice = run->setup->choices >> 3 & 7;
    unsigned count = smtp_session_envelope(run->session)->recipient_count;
    struct smtp_outcome outcomes[5];

    CHECK(count <= sizeof(outcomes) / sizeof(outcomes[0]));
    for (unsigned i = 0; i < count; i++) {
        outcomes[i].result = results[(choice + i) & 7];
        outcomes[i].refusal = i == 2 ? &refusals[choice & 3] : NULL;
    }
    if (run->setup->config.service == SMTP_SERVICE_LMTP && choice > 1)
        smtp_session_committed_each(run->session, ticket, outcomes, count);
    else if (choice == 4)
        smtp_session_refused(run->session, ticket, &refusals[run->setup->choices & 3]);
    else
        smtp_session_committed(run->session, ticket, results[choice]);
}

static void answer_resolve(struct run *run, const struct question *question)
{
    static const enum err lookups[] = {ERR_OK, ERR_OK, ERR_NOTFOUND, ERR_DENIED, ERR_TIMEOUT};

    if (question->key == 'r')
        smtp_session_refused(run->session, question->ticket, &refusals[1]);
    else if (question->key == 'c')
        smtp_session_refused(run->session, question->ticket, &refusals[3]);
    else
        smtp_session_resolved(run->session, question->ticket, lookups[question->key % 5],
                              question->key);
}

static void answer(struct run *run, unsigned position)
{
    const struct question question = run->questions[position];

    run->question_count--;
    for (unsigned i = position; i < run->question_count; i++)
        run->questions[i] = run->questions[i + 1];
    if (question.want == SMTP_WANT_RESOLVE) {
        answer_resolve(run, &question);
        return;
    }
    run->asked = false;
    if (question.want == SMTP_WANT_BEGIN)
        answer_begin(run, question.ticket);
    else if (question.want == SMTP_WANT_COMMIT)
        answer_commit(run, question.ticket);
    else if (question.want == SMTP_WANT_AUTH)
        answer_auth(run, &question);
    else if (question.key == 'r')
        smtp_session_refused(run->session, question.ticket, &refusals[run->setup->choices & 3]);
    else if (question.want == SMTP_WANT_XCLIENT)
        smtp_session_xclient_taken(run->session, question.ticket, 0, BYTES(""));
    else
        smtp_session_allowed(run->session, question.ticket);
}

static void write_action(struct run *run, struct bytes text)
{
    check_replies(text);
    buffer_add(&run->seen, text);
}

/* Returns the key of the question, if it is one. */
static uint8_t act(struct run *run, const struct smtp_action *action)
{
    CHECK(!run->closed);
    switch (action->want) {
    case SMTP_WANT_WRITE:
        write_action(run, action->bytes);
        break;
    case SMTP_WANT_BODY:
        CHECK(run->in_body && action->bytes.len <= SMTP_BODY_PIECE_MAX);
        buffer_add(&run->body, action->bytes);
        break;
    case SMTP_WANT_COMMIT:
        commit(run);
        break;
    case SMTP_WANT_ABORT:
        CHECK(run->in_body && smtp_reply_code(action->refusal) >= 400);
        run->in_body = false;
        break;
    case SMTP_WANT_START_TLS:
        buffer_add_string(&run->seen, "<tls>");
        break;
    case SMTP_WANT_CLOSE:
        CHECK(!run->in_body);
        run->closed = true;
        break;
    case SMTP_WANT_BEGIN:
        CHECK(!run->in_body && smtp_session_envelope(run->session)->recipient_count > 0);
        check_envelope(run);
        break;
    case SMTP_WANT_SENDER:
        check_envelope(run);
        break;
    case SMTP_WANT_AUTH:
        CHECK(run->setup->config.service == SMTP_SERVICE_SUBMISSION);
        CHECK(action->mechanism.len > 0 && (action->has_response || action->bytes.len == 0));
        run->let_in &= !action->initial;
        break;
    case SMTP_WANT_XCLIENT:
        return smtp_session_xclient(run->session, SMTP_XCLIENT_HELO)->text.len % 2 ? 'r' : 'a';
    case SMTP_WANT_RESOLVE:
    case SMTP_WANT_GREET:
        break;
    }
    return action->bytes.len > 0 ? action->bytes.at[0] : 0;
}

static void drain(struct run *run)
{
    struct smtp_action action;

    while (smtp_session_next(run->session, &action)) {
        uint8_t key = act(run, &action);
        if (action.want == SMTP_WANT_START_TLS) {
            run->let_in = false;
            smtp_session_tls_started(run->session);
        }
        if (action.ticket == 0)
            continue;
        CHECK(run->question_count < QUESTIONS_MAX);
        run->questions[run->question_count++] = (struct question){
            .ticket = action.ticket,
            .want = action.want,
            .key = key,
            .has_response = action.has_response,
        };
        run->asked |= action.want != SMTP_WANT_RESOLVE;
        if (run->random == 0)
            answer(run, run->question_count - 1);
    }
}

static bool step(struct run *run)
{
    if (run->random != 0 && run->question_count > 0 && draw(run, 3) == 0) {
        answer(run, draw(run, run->question_count));
        drain(run);
        return true;
    }
    struct bytes piece = bytes_skip(run->input, run->consumed);
    if (run->random != 0 && piece.len > 1)
        piece.len = draw(run, piece.len < 40 ? (unsigned)piece.len : 40) + 1;
    bool asked = run->asked;
    size_t used = smtp_session_feed(run->session, piece);
    CHECK(used <= piece.len && (used == 0 || !asked));
    run->consumed += used;
    drain(run);
    if (used == 0 && run->question_count > 0) {
        answer(run, 0);
        drain(run);
        return true;
    }
    CHECK(used > 0 || piece.len == 0 || run->closed);
    return used > 0;
}

static struct buffer play(const struct smtp_run_setup *setup, struct bytes input,
                          unsigned random)
{
    struct run run = {
        .setup = setup,
        .session = smtp_session_new(&setup->config, &setup->connection),
        .random = random,
        .input = input,
    };

    drain(&run);
    while (!run.closed && step(&run))
        ;
    if (setup->choices & 64)
        smtp_session_time_out(run.session);
    else
        smtp_session_go_down(run.session);
    drain(&run);
    smtp_session_free(&run.session);
    buffer_fini(&run.body);
    return run.seen;
}

void smtp_run_compare(const struct smtp_run_setup *setup, struct bytes input)
{
    struct buffer whole = play(setup, input, 0);
    struct buffer cut = play(setup, input, setup->seed * 2U + 2);

    if (!bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)))
        fprintf(stderr, "whole:\n%.*s\ncut:\n%.*s\n", BYTES_ARG(buffer_bytes(&whole)),
                BYTES_ARG(buffer_bytes(&cut)));
    CHECK(bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)));
    buffer_fini(&whole);
    buffer_fini(&cut);
}
