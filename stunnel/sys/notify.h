/* SPDX-License-Identifier: ISC */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* What a service manager is told, by the protocol of sd_notify(3): a datagram to $NOTIFY_SOCKET. */

/*
 * Takes what the manager has said out of the environment, so that no program of ours finds it: its
 * socket, and how often it wants to hear of us. Before that, and without a socket, nothing is sent.
 */
void notify_open(void);

/* Whether somebody wants to be told. */
bool notify_wanted(void);

/* Whether it was the manager that started this very process, and not one that passed it on. */
bool notify_started_us(void);

/* Milliseconds within which the manager wants to hear that all is well; 0: it does not. */
uint64_t notify_watchdog_ms(void);

/*
 * Puts what notify_open() has taken back into the environment, for a program that is to take this
 * process's place; after notify_leave() nothing is sent any more.
 */
void notify_pass_on(void);
void notify_leave(void);

/* Sends lines of NAME=VALUE. What cannot be sent is lost; the first of such losses is logged. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
