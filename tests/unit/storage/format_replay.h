/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_FORMAT_REPLAY_H
#define TESTS_UNIT_STORAGE_FORMAT_REPLAY_H

/*
 * What an earlier release applied, what it answered, and what its tables then were
 * (fixtures/README.md). This release must make the same of the same entries, byte for byte,
 * replies included, as long as the format is not raised, or nodes of both could not stand side
 * by side, nor the older release be put back.
 */
struct format_replay {
    const char *fixture; /* "format_N" */
    unsigned tables_min; /* as many sets of tables begin there at least, */
    unsigned states;     /* and so many lie beside the entries */
};

/* Applies all entries, and compares replies and rows on the way. Fails the test. */
void format_replay_compare(const struct format_replay *expected);
/* The same; besides, what the entries made here and what the older release left on disk go on
 * alike, before and after the format is raised to the newest. */
void format_replay_raise(const struct format_replay *expected);

#endif
