/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/path.h"
#include "smtp/protocol/schedule.h"
#include "smtp/protocol/session_state.h"
#include "smtp/protocol/xtext.h"

/* The parameters of MAIL and RCPT that extensions have added (RFC 5321 section 4.1.1.11). */

/* What is filled in: the envelope for MAIL, the recipient for RCPT. */
struct target {
    struct arena *arena;
    struct smtp_envelope *envelope;
    struct smtp_recipient *recipient;
};

static bool always(const struct smtp_session *session)
{
    (void)session;
    return true;
}

static bool auth_taken(const struct smtp_session *session)
{
    return session->trusted || session->config->service == SMTP_SERVICE_SUBMISSION;
}

static enum smtp_reply take_size(struct smtp_session *session, struct target *target,
                                 struct bytes value)
{
    uint64_t size;

    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            return SMTP_REPLY_PARAMETER_SYNTAX;
    if (value.len == 0)
        return SMTP_REPLY_PARAMETER_SYNTAX;
    /* Digits alone, but no number: larger than any. */
    if (!bytes_to_u64(value, &size) || size > session->config->message_size_max)
        return SMTP_REPLY_SIZE_DECLARED;
    target->envelope->size = size;
    return SMTP_REPLY_OK;
}

static enum smtp_reply take_body(struct smtp_session *session, struct target *target,
                                 struct bytes value)
{
    struct smtp_envelope *envelope = target->envelope;

    envelope->body_8bit = bytes_equal_nocase(value, BYTES("8BITMIME"));
    envelope->body_binary =
        session->config->binarymime && bytes_equal_nocase(value, BYTES("BINARYMIME"));
    if (envelope->body_8bit || envelope->body_binary ||
        bytes_equal_nocase(value, BYTES("7BIT")))
        return SMTP_REPLY_OK;
    return SMTP_REPLY_PARAMETER_SYNTAX;
}

static enum smtp_reply take_utf8(struct smtp_session *session, struct target *target,
                                 struct bytes value)
{
    (void)session;
    (void)value;
    target->envelope->utf8 = true;
    return SMTP_REPLY_OK;
}

static enum smtp_reply take_ret(struct smtp_session *session, struct target *target,
                                struct bytes value)
{
    (void)session;
    if (bytes_equal_nocase(value, BYTES("FULL")))
        target->envelope->dsn_return = SMTP_RETURN_FULL;
    else if (bytes_equal_nocase(value, BYTES("HDRS")))
        target->envelope->dsn_return = SMTP_RETURN_HEADERS;
    else
        return SMTP_REPLY_PARAMETER_SYNTAX;
    return SMTP_REPLY_OK;
}

static enum smtp_reply take_envid(struct smtp_session *session, struct target *target,
                                  struct bytes value)
{
    bool fine = value.len > 0 && value.len <= SMTP_ENVID_SIZE_MAX &&
                smtp_xtext_decode(value, target->arena, &target->envelope->envelope_id);

    (void)session;
    return fine ? SMTP_REPLY_OK : SMTP_REPLY_PARAMETER_SYNTAX;
}

/* RFC 4954 section 5. Believed of those alone who are trusted; the rest says nothing. */
static enum smtp_reply take_auth(struct smtp_session *session, struct target *target,
                                 struct bytes value)
{
    struct bytes identity;
    struct mail_path path;

    if (value.len > SMTP_AUTH_IDENTITY_SIZE_MAX ||
        !smtp_xtext_decode(value, target->arena, &identity))
        return SMTP_REPLY_PARAMETER_SYNTAX;
    if (!bytes_equal(identity, BYTES("<>")) &&
        mail_address_parse(identity, target->arena, &path) != ERR_OK)
        return SMTP_REPLY_PARAMETER_SYNTAX;
    if (session->trusted)
        target->envelope->auth_identity = identity;
    return SMTP_REPLY_OK;
}

