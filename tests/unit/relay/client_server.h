/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RELAY_CLIENT_SERVER_H
#define TESTS_UNIT_RELAY_CLIENT_SERVER_H

#include "unit/relay/client_lab.h"

/* The server of the laboratory: it reads `to_server`, strictly, and speaks by `to_client`. What
 * no client may send is an assertion. */
void lab_server_greet(struct lab *lab);
void lab_server_turn(struct lab *lab);

#endif
