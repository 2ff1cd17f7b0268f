/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_SETTINGS_VALUE_H
#define STORAGE_SCHEMA_SETTINGS_VALUE_H

#include "node/base/bytes.h"

/* Forms of settings' values, for settings.c. Each returns whether all of `text` has it. */
bool value_number(struct bytes text, int64_t *number);
bool value_duration(struct bytes text, int64_t *milliseconds);
bool value_weight(struct bytes text, int64_t *hundredths);
/* One of `words`, which have '|' in between. */
bool value_word(struct bytes text, const char *words, int64_t *place);
/* Lower case, of labels; one label too. */
bool value_domain(struct bytes name);
bool value_domains(struct bytes list);
bool value_zones(struct bytes list);
bool value_networks(struct bytes list);

#endif