static enum smtp_reply take_notify(struct smtp_session *session, struct target *target,
                                   struct bytes value)
{
    static const struct {
        struct bytes name;
        unsigned bit;
    } conditions[] = {
        {BYTES_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
        {BYTES_INIT("FAILURE"), SMTP_NOTIFY_FAILURE},
        {BYTES_INIT("DELAY"), SMTP_NOTIFY_DELAY},
    };
    unsigned *notify = &target->recipient->notify;

    (void)session;
    if (bytes_equal_nocase(value, BYTES("NEVER"))) {
        *notify = SMTP_NOTIFY_NEVER;
        return SMTP_REPLY_OK;
    }
    for (;;) {
        size_t len = bytes_find(value, ',');
        struct bytes name = {value.at, len};
        unsigned bit = 0;
        for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
            if (bytes_equal_nocase(name, conditions[i].name))
                bit = conditions[i].bit;
        if (bit == 0)
            return SMTP_REPLY_PARAMETER_SYNTAX;
        *notify |= bit;
        if (len == value.len)
            return SMTP_REPLY_OK;
        value = bytes_skip(value, len + 1);
    }
}

static bool is_type(struct bytes type)
{
    for (size_t i = 0; i < type.len; i++)
        if (type.at[i] <= ' ' || type.at[i] >= 127 ||
            strchr("()<>[]:;@\\,.\"", type.at[i]) != NULL)
            return false;
    return type.len > 0;
}

static enum smtp_reply take_orcpt(struct smtp_session *session, struct target *target,
                                  struct bytes value)
{
    size_t len = bytes_find(value, ';');
    struct bytes type = {value.at, len};
    struct bytes text = bytes_skip(value, len + 1);
    struct smtp_recipient *recipient = target->recipient;
    bool utf8 = bytes_equal_nocase(type, BYTES("utf-8"));

    if (value.len > SMTP_ORCPT_SIZE_MAX || text.len == 0 || !is_type(type))
        return SMTP_REPLY_PARAMETER_SYNTAX;
    bool fine = utf8 ? smtp_unitext_decode(text, session->envelope.utf8, target->arena,
                                           &recipient->original_address)
                     : smtp_xtext_decode(text, target->arena, &recipient->original_address);
    if (!fine)
        return SMTP_REPLY_PARAMETER_SYNTAX;
    recipient->original_type = arena_copy(target->arena, type);
    return SMTP_REPLY_OK;
}

static enum smtp_reply take_requiretls(struct smtp_session *session, struct target *target,
                                       struct bytes value)
{
    (void)session;
    (void)value;
    target->envelope->requiretls = true;
    return SMTP_REPLY_OK;
}

static bool is_held(const struct smtp_envelope *envelope)
{
    return envelope->hold_for_s != 0 || envelope->hold_until_s != 0;
}

static enum smtp_reply take_hold_for(struct smtp_session *session, struct target *target,
                                     struct bytes value)
{
    uint32_t seconds;

    if (is_held(target->envelope) || !smtp_interval_parse(value, &seconds))
        return SMTP_REPLY_PARAMETER_SYNTAX;
    if (seconds > session->config->hold_max_s)
        return SMTP_REPLY_HOLD_TOO_LONG;
    target->envelope->hold_for_s = seconds;
    return SMTP_REPLY_OK;
}

static enum smtp_reply take_hold_until(struct smtp_session *session, struct target *target,
                                       struct bytes value)
{
    int64_t seconds;

