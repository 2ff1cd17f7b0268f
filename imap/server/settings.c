/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/settings.h"
#include "imap/server/internal.h"

/* Tokens are offered where somebody is set who makes them. */
static const char *const mechanisms =
    "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN";
static const char *const with_tokens =
    "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN OAUTHBEARER";

static void ask(struct imap_server *server);

static void retry(void *context)
{
    struct imap_server *server = context;

    server->settings_timer = NULL;
    ask(server);
}

static void take(struct imap_server *server, const Pr__SettingsReadAnswer *answer)
{
    struct settings settings;
    struct arena arena;

    arena_init(&arena);
    settings_init(&settings, &arena);
    for (size_t i = 0; i < answer->n_settings; i++)
        settings_put(&settings, SETTINGS_CLUSTER, bytes_of(answer->settings[i]->name),
                     bytes_of(answer->settings[i]->value));
    bool tokens = setting_text(&settings, SETTING_OAUTH_ISSUER).len > 0;
    server->session_config.mechanisms = tokens ? with_tokens : mechanisms;
    server->settings_version = answer->version;
    arena_fini(&arena);
}

static void answered(void *context, enum err err, const Pr__Reply *reply)
{
    struct imap_server *server = context;

    server->settings_ticket = 0;
    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_SETTINGS_READ ||
        reply->settings_read->version == 0) {
        server->settings_timer =
            loop_timer_start(server->loop, IMAP_SETTINGS_RETRY_MS, 0, retry, server);
        return;
    }
    take(server, reply->settings_read);
    ask(server);
}

/* Waits at the store until they change. */
static void ask(struct imap_server *server)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__SettingsRead call = PR__SETTINGS_READ__INIT;

    call.version = server->settings_version;
    request.call_case = PR__REQUEST__CALL_SETTINGS_READ;
    request.settings_read = &call;
    server->settings_ticket =
        store_call(server->client, &request, IMAP_SETTINGS_DEADLINE_MS, answered, server);
}

void imap_settings_start(struct imap_server *server)
{
    server->session_config.mechanisms = mechanisms;
    ask(server);
}

void imap_settings_stop(struct imap_server *server)
{
    loop_timer_stop(&server->settings_timer);
    store_cancel(server->client, server->settings_ticket);
    server->settings_ticket = 0;
}
