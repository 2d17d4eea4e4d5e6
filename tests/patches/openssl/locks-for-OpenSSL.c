/* SPDX-License-Identifier: ISC */
static pthread_mutex_t some[CRYPTO_NUM_LOCKS];
static pthread_mutex_t *more;

NOEXPORT void lock(int mode, int number, const char *file, int line)
{
	pthread_mutex_lock(some + number);
}

NOEXPORT void name_thread(CRYPTO_THREADID *id)
{
	CRYPTO_THREADID_set_numeric(id, 1);
}

unsigned long stunnel_thread(void)
{
	return 1;
}

int set_up(void)
{
	int n;

	more = str_alloc(CRYPTO_num_locks() * sizeof(pthread_mutex_t));
	str_detach(more);
	for (n = 0; n < CRYPTO_num_locks(); n++)
		pthread_mutex_init(more + n, NULL);
	for (n = 0; n < CRYPTO_NUM_LOCKS; n++)
		pthread_mutex_init(some + n, NULL);
	CRYPTO_set_id_callback(stunnel_thread);
	CRYPTO_THREADID_set_callback(name_thread);
	CRYPTO_set_locking_callback(lock);
	return 0;
}
