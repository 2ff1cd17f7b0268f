/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_SETTINGS_TABLE_H
#define STORAGE_SCHEMA_SETTINGS_TABLE_H

/*
 * Rows: id; name; type; scopes (IN_*, which settings.c defines); lowest and highest number;
 * unit or words; default; help. Names and meanings are kept for good: they lie in directories.
 */
#define SETTINGS_OF_MAIL(X)                                                                    \
    X(MAIL_OUTBOUND, "mail.outbound", SWITCH, IN_CA, 0, 1, "", "off",                          \
      "whether mail may leave the cluster")                                                    \
    X(MAIL_SEPARATORS, "mail.separators", MARKS, IN_CD, 0, 0, "", "+",                         \
      "marks that part an address from a sub-address: mail to ann+list reaches ann")           \
    X(MAIL_POSTMASTER, "mail.postmaster", ADDRESS, IN_CD, 0, 0, "", "",                        \
      "who gets mail to postmaster@ and abuse@ where nobody has that address")                 \
    X(MAIL_DISABLED, "mail.disabled", CHOICE, IN_CD, 0, 1, "permanent|temporary", "permanent", \
      "how mail to a disabled account is refused: 550 or 450")                                 \
    X(MAIL_FULL, "mail.full", CHOICE, IN_CD, 0, 2, "policy|permanent|temporary", "policy",     \
      "how mail to a full account is refused: 552 or 452; or as the mail policy says")         \
    X(MAIL_FORWARD, "mail.forward", CHOICE, IN_CA, 0, 2, "anyone|operators|nobody", "anyone",  \
      "whose forwards may leave the cluster: accounts' too, aliases' and domains', no one's")  \
    X(MAIL_HOLD_MAX, "mail.hold_max", DURATION, IN_C, 0, 31536000000, "", "30d",               \
      "how long a message may be held that is submitted to be sent later (FUTURERELEASE); "    \
      "0: none may")                                                                           \
    X(MAIL_SRS_DAYS, "mail.srs_days", NUMBER, IN_C, 1, 1000, "days", "30",                     \
      "how long bounces of forwarded mail find their way back")                                \
    X(SUBMISSION_HIDE_CLIENT, "submission.hide_client", SWITCH, IN_CA, 0, 1, "", "off",        \
      "leave the client's address out of the Received header of its mail")

#define SETTINGS_OF_SENDING(X)                                                                 \
    X(SENDING_CLASS, "sending.class", CHOICE, IN_CA, 0, 3, "normal|new|mass|custom", "normal", \
      "how much an account may send; normal ones are new at first; custom: as sending.hour "   \
      "and sending.day say")                                                                   \
    X(SENDING_HOUR, "sending.hour", NUMBER, IN_CA, 0, 10000000, "recipients", "300",           \
      "of an account of the class custom, in an hour; 0: no limit")                            \
    X(SENDING_DAY, "sending.day", NUMBER, IN_CA, 0, 10000000, "recipients", "2000",            \
      "of an account of the class custom, in a day; 0: no limit")                              \
    X(SENDING_NEW_DAYS, "sending.new_days", NUMBER, IN_CT, 0, 365, "days", "7",                \
      "how long an account is new")                                                            \
    X(SENDING_NEW_HOUR, "sending.new_hour", NUMBER, IN_CT, 0, 10000000, "recipients", "50",    \
      "of a new account, in an hour")                                                          \
    X(SENDING_NEW_DAY, "sending.new_day", NUMBER, IN_CT, 0, 10000000, "recipients", "200",     \
      "of a new account, in a day")                                                            \
    X(SENDING_NORMAL_HOUR, "sending.normal_hour", NUMBER, IN_CT, 0, 10000000, "recipients",    \
      "300", "of a normal account, in an hour")                                                \
    X(SENDING_NORMAL_DAY, "sending.normal_day", NUMBER, IN_CT, 0, 10000000, "recipients",      \
      "2000", "of a normal account, in a day")                                                 \
    X(SENDING_MASS_DAY, "sending.mass_day", NUMBER, IN_CT, 0, 100000000, "recipients", "5000", \
      "of an account of the class mass, in a day")                                             \
    X(SENDING_TENANT_HOUR, "sending.tenant_hour", NUMBER, IN_CT, 0, 100000000, "recipients",   \
      "2000", "of all accounts of a tenant together, in an hour; 0: no limit")                 \
    X(SENDING_TENANT_DAY, "sending.tenant_day", NUMBER, IN_CT, 0, 100000000, "recipients",     \
      "20000", "of all accounts of a tenant together, in a day; 0: no limit")                  \
    X(SENDING_MESSAGE_RECIPIENTS, "sending.message_recipients", NUMBER, IN_CA, 1, 1000,        \
      "recipients", "100", "of a message")

