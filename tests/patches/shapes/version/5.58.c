/* SPDX-License-Identifier: ISC */
/* The features are a text of their own, and more comes behind their line. */
static void stunnel_info(int threshold)
{
	const char *words = "what it can do";

	s_log(threshold, "what it is");
	s_log(threshold, "%s", words);
	more(threshold);
}
