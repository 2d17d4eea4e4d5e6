/* SPDX-License-Identifier: ISC */
/* One pointer; what global options begin with looks the same but for its heading. */
static char *parse_global_option(CMD now, char *word, char *rest)
{
	if (now == CMD_DEFAULT || now == CMD_HELP)
		s_log(LOG_NOTICE, "Options of all services:");
	return take_global(now, word, rest);
}

static char *parse_service_option(CMD now, SERVICE_OPTIONS *one, char *word, char *rest)
{
	int ends = 0;

	if (now == CMD_DEFAULT || now == CMD_HELP) {
		s_log(LOG_NOTICE, " ");
		s_log(LOG_NOTICE, "Service-level options:");
	}
	switch (now) {
	case CMD_EXEC:
		if (one->first)
			ends++;
		break;
	case CMD_HELP:
		break;
	}
	return ends ? word : rest;
}