#define SETTINGS_OF_LOGIN(X)                                                                   \
    X(PASSWORD_LENGTH, "password.length", NUMBER, IN_CT, 8, 128, "characters", "12",           \
      "that a password has at least")                                                          \
    X(PASSWORD_GUESSES, "password.guesses", NUMBER, IN_CT, 0, 4, "", "3",                      \
      "how hard a password must be to guess: 0 any, 1 10^3 guesses, 2 10^6, 3 10^8, 4 10^10")  \
    X(AUTH_SCRAM, "auth.scram", SWITCH, IN_C, 0, 1, "", "on",                                  \
      "keep keys for SCRAM beside the hashes of passwords that are set, or used, from now on") \
    X(OAUTH_ISSUER, "oauth.issuer", TEXT, IN_C, 0, 512, "", "",                                \
      "whose tokens log in: their iss; empty: none do")                                        \
    X(OAUTH_AUDIENCE, "oauth.audience", TEXT, IN_C, 0, 512, "", "",                            \
      "that a token must be for: in its aud")                                                  \
    X(OAUTH_JWKS, "oauth.jwks", TEXT, IN_C, 0, 8192, "", "",                                   \
      "the issuer's keys, a JSON Web Key Set")                                                 \
    X(OAUTH_CLAIM, "oauth.claim", TEXT, IN_C, 0, 64, "", "email",                              \
      "of a token: that has the account's address")                                            \
    X(OAUTH_SCOPE, "oauth.scope", TEXT, IN_C, 0, 128, "", "",                                  \
      "word that a token's scope must have; empty: none")                                      \
    X(OAUTH_DISCOVERY, "oauth.discovery", TEXT, IN_C, 0, 512, "", "",                          \
      "URL of the issuer's openid-configuration, for clients that were refused")               \
    X(OAUTH_SKEW, "oauth.skew", DURATION, IN_C, 0, 10 * MINUTE_MS, "", "1m",                   \
      "that clocks may differ by")

/* A judge's switch and weight. */
#define SETTINGS_OF_JUDGE(X, ID, name, weight, on, what)                                       \
    X(JUDGE_##ID##_ENABLED, "judge." name ".enabled", SWITCH, IN_CD, 0, 1, "", on,             \
      "ask the judge " name ": " what)                                                         \
    X(JUDGE_##ID##_WEIGHT, "judge." name ".weight", WEIGHT, IN_CD, -10000, 10000, "", weight,  \
      "what it counts: " what)

