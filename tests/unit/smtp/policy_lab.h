/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SMTP_POLICY_LAB_H
#define TESTS_UNIT_SMTP_POLICY_LAB_H

#include "node/base/arena.h"
#include "smtp/policy/policy.h"

/*
 * Policy with a store in memory (policy_store.c takes the place of storage/client/client.c at
 * link time), a resolver and a name server that says what its rows say. One thread.
 */
enum { LAB_SETTINGS_MAX = 32, LAB_DOMAINS_MAX = 16, LAB_KEYS_MAX = 16, LAB_FINDINGS_MAX = 8 };

struct lab_store {
    uint64_t version;
    struct {
        int scope; /* of settings.h */
        uint64_t id;
        const char *name;
        const char *value;
    } settings[LAB_SETTINGS_MAX];
    unsigned setting_count;
    bool fails;  /* calls end with ERR_TIMEOUT */
    bool silent; /* they do not end */
    unsigned settings_reads;
    unsigned greylist_asks;
    unsigned domain_asks;
    unsigned open; /* calls under way */
    uint8_t keys[LAB_KEYS_MAX][16];
    unsigned key_count;
    struct {
        char name[256];
        int verdict; /* of address.proto */
        uint64_t first_ms;
        char reason[256];
        struct lab_finding {
            int kind; /* of address.proto */
            char detail[64];
            uint32_t answer;
        } findings[LAB_FINDINGS_MAX];
        unsigned finding_count;
    } domains[LAB_DOMAINS_MAX];
    unsigned domain_count;
};
extern struct lab_store lab_store;

/* A new row of a scope; the version goes up, and who waits is told. */
void lab_set(int scope, uint64_t id, const char *name, const char *value);

/* Who waits for changes has what there is. For run_until(); `context` is ignored. */
bool lab_is_polled(void *context);

struct store_client *lab_store_open(struct loop *loop);

#endif
