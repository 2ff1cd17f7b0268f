/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/login_oauth.h"

#include "node/base/log.h"
#include "storage/query/settings.h"

/* NULL where nothing is set. */
static const char *text_of(const struct settings *settings, enum setting_id id,
                           struct arena *arena)
{
    struct bytes text = setting_text(settings, id);

    return text.len > 0 ? arena_string(arena, text) : NULL;
}

struct auth_oauth *login_oauth(struct service *service)
{
    struct auth_oauth *oauth = NULL;
    const char *why = NULL;
    struct settings settings;
    struct arena arena;

    arena_init(&arena);
    struct db_txn *txn = service_directory_begin(service);
    settings_load(txn, (struct settings_place){0}, &arena, &settings);
    db_abort(&txn);
    const struct auth_oauth_config config = {
        .issuer = text_of(&settings, SETTING_OAUTH_ISSUER, &arena),
        .audience = text_of(&settings, SETTING_OAUTH_AUDIENCE, &arena),
        .scope = text_of(&settings, SETTING_OAUTH_SCOPE, &arena),
        .claim = text_of(&settings, SETTING_OAUTH_CLAIM, &arena),
        .discovery = text_of(&settings, SETTING_OAUTH_DISCOVERY, &arena),
        .jwks = setting_text(&settings, SETTING_OAUTH_JWKS),
        .skew_s = (uint32_t)(setting_number(&settings, SETTING_OAUTH_SKEW) / 1000),
    };
    if (config.issuer != NULL && config.audience != NULL && config.jwks.len > 0)
        oauth = auth_oauth_new(&config, &why);
    if (why != NULL && oauth == NULL)
        log_warn(NULL, "the settings oauth.* are no good", LOG_FIELDS(LOG_TEXT("reason", why)));
    arena_fini(&arena);
    return oauth;
}