/* Judges of the judge new_domain: what is wrong with a sender's domain. */
#define SETTINGS_OF_DOMAINS(X)                                                                 \
    SETTINGS_OF_JUDGE(X, DOMAIN_EXISTS, "domain_exists", "10", "on",                           \
                      "a sender's domain that does not exist")                                 \
    SETTINGS_OF_JUDGE(X, DOMAIN_MX, "domain_mx", "3", "on",                                    \
                      "a sender's domain that takes no mail")                                  \
    SETTINGS_OF_JUDGE(X, DOMAIN_PUBLISHED, "domain_published", "3", "on",                      \
                      "a sender's domain with neither SPF nor DMARC")                          \
    SETTINGS_OF_JUDGE(X, DOMAIN_LISTED, "domain_listed", "1", "on",                            \
                      "times the weights of newdomain.zones")                                  \
    SETTINGS_OF_JUDGE(X, DOMAIN_AGE, "domain_age", "1", "on",                                  \
                      "times the weights of newdomain.age_zones")                              \
    SETTINGS_OF_JUDGE(X, DOMAIN_SIMILAR, "domain_similar", "5", "on",                          \
                      "a sender's domain that looks like a protected one")                     \
    X(NEWDOMAIN_SUSPECT_SCORE, "newdomain.suspect_score", WEIGHT, IN_CD, 1, 100000, "", "3",   \
      "sum of weights from which on a sender's domain is suspect: put off once, few an hour")  \
    X(NEWDOMAIN_BAD_SCORE, "newdomain.bad_score", WEIGHT, IN_CD, 1, 100000, "", "10",          \
      "sum of weights from which on mail of a sender's domain is refused")                     \
    X(NEWDOMAIN_ZONES, "newdomain.zones", ZONES, IN_C, 0, 0, "", "",                           \
      "lists of bad domains: ZONE=WEIGHT[:CODES] ...")                                         \
    X(NEWDOMAIN_AGE_ZONES, "newdomain.age_zones", ZONES, IN_C, 0, 0, "", "",                   \
      "lists of domains that were registered lately: ZONE=WEIGHT[:CODES] ...")                 \
    X(NEWDOMAIN_FROM, "newdomain.from", SWITCH, IN_CD, 0, 1, "", "on",                         \
      "look at the domain in From: as well, at the end of the message")                        \
    X(NEWDOMAIN_PROTECTED, "newdomain.protected", DOMAINS, IN_C, 0, 0, "", "",                 \
      "domains that others must not look like, beside those whose mail is here")               \
    X(NEWDOMAIN_PROTECT_OWN, "newdomain.protect_own", SWITCH, IN_C, 0, 1, "", "on",            \
      "others must not look like the domains whose mail is here")

