/* SPDX-License-Identifier: ISC */
/* Two pointers: a name can lead to another section. */
static char *parse_service_option(CMD now, SERVICE_OPTIONS **one, char *word, char *rest)
{
	SERVICE_OPTIONS *it;

	it = one ? *one : NULL;
	if (now == CMD_SET_COPY) {
		it->users = 1;
	} else if (now == CMD_PRINT_HELP) {
		s_log(LOG_NOTICE, "Service-level options:");
	}
	switch (now) {
	case CMD_SET_VALUE:
		return word;
	case CMD_FREE:
		break;
	}
	return rest;
}
