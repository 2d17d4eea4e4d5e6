/* SPDX-License-Identifier: ISC */
/* Who has hung up is not read from any more, whatever is left. */
static void transfer(CLI *one)
{
	int door = 1;

	do {
		wait_for(one);
		if (s_poll_hup(one->fds, one->sock_rfd->fd)) {
			s_log(LOG_INFO, "the other side has gone");
			door = 0;
		}
		if (door)
			read_from(one);
	} while (door);
}
