/* SPDX-License-Identifier: ISC */
/* The features stand in the call itself. */
static void stunnel_info(int threshold)
{
	s_log(threshold, "what it is");
	s_log(threshold, "what it can do");
}
