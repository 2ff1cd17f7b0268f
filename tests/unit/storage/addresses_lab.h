/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_ADDRESSES_LAB_H
#define TESTS_UNIT_STORAGE_ADDRESSES_LAB_H

#include "storage/query/addresses.h"
#include "tests/unit/storage/directory_lab.h"

/*
 * Questions to the directory about addresses. The accounts ann and bob of acme.example, cid of
 * bar.example, and the cluster's own; mail comes from mia@far.example.
 */
extern struct lab *const lab;

void addresses_lab_open(void);
/* Whom questions are asked for from now on; "": the null sender. */
void addresses_lab_sender(const char *sender);
void addresses_lab_anybody(void);
void addresses_lab_days_later(int days);

/*
 * "ann@acme.example x@other.example" in order, those of other hosts too, each with "<sender"
 * behind it when it is another; or "NOTFOUND", "DISABLED", "LOOP for good" and so on.
 */
const char *addresses_lab_ask(const char *address);
#define GOES(address, want) assert_string_equal(addresses_lab_ask(address), want)
/* The answer of the last question; always the same place. */
struct addresses_answer *addresses_lab_last(void);

#define ROUTE(domain, ...)                                                                     \
    WANT(OK, RUN(DomainRoute, domain_route, DOMAIN_ROUTE, .name = TEXT(domain),                \
                 .routing = CALL(DomainRouting, domain_routing, __VA_ARGS__)))
#define ALIAS(alias, ...)                                                                      \
    WANT(OK, RUN(AliasAdd, alias_add, ALIAS_ADD, .address = TEXT(alias),                       \
                 LIST(targets, __VA_ARGS__)))
#define FORWARD(of, keeps, ...)                                                                \
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = TEXT(of),              \
                 .forward = CALL(AccountForward, account_forward, .keep = (keeps),             \
                                 LIST(targets, __VA_ARGS__))))
#define BAR(of, bars)                                                                          \
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = TEXT(of),              \
                 .bars_set = (bars)))

#endif
