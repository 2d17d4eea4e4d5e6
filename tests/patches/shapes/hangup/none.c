/* SPDX-License-Identifier: ISC */
/* It is asked whether something is left. */
static void transfer(CLI *one)
{
	int door = 1;

	do {
		wait_for(one);
		if (door && s_poll_hup(one->fds, one->sock_rfd->fd) && !left(one->sock_rfd->fd)) {
			s_log(LOG_INFO, "the other side has gone");
			door = 0;
		}
		read_from(one);
	} while (door);
}
