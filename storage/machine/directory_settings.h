/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_SETTINGS_H
#define STORAGE_MACHINE_DIRECTORY_SETTINGS_H

#include "storage/machine/directory_rows.h"

/*
 * Values of settings, from format 4 on: a row each, the value as it is. What they mean is in
 * schema/settings.h, which releases may change; here only their form counts.
 */
enum {
    SETTING_NAME_SIZE_MAX = 64,
    SETTING_VALUE_SIZE_MAX = 8192,
    SETTINGS_MAX = 1000, /* of one scope */
};

/* `id`: of the tenant, domain or account; 0 for the cluster. An empty name is the prefix of all
 * of the scope. The name has SETTING_NAME_SIZE_MAX bytes at the most. */
struct bytes setting_key(struct key *key, Pr__SettingScope scope, uint64_t id,
                         struct bytes name);

/* The scope is gone, and its values with it. */
void directory_settings_forget(struct apply *apply, Pr__SettingScope scope, uint64_t id);

#endif
