/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_MACHINE_WORLD_H
#define TESTS_SIM_MACHINE_WORLD_H

enum {
    GROUPS_MAX = 3,
    FAULTS_MS = 20000, /* of virtual time */
    CALM_MS = 12000,   /* then everything that still runs must come to rest, */
    COPIES_MS = 60000, /* the copies of states that are still under way then may take, */
    QUIET_MS = 3000,   /* and nothing new is begun towards the end */
};

#define SIM_STATS(X)                                                                           \
    X(virtual_ms, true)                                                                        \
    X(steps, true)                                                                             \
    X(frames, true)                                                                            \
    X(crashes, true)                                                                           \
    X(elections, true)                                                                         \
    X(commits, true)                                                                           \
    X(acknowledged, true)                                                                      \
    X(unknown, true)                                                                           \
    X(refused, true)                                                                           \
    X(reads, true)                                                                             \
    X(repeated, true)  /* the same request id was answered again, with the same */             \
    X(cancelled, true) /* before it took effect */                                             \
    X(settled, true)   /* a CANCEL came too late, and told what had come of it */              \
    X(expunged, true)                                                                          \
    X(changes, true)                                                                           \
    X(transfers, true)                                                                         \
    X(trims, true)                                                                             \
    X(large, true)                                                                             \
    X(single_site, true)                                                                       \
    X(fetches, true)                                                                           \
    X(fetched, true)                                                                           \
    X(fetches_resumed, true)                                                                   \
    X(fetches_failed, true)                                                                    \
    X(resets, true)                                                                            \
    X(stateless_leaders, true)                                                                 \
    X(removals, true)                                                                          \
    X(quiesced, true)                                                                          \
    X(recoveries, true)                                                                        \
    X(unrecovered, false) /* no whole state was left */                                        \
    X(brought_back, true) /* entries that only a log without a state had */                    \
    X(lost, false)        /* entries, with a data center, and not promised */                  \
    X(state_errors, true)                                                                      \
    X(write_errors, true)                                                                      \
    X(jumps, true)                                                                             \
    X(pauses, true)                                                                            \
    X(failovers, true) /* a leader died and another one came, after so long in all: */         \
    X(failover_ms, true)

#endif
