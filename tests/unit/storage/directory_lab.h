/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_DIRECTORY_LAB_H
#define TESTS_UNIT_STORAGE_DIRECTORY_LAB_H

#include "record.pb-c.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

/* Short words for tests of the directory's commands. The tests name their lab `lab`. */
#define CALL(type, name, ...)                                                                  \
    (&(Pr__##type){.base = PROTOBUF_C_MESSAGE_INIT(&pr__##name##__descriptor), __VA_ARGS__})
#define TEXT(text) ((char[]){text})
#define RUN(type, name, NAME, ...)                                                             \
    lab_apply(lab, 0, LAB_COMMAND(name, NAME, CALL(type, name, __VA_ARGS__)))
#define WANT(want, outcome) assert_int_equal((outcome)->err, ERR_##want)
/* The fields `n_name` and `name` of texts: LIST(targets, "a@x.example", "b@x.example"). */
#define LIST(name, ...)                                                                        \
    .n_##name = sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                        \
    .name = directory_lab_texts(lab, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),   \
                                (const char *[]){__VA_ARGS__})

enum { DIRECTORY_LAB_GROUPS = 3 };

/* A cluster with the tenant acme, whose domains are acme.example and sub.example, and the
 * tenant bar, whose domain is bar.example. */
void directory_lab_open(struct lab *lab, unsigned format);
void directory_lab_raise(struct lab *lab, unsigned format);
char **directory_lab_texts(struct lab *lab, size_t count, const char *const *texts);
ProtobufCBinaryData directory_lab_bytes(struct lab *lab, size_t size, uint8_t byte);

Pr__Outcome *directory_lab_domain(struct lab *lab, const char *name, const char *tenant);
Pr__Outcome *directory_lab_account(struct lab *lab, const char *address);
Pr__Outcome *directory_lab_alias(struct lab *lab, const char *address, const char *target);
/* With that owner; everybody may write to it. */
Pr__Outcome *directory_lab_list(struct lab *lab, const char *address, const char *member,
                                const char *owner);
Pr__Outcome *directory_lab_role(struct lab *lab);
Pr__Outcome *directory_lab_set(struct lab *lab, Pr__SettingScope scope, const char *of,
                               const char *name, const char *value);

/* NULL: there is none. Records live as long as the lab. */
Pr__AccountRecord *directory_lab_account_of(struct lab *lab, const char *address);
Pr__AliasRecord *directory_lab_alias_of(struct lab *lab, const char *address);
Pr__DomainRecord *directory_lab_domain_of(struct lab *lab, const char *name);
Pr__ClusterRecord *directory_lab_cluster(struct lab *lab);

/* Counts everything that the directory counts again, and checks that each address has one
 * owner. Aborts on the first that is wrong. */
void directory_lab_recount(struct lab *lab);

#endif
