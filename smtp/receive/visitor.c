/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/receive/visitor.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "smtp/receive/lines.h"

static void log_refusal(const struct visitor *visitor, const char *event)
{
    log_info(NULL, event,
             LOG_FIELDS(LOG_U64("conn", conn_id(visitor->conn)),
                        LOG_TEXT("peer", visitor_peer(visitor))));
}

static void begin_message(struct visitor *visitor, uint64_t ticket)
{
    struct message *message = message_begin(visitor);

    visitor->message = message;
    if (message != NULL)
        smtp_session_begun(visitor->session, ticket, ERR_OK, message_trace_id(message));
    else
        smtp_session_begun(visitor->session, ticket, ERR_BUSY, "");
}

const char *visitor_peer(const struct visitor *visitor)
{
    return visitor->xclient_peer[0] != '\0' ? visitor->xclient_peer
                                            : conn_peer_address(visitor->conn);
}

static void guard_open(struct visitor *visitor);
static void policy_open(struct visitor *visitor, const struct address *client);

/* Whoever was logged in is not any more. */
static void expect_login(struct visitor *visitor)
{
    if (visitor->login != NULL)
        login_forget(visitor->login);
    conn_hold_secrets(visitor->conn, visitor->login != NULL);
}

/* A proxy of ours says for whom it speaks. A log-in that it vouches for is not taken over: what
 * an account may do is decided by the store, from a log-in of its own. */
static void take_xclient(struct visitor *visitor, uint64_t ticket)
{
    const struct smtp_xclient_value *said =
        smtp_session_xclient(visitor->session, SMTP_XCLIENT_ADDR);
    struct bytes text = said->text;
    struct address address;

    if (said->said == SMTP_XCLIENT_SAID) {
        if (bytes_start_nocase(text, BYTES("IPV6:")))
            text = bytes_skip(text, 5);
        if (address_parse(text, &address)) {
            lines_end(visitor);
            address_text(&address, visitor->xclient_peer);
            policy_open(visitor, &address);
        }
        guard_free(&visitor->guard);
        guard_open(visitor);
    }
    expect_login(visitor);
    smtp_session_xclient_taken(visitor->session, ticket, 0, bytes_from(NULL, 0));
}

struct smtp_refusal visitor_refusal(const struct firewall_verdict *verdict)
{
    return (struct smtp_refusal){verdict->code, verdict->status, verdict->reply,
                                 verdict->close};
}

static void on_greet(void *context)
{
    struct visitor *visitor = context;

    smtp_session_allowed(visitor->session, visitor->greet_ticket);
    visitor_continue(visitor);
}

/* Who is not known waits for the greeting; who does not wait shows what it is. */
static bool policy_greets(struct visitor *visitor)
{
    return visitor->policy == NULL || policy_client_greet(visitor->policy, on_greet, visitor);
}

static void on_greet_delayed(void *context)
{
    struct visitor *visitor = context;

    if (policy_greets(visitor))
        on_greet(visitor);
}

/* The last places are for those who are known. */
static bool has_no_place(const struct visitor *visitor)
{
    return conn_is_crowded(visitor->conn) && !guard_knows(visitor->guard) &&
           (visitor->policy == NULL || !policy_client_is_familiar(visitor->policy));
}

static void greet(struct visitor *visitor, uint64_t ticket)
{
    static const struct smtp_refusal crowded = {421, "4.3.2",
                                                "Too many connections, try again later", true};
    struct firewall_verdict verdict = guard_opened(visitor->guard);

    visitor->greet_ticket = ticket;
    if (has_no_place(visitor)) {
        smtp_session_refused(visitor->session, ticket, &crowded);
    } else if (verdict.action == FIREWALL_DELAY) {
        guard_delay(visitor->guard, verdict.delay_ms, on_greet_delayed, visitor);
    } else if (verdict.action == FIREWALL_PASS) {
        if (policy_greets(visitor))
            smtp_session_allowed(visitor->session, ticket);
    } else {
        const struct smtp_refusal refusal = visitor_refusal(&verdict);
        log_refusal(visitor, "refused by the firewall");
        smtp_session_refused(visitor->session, ticket, &refusal);
    }
}

