/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_MTA_STS_H
#define SMTP_RELAY_MTA_STS_H

#include "node/base/arena.h"
#include "node/base/err.h"

/*
 * SMTP MTA Strict Transport Security (RFC 8461): the record that says there is a policy, and
 * the policy. What is read here was fetched by somebody else; nothing is asked or kept.
 */
enum {
    MTA_STS_ID_SIZE = 33,            /* 32 characters and a NUL */
    MTA_STS_POLICY_SIZE_MAX = 65536, /* bytes of a policy file; a longer one is refused */
    MTA_STS_MX_MAX = 256,            /* patterns of a policy; one with more is refused */
    MTA_STS_AGE_MAX_S = 31557600,    /* a year; a longer max_age means this */
};

/*
 * From the TXT records of "_mta-sts.DOMAIN", each with its strings joined (section 3.1).
 * Another id than before: the policy may be another. ERR_NOTFOUND: none is an STS record, or
 * several are; ERR_MALFORMED: it is not as it should be. Both mean: no policy is offered.
 */
enum err mta_sts_record_choose(const struct bytes *texts, unsigned count,
                               char id[MTA_STS_ID_SIZE]) MUST_CHECK;

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };

struct mta_sts_policy {
    enum mta_sts_mode mode;
    uint32_t max_age_s;
    const struct bytes *patterns; /* "mx.example", "*.example" in lower case */
    unsigned pattern_count;       /* 0 only with MTA_STS_NONE */
};

/* A policy file (section 3.2); the patterns lie in `arena`. ERR_TOOBIG, ERR_MALFORMED. Fields
 * that are not known are skipped, of fields that come twice the first one counts. */
enum err mta_sts_policy_parse(struct bytes body, struct arena *arena,
                              struct mta_sts_policy *policy) MUST_CHECK;

/* Whether a host of an MX record may be used (section 4.1); "*" stands for one label. `host` in
 * any case, with or without the last dot. */
bool mta_sts_policy_allows(const struct mta_sts_policy *policy, const char *host);

/* "none", "testing", "enforce". */
const char *mta_sts_mode_text(enum mta_sts_mode mode);

#endif
