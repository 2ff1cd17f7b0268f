/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "unit/smtp/play.h"

/* Mechanisms of the tests; see play.h. */

static struct smtp_auth_answer done(struct bytes last)
{
    return (struct smtp_auth_answer){
        .result = SMTP_AUTH_DONE,
        .bytes = last,
        .account_id = 1,
        .login = BYTES("y@here.test"),
    };
}

static struct smtp_auth_answer more(struct bytes challenge)
{
    return (struct smtp_auth_answer){.result = SMTP_AUTH_CONTINUE, .bytes = challenge};
}

static struct smtp_auth_answer ended(enum smtp_auth_result result)
{
    return (struct smtp_auth_answer){.result = result};
}

static struct smtp_auth_answer plain(const struct play_question *question, struct bytes text)
{
    if (!question->has_response)
        return more(BYTES(""));
    return bytes_equal(text, BYTES("\0y\0secret")) ? done(BYTES("")) : ended(SMTP_AUTH_REFUSED);
}

static struct smtp_auth_answer login(struct play *play, const struct play_question *question,
                                     struct bytes text)
{
    if (!question->has_response)
        return more(BYTES("Username:"));
    if (play->auth_step++ == 0) {
        CHECK(text.len < sizeof(play->auth_user));
        memcpy(play->auth_user, text.at, text.len);
        play->auth_user[text.len] = '\0';
        return more(BYTES("Password:"));
    }
    return strcmp(play->auth_user, "y") == 0 && bytes_equal(text, BYTES("secret"))
               ? done(BYTES(""))
               : ended(SMTP_AUTH_REFUSED);
}

static struct smtp_auth_answer final(const struct play_question *question, struct bytes text)
{
    if (question->initial)
        return bytes_equal(text, BYTES("first")) ? more(BYTES("more"))
                                                 : ended(SMTP_AUTH_MALFORMED);
    return bytes_equal(text, BYTES("second")) ? done(BYTES("last")) : ended(SMTP_AUTH_REFUSED);
}

static struct smtp_auth_answer result(struct bytes text)
{
    static const struct {
        struct bytes name;
        enum smtp_auth_result result;
    } results[] = {
        {BYTES_INIT("temporary"), SMTP_AUTH_TEMPORARY},
        {BYTES_INIT("weak"), SMTP_AUTH_WEAK},
        {BYTES_INIT("tls"), SMTP_AUTH_NEEDS_TLS},
        {BYTES_INIT("transition"), SMTP_AUTH_TRANSITION},
        {BYTES_INIT("malformed"), SMTP_AUTH_MALFORMED},
        {BYTES_INIT("many"), SMTP_AUTH_TOO_MANY},
    };

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (bytes_equal(text, results[i].name))
            return ended(results[i].result);
    return ended(SMTP_AUTH_REFUSED);
}

void play_answer_auth(struct play *play, const struct play_question *question)
{
    static const struct smtp_refusal blocked = {550, "5.7.1", "Account is locked", false};
    struct bytes text = bytes_from(question->text, question->text_len);
    struct smtp_auth_answer answer;

    if (question->initial) {
        play->auths++;
        play->auth_step = 0;
    }
    if (strcmp(question->mechanism, "PLAIN") == 0)
        answer = plain(question, text);
    else if (strcmp(question->mechanism, "LOGIN") == 0)
        answer = login(play, question, text);
    else if (strcmp(question->mechanism, "FINAL") == 0)
        answer = final(question, text);
    else
        answer = result(text);
    if (bytes_equal(text, BYTES("locked")))
        smtp_session_refused(play->session, question->ticket, &blocked);
    else
        smtp_session_authenticated(play->session, question->ticket, &answer);
}
