/* SPDX-License-Identifier: ISC */
static long parse_ssl_option(char *name)
{
	const struct row *row;

	for (row = rows; row->name; row++)
		if (!strcmp(row->name, name))
			return row->value;
	return 0;
}

static char *take(char *word)
{
	long bits;

	bits = parse_ssl_option(word);
	if (!bits)
		return "unknown";
	return NULL;
}
