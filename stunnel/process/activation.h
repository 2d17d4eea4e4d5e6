/* SPDX-License-Identifier: ISC */
#ifndef ACTIVATION_H
#define ACTIVATION_H

#include <stdbool.h>

#include "process/bind.h"

/*
 * Sockets that systemd, or who does as sd_listen_fds(3) says, has opened and listens on for us:
 * each is for the section of its name, or else for the next one that has `accept` and none yet, as
 * in stock. Called once, before the first bind_all(); programs that we start see nothing of them.
 * False, logged, if there are more sockets than sections, or one that nobody can accept from.
 */
bool activation_adopt(struct bind_address **list, const struct config *config);

#endif