/* Who has guessed too much costs no more hashes. */
static void log_in(struct visitor *visitor, const struct smtp_action *action)
{
    static const struct smtp_auth_answer too_many = {.result = SMTP_AUTH_TOO_MANY};
    struct firewall_verdict verdict = guard_may_log_in(visitor->guard);

    if (verdict.action == FIREWALL_PASS)
        login_step(visitor->login, action);
    else
        smtp_session_authenticated(visitor->session, action->ticket, &too_many);
}

static void perform(struct visitor *visitor, const struct smtp_action *action)
{
    switch (action->want) {
    case SMTP_WANT_WRITE:
        conn_write(visitor->conn, action->bytes);
        visitor->phase_ms = clock_monotonic_ms();
        break;
    case SMTP_WANT_GREET:
        greet(visitor, action->ticket);
        break;
    case SMTP_WANT_XCLIENT:
        take_xclient(visitor, action->ticket);
        break;
    case SMTP_WANT_SENDER:
        sender_ask(visitor, action);
        break;
    case SMTP_WANT_AUTH:
        log_in(visitor, action);
        break;
    case SMTP_WANT_RESOLVE:
        lookup_start(visitor, action);
        break;
    case SMTP_WANT_BEGIN:
        begin_message(visitor, action->ticket);
        break;
    case SMTP_WANT_BODY:
        message_add(visitor->message, action->bytes);
        break;
    case SMTP_WANT_COMMIT:
        message_commit(visitor->message, action->ticket);
        break;
    case SMTP_WANT_ABORT:
        message_abort(visitor->message, action->refusal);
        break;
    case SMTP_WANT_START_TLS:
        visitor->start_tls = true;
        break;
    case SMTP_WANT_CLOSE:
        visitor_cut(visitor);
        break;
    }
}

/* Returns false when the visitor is leaving, and may be gone already. */
static bool act(struct visitor *visitor)
{
    struct smtp_action action;

    visitor->acting = true;
    while (smtp_session_next(visitor->session, &action)) {
        perform(visitor, &action);
        if (action.want == SMTP_WANT_CLOSE)
            return false;
    }
    visitor->acting = false;
    return true;
}

static bool blocked(const struct visitor *visitor)
{
    return conn_full(visitor->conn) ||
           (visitor->message != NULL && message_full(visitor->message));
}

void visitor_cut(struct visitor *visitor)
{
    if (visitor->closing)
        return;
    visitor->closing = true;
    conn_close(visitor->conn);
}

void visitor_continue(struct visitor *visitor)
{
    /* An answer that came at once is gone on with by who asked. */
    if (!visitor->closing && !visitor->acting && act(visitor))
        conn_resume(visitor->conn);
}

/* ---- what a connection asks of its protocol ---- */

static const char *login_peer(void *context)
{
    return visitor_peer(context);
}

static void on_login_answered(void *context)
{
    struct visitor *visitor = context;

    conn_hold_secrets(visitor->conn, !smtp_session_envelope(visitor->session)->authenticated);
    visitor_continue(visitor);
}

static void on_login_delayed(void *context)
{
    struct visitor *visitor = context;
    login_release(visitor->login);
}

static enum login_tried on_login_tried(void *context, bool right, uint64_t account,
                                       uint32_t secret)
{
    struct visitor *visitor = context;
    struct firewall_verdict verdict = guard_tell(
        visitor->guard, right ? FIREWALL_LOGIN : FIREWALL_LOGIN_FAILED, account, secret);

    switch (verdict.action) {
    case FIREWALL_PASS:
        return LOGIN_GOES_ON;
    case FIREWALL_DELAY:
        guard_delay(visitor->guard, verdict.delay_ms, on_login_delayed, visitor);
        return LOGIN_HELD;
    default:
        log_refusal(visitor, "log-in ended by the firewall");
        return LOGIN_TOO_MANY;
    }
}

