/* SPDX-License-Identifier: ISC */
#ifndef ASK_LIBWRAP_H
#define ASK_LIBWRAP_H

#include "conn/conn.h"

/*
 * Has the rules of hosts_access(5) asked, under the service's name, whether the client may use it.
 * The second step is for a service that a server name has led to, and that asks under its own name.
 */
extern const struct step ask_libwrap_step, ask_libwrap_again_step;

#endif
