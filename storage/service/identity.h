/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_IDENTITY_H
#define STORAGE_SERVICE_IDENTITY_H

#include "cluster.pb-c.h"
#include "node/base/arena.h"
#include "node/base/err.h"

/*
 * Who this node is: the file `identity` in its data folder (0600: it holds the node's key). The
 * file is a line "postraft identity 1", a BLAKE2b-256 checksum, and a packed Pr__Identity. It
 * is replaced as a whole, never written in place.
 */
enum { IDENTITY_SIZE_MAX = 4 * 1024 * 1024 };

#define IDENTITY_FILE "identity"
#define IDENTITY_MARK "initialising" /* a file beside it, see cluster.h */

/*
 * ERR_OK; ERR_NOTFOUND: there is none, the node is in no cluster; ERR_MALFORMED or ERR_IO, with
 * *problem a line for the operator. All in `arena`. With an identity the making of the cluster
 * (cluster.h) is over: its mark is removed, so that it never makes mail look like a beginning.
 */
MUST_CHECK enum err identity_load(const char *folder, struct arena *arena,
                                  Pr__Identity **identity, const char **problem);
/* On disk when it returns ERR_OK. ERR_IO with *problem, in `arena`. */
MUST_CHECK enum err identity_save(const char *folder, const Pr__Identity *identity,
                                  struct arena *arena, const char **problem);

/* The same for other small files of the folder, whose content must not tear: `name` is a file
 * name, `title` its first line. */
MUST_CHECK enum err identity_file_read(const char *folder, const char *name, const char *title,
                                       struct arena *arena, struct bytes *content,
                                       const char **problem);
MUST_CHECK enum err identity_file_write(const char *folder, const char *name, const char *title,
                                        struct bytes content, struct arena *arena,
                                        const char **problem);
/* Gone from the disk when it returns ERR_OK; that it was not there is no error. */
MUST_CHECK enum err identity_file_remove(const char *folder, const char *name,
                                         struct arena *arena, const char **problem);
bool identity_file_exists(const char *folder, const char *name);

#endif