    if (is_held(target->envelope) || !smtp_date_time_parse(value, &seconds) ||
        seconds <= session->now_s)
        return SMTP_REPLY_PARAMETER_SYNTAX;
    if (seconds - session->now_s > (int64_t)session->config->hold_max_s)
        return SMTP_REPLY_HOLD_TOO_LONG;
    target->envelope->hold_until_s = seconds;
    return SMTP_REPLY_OK;
}

static enum smtp_reply take_by(struct smtp_session *session, struct target *target,
                               struct bytes value)
{
    (void)session;
    return smtp_deliver_by_parse(value, &target->envelope->deliver_by)
               ? SMTP_REPLY_OK
               : SMTP_REPLY_PARAMETER_SYNTAX;
}

/* `offered`: elsewhere the parameter is not known. FLAG has no value, any other needs one. */
enum value { VALUE, FLAG };

static const struct parameter {
    struct bytes name;
    enum value value;
    bool (*offered)(const struct smtp_session *session);
    enum smtp_reply (*take)(struct smtp_session *session, struct target *target,
                            struct bytes value);
} mail_parameters[] =
    {
        {BYTES_INIT("SIZE"), VALUE, always, take_size},
        {BYTES_INIT("BODY"), VALUE, always, take_body},
        {BYTES_INIT("SMTPUTF8"), FLAG, smtp_utf8_offered, take_utf8},
        {BYTES_INIT("RET"), VALUE, smtp_dsn_offered, take_ret},
        {BYTES_INIT("ENVID"), VALUE, smtp_dsn_offered, take_envid},
        {BYTES_INIT("AUTH"), VALUE, auth_taken, take_auth},
        {BYTES_INIT("REQUIRETLS"), FLAG, smtp_requiretls_offered, take_requiretls},
        {BYTES_INIT("HOLDFOR"), VALUE, smtp_hold_offered, take_hold_for},
        {BYTES_INIT("HOLDUNTIL"), VALUE, smtp_hold_offered, take_hold_until},
        {BYTES_INIT("BY"), VALUE, smtp_deliver_by_offered, take_by},
},
  rcpt_parameters[] = {
      {BYTES_INIT("NOTIFY"), VALUE, smtp_dsn_offered, take_notify},
      {BYTES_INIT("ORCPT"), VALUE, smtp_dsn_offered, take_orcpt},
};

/* One "NAME=VALUE"; `seen` has a bit for each row of the table. */
static enum smtp_reply take_one(struct smtp_session *session, const struct parameter *table,
                                size_t count, struct bytes word, struct target *target,
                                unsigned *seen)
{
    size_t equals = bytes_find(word, '=');
    struct bytes name = {word.at, equals};

    for (size_t i = 0; i < count; i++) {
        if (!bytes_equal_nocase(name, table[i].name) || !table[i].offered(session))
            continue;
        if (*seen & 1U << i || (equals == word.len) != (table[i].value == FLAG))
            return SMTP_REPLY_PARAMETER_SYNTAX;
        *seen |= 1U << i;
        return table[i].take(session, target, bytes_skip(word, equals + 1));
    }
    return SMTP_REPLY_PARAMETER_UNKNOWN;
}

static enum smtp_reply take_all(struct smtp_session *session, const struct parameter *table,
                                size_t count, struct bytes args, struct target *target)
{
    unsigned seen = 0;

    while (args.len > 0) {
        struct bytes word = bytes_take_word(&args);
        enum smtp_reply reply = SMTP_REPLY_PARAMETER_UNKNOWN;
        if (word.len == 0)
            continue;
        if (session->envelope.extended)
            reply = take_one(session, table, count, word, target, &seen);
        if (reply != SMTP_REPLY_OK)
            return reply;
    }
    return SMTP_REPLY_OK;
}

/* BY counts from this command on (RFC 2852 section 4), whatever is held: what is to be returned
 * before it is released would only come back. */
static bool held_too_long(const struct smtp_session *session)
{
    const struct smtp_envelope *envelope = &session->envelope;
    const struct smtp_deliver_by *by = &envelope->deliver_by;
    int64_t hold_s = envelope->hold_for_s;

    if (envelope->hold_until_s != 0)
        hold_s = envelope->hold_until_s - session->now_s;
    return hold_s != 0 && by->returns && by->seconds <= hold_s;
}

enum smtp_reply smtp_parameters_mail(struct smtp_session *session, struct bytes args)
{
    struct target target = {
        .arena = &session->transaction_arena,
        .envelope = &session->envelope,
    };
    enum smtp_reply reply =
        take_all(session, mail_parameters, sizeof(mail_parameters) / sizeof(mail_parameters[0]),
                 args, &target);

    return reply == SMTP_REPLY_OK && held_too_long(session) ? SMTP_REPLY_HOLD_TOO_LONG : reply;
}

enum smtp_reply smtp_parameters_rcpt(struct smtp_session *session, struct bytes args,
                                     struct arena *arena, struct smtp_recipient *recipient)
{
    struct target target = {.arena = arena, .recipient = recipient};

    return take_all(session, rcpt_parameters,
                    sizeof(rcpt_parameters) / sizeof(rcpt_parameters[0]), args, &target);
}
