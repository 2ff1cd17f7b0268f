/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/receive/receive.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "smtp/protocol/limits.h"
#include "smtp/receive/visitor.h"
#include "storage/schema/settings.h"

const struct receive_times receive_times_default = {
    .idle_ms = 300 * 1000,
    .command_ms = 300 * 1000,
    .data_grace_ms = 300 * 1000,
    .data_rate_min = 256,
    .sweep_ms = 5000,
    .lookup_ms = 10 * 1000,
    .login_ms = 30 * 1000,
    .upload_ms = 15 * 1000,
    .commit_ms = 30 * 1000,
    .stop_ms = 10 * 1000,
};

static void on_sweep(void *context)
{
    struct receive *receive = context;
    uint64_t now_ms = clock_monotonic_ms();

    for (struct visitor *visitor = receive->visitors, *next; visitor != NULL; visitor = next) {
        next = visitor->next;
        visitor_sweep(visitor, now_ms);
    }
}

static void port_init(struct receive *receive, enum smtp_service service)
{
    const struct receive_config *config = &receive->config;
    struct port *port = &receive->ports[service];
    bool submission = service == SMTP_SERVICE_SUBMISSION;
    unsigned recipients_max =
        submission ? config->submission_recipients_max : config->recipients_max;

    port->receive = receive;
    port->protocol = (struct smtp_config){
        .service = service,
        .hostname = config->hostname,
        .message_size_max = config->message_bytes_max,
        .recipients_max =
            recipients_max < DELIVER_RECIPIENTS_MAX ? recipients_max : DELIVER_RECIPIENTS_MAX,
        .data_line_size_max = SMTP_DATA_LINE_SIZE_MAX,
        .errors_max = SMTP_ERRORS_MAX,
        .starttls = config->tls != NULL,
        .tls_required = submission,
        .auth_tls = submission ? LOGIN_MECHANISMS_TLS : NULL,
        .auth_failures_max = config->auth_failures_max,
        .ask_greet = (config->firewall != NULL && service != SMTP_SERVICE_LMTP) ||
                     (config->policy != NULL && service == SMTP_SERVICE_MX),
        .ask_sender = submission,
        .null_sender_single = service == SMTP_SERVICE_MX,
        .early_refused = service == SMTP_SERVICE_MX,
        .dsn = true,
        .requiretls = config->tls != NULL && service != SMTP_SERVICE_LMTP,
        .deliver_by = submission,
        .smtputf8 = true,
        .limits_announced = true,
        .binarymime = true,
        .sync_enforced = service == SMTP_SERVICE_MX,
        .data_sync_enforced = true,
    };
    port->limits = conn_limits_default;
    port->limits.idle_ms = config->times->idle_ms;
    port->limits.connections_max = config->connections_max;
    port->limits.connections_address_max = config->connections_address_max;
}

struct smtp_config receive_protocol(const struct port *port)
{
    const struct policy *policy = port->receive->config.policy;
    const struct settings *settings = policy != NULL ? policy_settings(policy) : NULL;
    struct smtp_config config = port->protocol;
    int64_t hold_ms =
        settings != NULL
            ? setting_number(settings, SETTING_MAIL_HOLD_MAX)
            : setting_number_of(SETTING_MAIL_HOLD_MAX, setting_default(SETTING_MAIL_HOLD_MAX));

    if (config.service != SMTP_SERVICE_SUBMISSION)
        return config;
    config.hold_max_s = (uint32_t)(hold_ms / 1000);
    if (settings != NULL && setting_text(settings, SETTING_OAUTH_ISSUER).len > 0)
        config.auth_tls = LOGIN_MECHANISMS_TLS " OAUTHBEARER";
    return config;
}

struct receive *receive_new(const struct receive_config *config)
{
    struct receive *receive = calloc(1, sizeof(*receive));

    CHECK(receive != NULL);
    receive->config = *config;
    receive->authserv_id = bytes_of(config->hostname);
    (void)senders_organisation(receive->authserv_id, receive->organisation);
    for (unsigned service = 0; service < SMTP_SERVICE_COUNT; service++)
        port_init(receive, (enum smtp_service)service);
    receive->sweep_timer = loop_timer_start(config->loop, config->times->sweep_ms,
                                            config->times->sweep_ms, on_sweep, receive);
    return receive;
}

void receive_listen(struct receive *receive, int fd, enum smtp_service service, bool implicit)
{
    struct port *port = &receive->ports[service];

    const struct config_prefixes *proxies = receive->config.proxy_networks;

    CHECK(receive->listener_count < RECEIVE_LISTENERS_MAX);
    struct conn_listener *listener = conn_listen(
        receive->config.loop, fd, &visitor_protocol, port, receive->config.tls, implicit,
        &port->limits, BYTES("421 4.3.2 Too many connections, try again\r\n"));
    if (proxies != NULL && proxies->count > 0)
        conn_listener_expect_proxy(listener, proxies->at, proxies->count);
    receive->listeners[receive->listener_count++] = listener;
}

void receive_left(struct receive *receive)
{
    if (!receive->stopping || receive->stopped == NULL || receive->visitors != NULL ||
        receive->messages != NULL)
        return;
    void (*stopped)(void *context) = receive->stopped;
    receive->stopped = NULL;
    loop_timer_stop(&receive->stop_timer);
    stopped(receive->stopped_context);
}

static void on_stop_time_over(void *context)
{
    struct receive *receive = context;

    receive->stop_timer = NULL;
    log_warn(NULL, "messages are cut off to end the service",
             LOG_FIELDS(LOG_U64("messages", receive->message_count)));
    for (struct visitor *visitor = receive->visitors, *next; visitor != NULL; visitor = next) {
        next = visitor->next;
        visitor_cut(visitor);
    }
    for (struct message *message = receive->messages, *next; message != NULL; message = next) {
        next = message_next(message);
        message_give_up(message);
    }
}

void receive_stop(struct receive *receive, void (*stopped)(void *context), void *context)
{
    CHECK(!receive->stopping);
    receive->stopping = true;
    for (unsigned i = 0; i < receive->listener_count; i++)
        conn_listener_close(&receive->listeners[i]);
    receive->stop_timer = loop_timer_start(receive->config.loop, receive->config.times->stop_ms,
                                           0, on_stop_time_over, receive);
    receive->stopped_context = context;
    for (struct visitor *visitor = receive->visitors, *next; visitor != NULL; visitor = next) {
        next = visitor->next;
        smtp_session_go_down(visitor->session);
        visitor_continue(visitor);
    }
    receive->stopped = stopped;
    receive_left(receive);
}

void receive_free(struct receive **receive)
{
    if (*receive == NULL)
        return;
    CHECK((*receive)->visitors == NULL && (*receive)->messages == NULL &&
          (*receive)->room_bytes == 0);
    for (unsigned i = 0; i < (*receive)->listener_count; i++)
        if ((*receive)->listeners[i] != NULL)
            conn_listener_close(&(*receive)->listeners[i]);
    loop_timer_stop(&(*receive)->sweep_timer);
    loop_timer_stop(&(*receive)->stop_timer);
    free(*receive);
    *receive = NULL;
}
