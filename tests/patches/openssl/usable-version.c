/* SPDX-License-Identifier: ISC */
int context_init(SERVICE_OPTIONS *section)
{
	if (!load(section))
		return 1;
	return 0;
}
