/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_LIMITS_H
#define SMTP_RELAY_LIMITS_H

#define RELAY_LANE_INWARD "@" /* of accounts here: QueueRecipient.account_id */

#define RELAY_RETRY_MS_MAX ((uint64_t)31 * 24 * 60 * 60 * 1000) /* the log takes no more */

/* What bounds a relay: memory, and how long it keeps others waiting. */
enum {
    RELAY_LEASE_MS = 20000,       /* of a destination; everybody must use the same */
    RELAY_LEASE_RENEW_MS = 6000,  /* a lease of that age is renewed */
    RELAY_LEASE_MARGIN_MS = 3000, /* before its end nothing is begun that cannot be undone */
    RELAY_LEASE_ITEMS_MAX = 250,  /* in one command */
    RELAY_REPORT_ITEMS_MAX = 250, /* in one command */
    RELAY_CALL_MS = 10000,        /* of one question to the store */
    RELAY_DUTIES_MS = 30000,      /* of the one that waits for news */
    RELAY_AGAIN_MS = 1000,        /* after a question that was not answered */
    RELAY_TICK_MS = 1000,
    RELAY_LOOK_MAX_MS = 30000, /* between two looks at all of a group's lanes */
    RELAY_LOOK_REST = 20,      /* and as many times as long as the last one took */
    RELAY_LOOK_BACK_MS =
        10000, /* how far nodes' clocks may be apart: news are looked for behind that */
    RELAY_LOOK_NEWS_PAGES = 4,
    RELAY_LOOK_WATCHED_MS = 3000,
    RELAY_STOP_MS = 4000, /* for what is under way when the process is to end */
    RELAY_CUT_MS = 5500,  /* and then for connections that are cut */
    RELAY_BROKEN_TLS_MS = 3 * 24 * 3600 * 1000, /* how long it is remembered */
    RELAY_BROKEN_TLS_MAX = 10000,               /* addresses */
    RELAY_NOTICES_MAX = 8,                      /* being made, of a group */
    RELAY_NOTICE_LANES_MAX = 1024, /* in memory, of a group; more wait in the store */

    RELAY_JOBS_MAX = 20000,       /* destinations in memory, each with its part of the record */
    RELAY_LANES_MAX = 4096,       /* in memory, waiting for their turn */
    RELAY_LANES_PAGE = 256,       /* of one question */
    RELAY_SITE_LANES_MAX = 512,   /* of one site; more wait in the store */
    RELAY_SITE_LANES_FEW = 32,    /* of one that is paused, or when half of all are taken */
    RELAY_WATCHES_MAX = 20000,    /* leases of others that are looked at until they end */
    RELAY_WATCH_KEPT_MS = 600000, /* without being looked at */
    RELAY_STATUS_SIZE_MAX = 16,   /* of what is written into the log; longer texts are cut */
    RELAY_REPLY_SIZE_MAX = 1000,
    RELAY_REMOTE_SIZE_MAX = 300,
    RELAY_FETCH = 64,     /* read from a lane at a time */
    RELAY_FETCH_FEW = 8,  /* when half of all jobs are taken */
    RELAY_READY_LOW = 32, /* a site with fewer jobs than this fetches more */
};

#endif
