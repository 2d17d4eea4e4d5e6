/* SPDX-License-Identifier: ISC */
extern int stunnel_locks[MANY];
int stunnel_locks[MANY];

void set_up(void)
{
	for (int n = 0; n < MANY; n++)
		stunnel_locks[n] = CRYPTO_get_new_dynlockid();
}
