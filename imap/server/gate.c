/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "imap/server/internal.h"
#include "node/base/log.h"
#include "node/firewall/digest.h"

/* The firewall's verdicts (node/firewall), in words of IMAP. */

static struct imap_verdict verdict_of(const struct firewall_verdict *verdict)
{
    switch (verdict->action) {
    case FIREWALL_DEFER: /* too much of something, for now (RFC 5530) */
        return (struct imap_verdict){.code = "LIMIT", .text = verdict->reply};
    case FIREWALL_REFUSE:
        return (struct imap_verdict){.code = "CONTACTADMIN", .text = verdict->reply};
    case FIREWALL_DELAY:
        return (struct imap_verdict){.delay_ms = verdict->delay_ms};
    default:
        return (struct imap_verdict){.text = NULL};
    }
}

static void log_refusal(const struct imap_connection *connection, const char *event)
{
    log_info(NULL, event,
             LOG_FIELDS(LOG_U64("conn", conn_id(connection->conn)),
                        LOG_TEXT("peer", conn_peer_address(connection->conn))));
}

static void end(struct imap_connection *connection, const struct imap_verdict *verdict)
{
    char reason[256];

    snprintf(reason, sizeof(reason), "[%s] %s", verdict->code, verdict->text);
    log_refusal(connection, "refused by the firewall");
    imap_connection_end(connection, reason);
}

static void on_greet(void *context)
{
    struct imap_connection *connection = context;

    connection->held = false;
    imap_session_greet(connection->session);
    imap_connection_pump(connection);
}

void imap_gate_open(struct imap_connection *connection)
{
    struct imap_server *server = connection->server;
    const struct guard_config config = {
        .link = server->firewall,
        .loop = server->loop,
        .peer = conn_peer_address(connection->conn),
        .service = FIREWALL_IMAP,
    };

    connection->guard = guard_new(&config);
    const struct firewall_verdict opened = guard_opened(connection->guard);
    const struct imap_verdict verdict = verdict_of(&opened);
    if (verdict.text != NULL) {
        end(connection, &verdict);
    } else if (verdict.delay_ms > 0) {
        connection->held = true;
        guard_delay(connection->guard, verdict.delay_ms, on_greet, connection);
    } else {
        imap_session_greet(connection->session);
    }
}

void imap_gate_close(struct imap_connection *connection)
{
    /* It did not wait to hear whether it was right, but it was looked up, and hashed. */
    if (imap_session_logs_in(connection->session))
        guard_tell(connection->guard, FIREWALL_LOGIN_FAILED, 0, 0);
    guard_free(&connection->guard);
}

static void on_held_enough(void *context)
{
    struct imap_connection *connection = context;

    connection->held = false;
    conn_resume(connection->conn);
}

void imap_gate_tell(struct imap_connection *connection, enum firewall_event event)
{
    const struct firewall_verdict said = guard_tell(connection->guard, event, 0, 0);
    const struct imap_verdict verdict = verdict_of(&said);

    if (verdict.text != NULL) {
        connection->sentence = verdict;
    } else if (verdict.delay_ms > 0 && !connection->held && !connection->guard_delays) {
        connection->held = true;
        guard_delay(connection->guard, verdict.delay_ms, on_held_enough, connection);
    }
}

void imap_gate_carry_out(struct imap_connection *connection)
{
    const struct imap_verdict sentence = connection->sentence;

    connection->sentence = (struct imap_verdict){.text = NULL};
    if (sentence.text != NULL)
        end(connection, &sentence);
}

static uint32_t secret_of(struct bytes digest)
{
    uint32_t secret = 0;

    if (digest.len < sizeof(secret))
        return 0;
    memcpy(&secret, digest.at, sizeof(secret));
    return secret % FIREWALL_SECRET_MAX + 1;
}

struct imap_verdict imap_gate_judge(void *owner, enum imap_attempt attempt, uint64_t account,
                                    struct bytes secret)
{
    struct imap_connection *connection = owner;
    struct firewall_verdict said;

    if (attempt == IMAP_ATTEMPT_TRIES)
        said = guard_may_log_in(connection->guard);
    else
        said =
            guard_tell(connection->guard,
                       attempt == IMAP_ATTEMPT_RIGHT ? FIREWALL_LOGIN : FIREWALL_LOGIN_FAILED,
                       account, secret_of(secret));
    const struct imap_verdict verdict = verdict_of(&said);
    connection->guard_delays = verdict.delay_ms > 0;
    if (verdict.text != NULL)
        log_refusal(connection, "log-in ended by the firewall");
    return verdict;
}