static void guard_open(struct visitor *visitor)
{
    const struct guard_config config = {
        .link = visitor->receive->config.firewall,
        .loop = visitor->receive->config.loop,
        .peer = visitor_peer(visitor),
        .service = visitor->login != NULL ? FIREWALL_SUBMISSION : FIREWALL_SMTP,
    };

    if (visitor->port->protocol.service != SMTP_SERVICE_LMTP)
        visitor->guard = guard_new(&config);
}

static void login_open(struct visitor *visitor)
{
    const struct receive_config *receive = &visitor->receive->config;
    const struct login_config config = {
        .store = receive->store,
        .conn = visitor->conn,
        .session = visitor->session,
        .peer = login_peer,
        .step_ms = receive->times->login_ms,
        .tried = on_login_tried,
        .answered = on_login_answered,
        .context = visitor,
    };

    visitor->login = login_new(&config);
    conn_hold_secrets(visitor->conn, true);
}

static bool comes_from(const struct conn *conn, const struct config_prefixes *networks)
{
    const struct address *peer = conn_peer(conn);

    for (unsigned i = 0; networks != NULL && peer != NULL && i < networks->count; i++)
        if (address_in(peer, &networks->at[i]))
            return true;
    return false;
}

static void policy_open(struct visitor *visitor, const struct address *client)
{
    struct policy *policy = visitor->receive->config.policy;

    policy_client_free(&visitor->policy);
    if (policy != NULL && visitor->port->protocol.service == SMTP_SERVICE_MX)
        visitor->policy = policy_client_new(policy, client, conn_id(visitor->conn));
}

/* Hosts that speak for others are ours, until they name a client. */
static bool is_of_world(const struct visitor *visitor)
{
    const struct receive_config *config = &visitor->receive->config;

    return conn_peer(visitor->conn) != NULL &&
           !comes_from(visitor->conn, config->xclient_networks) &&
           (conn_proxy_address(visitor->conn)[0] != '\0' ||
            !comes_from(visitor->conn, config->proxy_networks));
}

static void *visitor_open(void *server, struct conn *conn)
{
    const struct port *port = server;
    struct receive *receive = port->receive;
    struct visitor *visitor = calloc(1, sizeof(*visitor));
    const struct smtp_connection connection = {
        .tls = conn_has_tls(conn),
        .xclient = comes_from(conn, receive->config.xclient_networks),
        .now_s = (int64_t)(clock_wall_ms() / 1000),
        .refused = lines_refused,
        .context = visitor,
    };

    CHECK(visitor != NULL);
    *visitor = (struct visitor){
        .receive = receive,
        .port = port,
        .next = receive->visitors,
        .self = &receive->visitors,
        .conn = conn,
        .protocol = receive_protocol(port),
    };
    visitor->session = smtp_session_new(&visitor->protocol, &connection);
    destinations_init(&visitor->destinations);
    if (port->protocol.service == SMTP_SERVICE_SUBMISSION)
        login_open(visitor);
    guard_open(visitor);
    if (is_of_world(visitor))
        policy_open(visitor, conn_peer(conn));
    if (visitor->next != NULL)
        visitor->next->self = &visitor->next;
    receive->visitors = visitor;
    act(visitor);
    return visitor;
}

static void start_tls(struct visitor *visitor, bool more)
{
    visitor->start_tls = false;
    /* Bytes behind the command were sent in the clear, maybe by somebody in between (RFC 3207
     * section 6). */
    if (more || conn_start_tls(visitor->conn) != ERR_OK) {
        log_refusal(visitor, "input behind STARTTLS, connection dropped");
        visitor_cut(visitor);
    }
}

