/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_DB_MEMORY_NAMES_H
#define TESTS_SIM_DB_MEMORY_NAMES_H

/* Included in front of everything else by a test that links both this implementation of
 * storage/db/db.h and the product's. */
#define db_table_name memory_table_name
#define db_open memory_open
#define db_close memory_close
#define db_sync memory_sync
#define db_read_begin memory_read_begin
#define db_write_begin memory_write_begin
#define db_commit memory_commit
#define db_abort memory_abort
#define db_error memory_error
#define db_fail memory_fail
#define db_get memory_get
#define db_put memory_put
#define db_reserve memory_reserve
#define db_delete memory_delete
#define db_cursor_open memory_cursor_open
#define db_cursor_close memory_cursor_close
#define db_cursor_first memory_cursor_first
#define db_cursor_last memory_cursor_last
#define db_cursor_seek memory_cursor_seek
#define db_cursor_next memory_cursor_next
#define db_cursor_before memory_cursor_before
#define db_cursor_delete memory_cursor_delete
#define db_statistics memory_statistics
#define db_table_statistics memory_table_statistics
#define db_txn_number memory_txn_number
#define db_watch_new memory_watch_new
#define db_watch_free memory_watch_free
#define db_play memory_play

#endif
