/* SPDX-License-Identifier: ISC */
#ifndef ID_H
#define ID_H

#include <stddef.h>
#include <stdint.h>

#include "conn/service.h"

/*
 * Writes what the lines of a connection's log begin with, as logId asks, and a NUL, into id of at
 * least 23 bytes. serial: the connection's, of all workers together.
 */
void id_make(char *id, size_t size, enum conn_log_id kind, uint64_t serial);

#endif
