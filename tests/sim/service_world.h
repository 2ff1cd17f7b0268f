/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_SERVICE_WORLD_H
#define TESTS_SIM_SERVICE_WORLD_H

enum {
    GROUPS_MAX = 4, /* the directory, and those of mail */
    SETUP_MS = 120000,
    FAULTS_MS = 30000, /* of virtual time, once the cluster stands */
    CALM_MS = 45000,   /* then everything that still runs must come to rest, */
    COPIES_MS = 60000, /* moves and copies that are still under way then may take so long, */
    QUIET_MS = 12000,  /* and nothing new is begun towards the end */
};

#define SIM_STATS(X)                                                                           \
    X(virtual_ms, true)                                                                        \
    X(steps, true)                                                                             \
    X(frames, true)                                                                            \
    X(crashes, true)                                                                           \
    X(elections, true)                                                                         \
    X(commits, true)                                                                           \
    X(calls, true)       /* of front ends */                                                   \
    X(calls_again, true) /* sent once more over a new connection */                            \
    X(questions, true)   /* between nodes */                                                   \
    X(delivered, true)                                                                         \
    X(appended, true)                                                                          \
    X(uploads, true)                                                                           \
    X(flagged, true)                                                                           \
    X(expunged, true)                                                                          \
    X(refused, true) /* and it is certain that it never takes effect */                        \
    X(unknown, true)                                                                           \
    X(repeated, true) /* the same request, at another node */                                  \
    X(cancels, true)  /* in the log, */                                                        \
    X(settled, true)  /* and those that found what they asked for */                           \
    X(sessions, true)                                                                          \
    X(sessions_lost, true)                                                                     \
    X(views, true)                                                                             \
    X(views_fresh, true)                                                                       \
    X(views_equal, true) /* of a mailbox that somebody else had seen at the same modseq */     \
    X(remote_views, true)                                                                      \
    X(told, true) /* a session, by Watch */                                                    \
    X(handovers, true)                                                                         \
    X(moves_asked, true)                                                                       \
    X(moved, true)                                                                             \
    X(move_attempts, true)                                                                     \
    X(leads, true)  /* asked of another node */                                                \
    X(drains, true) /* and the end of it */                                                    \
    X(passwords, true)                                                                         \
    X(trims, true)                                                                             \
    X(resets, false)                                                                           \
    X(fetched, false)                                                                          \
    X(stateless_leaders, false)                                                                \
    X(single_site, false)                                                                      \
    X(write_errors, true)                                                                      \
    X(state_errors, true)                                                                      \
    X(jumps, true)                                                                             \
    X(pauses, true)                                                                            \
    X(failovers, true)                                                                         \
    X(failover_ms, true)

#endif
