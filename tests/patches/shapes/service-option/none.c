/* SPDX-License-Identifier: ISC */
/* Options of all services: what is told of the command is of another kind. */
static char *parse_global_option(CMD now, char *word, char *rest)
{
	if (now == CMD_DEFAULT || now == CMD_HELP)
		s_log(LOG_NOTICE, "Service-level options:");
	return take_global(now, word, rest);
}