#define SETTINGS_OF_JUDGES(X)                                                                  \
    X(POLICY_DRY_RUN, "policy.dry_run", SWITCH, IN_CD, 0, 1, "", "off",                        \
      "judge mail that comes in, and only note what would be done")                            \
    X(POLICY_LOCAL, "policy.local", SWITCH, IN_C, 0, 1, "", "off",                             \
      "judge clients with loopback and private addresses too")                                 \
    X(POLICY_REJECT_SCORE, "policy.reject_score", WEIGHT, IN_CD, 0, 100000, "", "10",          \
      "sum of weights from which on mail is refused")                                          \
    X(POLICY_GREY_SCORE, "policy.grey_score", WEIGHT, IN_CD, 0, 100000, "", "4",               \
      "sum of weights from which on it has to come twice")                                     \
    SETTINGS_OF_JUDGE(X, FCRDNS, "fcrdns", "2.5", "on", "the client's name, and back")         \
    SETTINGS_OF_JUDGE(X, GENERIC_NAME, "generic_name", "2", "on",                              \
                      "a name made of its address")                                            \
    SETTINGS_OF_JUDGE(X, HELO, "helo", "2", "on", "what it says it is called")                 \
    SETTINGS_OF_JUDGE(X, DNSBL, "dnsbl", "1", "on", "times the weights of dnsbl.zones")        \
    SETTINGS_OF_JUDGE(X, DNSWL, "dnswl", "1", "on", "times the weights of dnswl.zones")        \
    SETTINGS_OF_JUDGE(X, NETWORK, "network", "1", "on", "times the weights of network.list")   \
    SETTINGS_OF_JUDGE(X, GREYLIST, "greylist", "0", "on", "who does not come twice")           \
    SETTINGS_OF_JUDGE(X, NEW_DOMAIN, "new_domain", "3", "on",                                  \
                      "a sender's domain nobody knows")                                        \
    SETTINGS_OF_DOMAINS(X)                                                                     \
    X(DNSBL_ZONES, "dnsbl.zones", ZONES, IN_CD, 0, 0, "", "",                                  \
      "lists of bad addresses: ZONE=WEIGHT[:CODES] ...")                                       \
    X(DNSWL_ZONES, "dnswl.zones", ZONES, IN_CD, 0, 0, "", "",                                  \
      "lists of good addresses: ZONE=WEIGHT[:CODES] ..., with weights below 0")                \
    X(NETWORK_LIST, "network.list", NETWORKS, IN_CD, 0, 0, "", "",                             \
      "networks and what is known of them: NET=WEIGHT ..., nets or AS numbers")                \
    X(GREYLIST_WAIT, "greylist.wait", DURATION, IN_CD, 0, DAY_MAX_MS, "", "5m",                \
      "after which mail that was put off is taken")                                            \
    X(GREYLIST_KEEP, "greylist.keep", DURATION, IN_CD, MINUTE_MS, 30ll * DAY_MAX_MS, "", "1d", \
      "how long it is known that mail was put off")                                            \
    X(GREYLIST_PASSED_KEEP, "greylist.passed_keep", DURATION, IN_CD, MINUTE_MS,                \
      365ll * DAY_MAX_MS, "", "35d", "how long it is known that mail came twice")              \
    X(GREYLIST_EXEMPT, "greylist.exempt", DOMAINS, IN_CD, 0, 0, "", "",                        \
      "domains of senders whose mail is never put off, if it comes from their hosts")          \
    X(NEWDOMAIN_WAIT, "newdomain.wait", DURATION, IN_C, 0, DAY_MAX_MS, "", "5m",               \
      "that the checks of a new sender's domain may take")                                     \
    X(NEWDOMAIN_DELAY_MAX, "newdomain.delay_max", DURATION, IN_CD, 0, DAY_MAX_MS, "", "30m",   \
      "after which its mail is taken even if nothing was found out")                           \
    X(NEWDOMAIN_SUSPECT_HOUR, "newdomain.suspect_hour", NUMBER, IN_CD, 0, 1000000, "messages", \
      "10", "that come in from a suspect domain in an hour")                                   \
    X(NEWDOMAIN_DAY, "newdomain.day", NUMBER, IN_C, 0, 10000000, "domains", "20000",           \
      "new ones that are put off in a day; then mail of new domains is taken")                 \
    X(NEWDOMAIN_EXEMPT, "newdomain.exempt", DOMAINS, IN_CD, 0, 0, "", "",                      \
      "domains that are never new")                                                            \
    X(FIREWALL_RULE, "firewall.*", RULE, IN_C, 0, 0, "", "",                                   \
      "limits of a rule: off, or LIMIT[/LIMIT of IPv6 nets][ per DURATION]")

#define SETTINGS_TABLE(X)                                                                      \
    SETTINGS_OF_MAIL(X) SETTINGS_OF_SENDING(X) SETTINGS_OF_LOGIN(X) SETTINGS_OF_JUDGES(X)

#define SETTING_ID(id, name, type, scopes, low, high, words, fallback, help) SETTING_##id,
enum setting_id { SETTINGS_TABLE(SETTING_ID) SETTING_COUNT };
#undef SETTING_ID

/* The words of choices, in their order. */
enum { MAIL_DISABLED_PERMANENT, MAIL_DISABLED_TEMPORARY };
enum { MAIL_FULL_POLICY, MAIL_FULL_PERMANENT, MAIL_FULL_TEMPORARY };
enum { MAIL_FORWARD_ANYONE, MAIL_FORWARD_OPERATORS, MAIL_FORWARD_NOBODY };
enum {
    SENDING_CLASS_NORMAL,
    SENDING_CLASS_NEW,
    SENDING_CLASS_MASS,
    SENDING_CLASS_CUSTOM,
};

#endif