static size_t visitor_feed(void *context, struct bytes input)
{
    struct visitor *visitor = context;
    size_t used = 0;

    while (used < input.len && !visitor->closing && !blocked(visitor)) {
        size_t taken = smtp_session_feed(visitor->session, bytes_skip(input, used));
        used += taken;
        if (!act(visitor))
            return used;
        if (visitor->start_tls) {
            start_tls(visitor, used < input.len);
            return used;
        }
        if (taken == 0)
            break;
    }
    return used;
}

static void visitor_tls_started(void *context)
{
    struct visitor *visitor = context;

    smtp_session_tls_started(visitor->session);
    expect_login(visitor);
    visitor->phase_ms = clock_monotonic_ms();
    visitor_continue(visitor);
}

/* The client's silence counts only while it is its turn: to send, or to read what we wrote. */
static bool is_its_turn(const struct visitor *visitor)
{
    return !visitor->closing && !smtp_session_waiting(visitor->session) &&
           (visitor->message == NULL || !message_full(visitor->message));
}

static void visitor_idle(void *context)
{
    struct visitor *visitor = context;

    if (is_its_turn(visitor)) {
        smtp_session_time_out(visitor->session);
        act(visitor);
    } else if (!visitor->closing) {
        conn_set_idle(visitor->conn, visitor->receive->config.times->idle_ms);
    }
}

static void visitor_writable(void *context)
{
    struct visitor *visitor = context;

    if (!visitor->closing)
        conn_resume(visitor->conn);
}

static void visitor_closed(void *context)
{
    struct visitor *visitor = context;
    struct receive *receive = visitor->receive;

    if (smtp_session_early(visitor->session))
        guard_tell(visitor->guard, FIREWALL_EARLY_TALK, 0, 0);
    else if (smtp_session_breached(visitor->session))
        guard_tell(visitor->guard, FIREWALL_PROTOCOL_ERROR, 0, 0);
    /* It did not wait to hear whether it was right, but it was looked up, and hashed. */
    if (visitor->login != NULL && login_waits(visitor->login))
        guard_tell(visitor->guard, FIREWALL_LOGIN_FAILED, 0, 0);
    guard_free(&visitor->guard);
    lines_end(visitor);
    lookup_cancel_all(visitor);
    rights_cancel(&visitor->rights);
    if (visitor->message != NULL)
        message_leave(visitor->message); /* which policy may be looking at */
    policy_client_free(&visitor->policy);
    login_free(&visitor->login); /* unless the message still needs it */
    *visitor->self = visitor->next;
    if (visitor->next != NULL)
        visitor->next->self = visitor->self;
    smtp_session_free(&visitor->session);
    destinations_fini(&visitor->destinations);
    free(visitor);
    receive_left(receive);
}

/*
 * A byte every few seconds keeps the idle timer quiet for ever: so a command has its time in
 * all, and a message a least speed.
 */
void visitor_sweep(struct visitor *visitor, uint64_t now_ms)
{
    const struct receive_times *times = visitor->receive->config.times;
    uint64_t allowed_ms = times->command_ms;
    uint64_t since_ms = visitor->phase_ms;

    if (!is_its_turn(visitor)) {
        visitor->phase_ms = now_ms;
        return;
    }
    if (visitor->message != NULL) {
        since_ms = message_began_ms(visitor->message);
        allowed_ms =
            times->data_grace_ms + message_size(visitor->message) * 1000 / times->data_rate_min;
    }
    if (now_ms <= since_ms || now_ms - since_ms <= allowed_ms)
        return;
    log_refusal(visitor, "client is too slow");
    smtp_session_time_out(visitor->session);
    act(visitor);
}

const struct conn_protocol visitor_protocol = {
    .open = visitor_open,
    .feed = visitor_feed,
    .tls_started = visitor_tls_started,
    .idle = visitor_idle,
    .writable = visitor_writable,
    .closed = visitor_closed,
};
