/* SPDX-License-Identifier: ISC */
#include "tls/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "sys/log.h"

#define ATTEMPTS 3
#define SLOTS 32 /* phrases that are kept; one more takes the place of the oldest */

/* Slot SLOTS takes a phrase as it is typed, so that only locked memory ever holds one. */
static char (*slot)[TLS_SECRET_MAX + 1];
static const size_t slot_bytes = (SLOTS + 1) * sizeof *slot;
static size_t kept; /* phrases so far: the newest is in slot (kept - 1) % SLOTS */
static bool settled;

/* --- where phrases lie ------------------------------------------------------------------------ */

static void lock(void)
{
	if (mlock(slot, slot_bytes) != 0)
		log_main(LOG_WARNING, "Pass phrases may be swapped out: mlock: %s (%d)",
			 strerror(errno), errno);
	if (madvise(slot, slot_bytes, MADV_DONTDUMP) != 0)
		log_main(LOG_WARNING, "Pass phrases may get into core dumps: madvise: %s (%d)",
			 strerror(errno), errno);
}

static bool have_slots(void)
{
	void *p;

	if (slot)
		return true;
	p = mmap(NULL, slot_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	slot = p;
	lock();
	return true;
}

int tls_secret_give(char *to, int size, int writing, void *arg)
{
	struct tls_secret_offer *offer = arg;
	size_t len = offer->phrase ? strlen(offer->phrase) : 0;

	(void)writing;
	offer->asked = true;
	if (!offer->phrase || len > (size_t)size)
		return -1;
	memcpy(to, offer->phrase, len);
	return (int)len;
}

bool tls_secret_settle(void)
{
	settled = true;
	if (!slot)
		return true;
	lock(); /* mlock() is not inherited by the process that fork() put into the background */
	if (madvise(slot, slot_bytes, MADV_DONTFORK) == 0)
		return true;
	log_main(LOG_ERR, "Pass phrases cannot be kept from workers: madvise: %s (%d)",
		 strerror(errno), errno);
	OPENSSL_cleanse(slot, slot_bytes);
	kept = 0;
	return false;
}

static void keep_entered(void)
{
	memcpy(slot[kept++ % SLOTS], slot[SLOTS], sizeof *slot);
	if (kept > SLOTS)
		log_main(LOG_WARNING, "More than %d pass phrases: a reload will lack the oldest",
			 SLOTS);
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Returns 1, 0 at the end, or -1. Reading ahead would take the next program's input from a pipe. */
static int next_byte(int fd, int signals, char *c)
{
	struct pollfd due[] = {{fd, POLLIN, 0}, {signals, POLLIN, 0}};

	do
		if (poll(due, 2, -1) < 0 && errno != EINTR)
			return -1;
	while (due[0].revents == 0 && due[1].revents == 0);
	return due[1].revents != 0 ? -1 : (int)read(fd, c, 1);
}

/* Reads a line into phrase, without its end and cut at TLS_SECRET_MAX; false if there is none. */
static bool read_phrase(int fd, int signals, char *phrase)
{
	size_t len = 0;
	char c;
	int rc;

	while ((rc = next_byte(fd, signals, &c)) > 0 && c != '\n')
		if (len < TLS_SECRET_MAX && c != '\r')
			phrase[len++] = c;
	phrase[len] = '\0';
	return rc > 0 || (rc == 0 && len != 0);
}

/* Turns off the terminal's echo; *before: the settings to restore. False if fd is no terminal. */
static bool hide(int fd, struct termios *before)
{
	struct termios hidden;

	if (tcgetattr(fd, before) != 0)
		return false;
	hidden = *before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hidden.c_lflag |= ECHONL | ICANON | ISIG;
	return tcsetattr(fd, TCSANOW, &hidden) == 0;
}

/*
 * Reads a phrase into slot SLOTS. Signals that end the start are held back until the terminal's
 * echo is restored; then they take effect, unless the caller had blocked them.
 */
static bool prompt(int in, int out, const char *text, const char *path)
{
	static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	sigset_t ending, blocked, before;
	struct termios shown;
	bool hidden, ok;
	int signals;

	sigemptyset(&ending);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		sigaddset(&ending, ends[i]);
	blocked = ending;
	sigaddset(&blocked, SIGTSTP);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signals = signalfd(-1, &ending, SFD_CLOEXEC);
	hidden = hide(in, &shown);
	dprintf(out, "%sEnter pass phrase for %s:", text, path);
	ok = signals >= 0 && read_phrase(in, signals, slot[SLOTS]);
	if (hidden)
		tcsetattr(in, TCSANOW, &shown);
	else
		dprintf(out, "\n");
	if (signals >= 0)
		close(signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ok;
}

/* Asks on the terminal; without one, as in an init script, reads standard input. */
static bool enter(const char *text, const char *path)
{
	int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	bool ok;

	if (terminal < 0)
		return prompt(STDIN_FILENO, STDERR_FILENO, text, path);
	ok = prompt(terminal, terminal, text, path);
	close(terminal);
	return ok;
}

static enum tls_secret_try ask(const char *path,
			       enum tls_secret_try (*try)(void *arg, const char *phrase), void *arg,
			       char why[static TLS_WHY_MAX])
{
	enum tls_secret_try result = TLS_SECRET_WRONG;

	for (int attempt = 1; attempt <= ATTEMPTS && result == TLS_SECRET_WRONG; attempt++) {
		if (attempt > 1)
			log_main(LOG_WARNING, "Wrong password or PIN: retrying");
		if (!enter(attempt > 1 ? "Wrong pass phrase\n" : "", path)) {
			snprintf(why, TLS_WHY_MAX,
				 "it is encrypted, and no pass phrase was entered on the terminal, "
				 "nor on standard input where there is none");
			return TLS_SECRET_VAIN;
		}
		result = try(arg, slot[SLOTS]);
	}
	if (result == TLS_SECRET_FITS)
		keep_entered();
	if (result == TLS_SECRET_WRONG) {
		log_main(LOG_ERR, "Wrong password or PIN: giving up");
		snprintf(why, TLS_WHY_MAX, "it is encrypted, and not with what was entered");
	}
	return result;
}

bool tls_secret_open(const char *path, enum tls_secret_try (*try)(void *arg, const char *phrase),
		     void *arg, char why[static TLS_WHY_MAX])
{
	enum tls_secret_try result = TLS_SECRET_WRONG;

	for (size_t i = 0; i < SLOTS && i < kept && result == TLS_SECRET_WRONG; i++)
		result = try(arg, slot[(kept - 1 - i) % SLOTS]);
	if (result != TLS_SECRET_WRONG)
		return result == TLS_SECRET_FITS;
	if (settled) {
		snprintf(why, TLS_WHY_MAX,
			 "it is encrypted, and not with a pass phrase that was entered at the "
			 "start (a restart asks again)");
		return false;
	}
	if (!have_slots()) {
		snprintf(why, TLS_WHY_MAX, "there is no memory for its pass phrase");
		return false;
	}
	result = ask(path, try, arg, why);
	OPENSSL_cleanse(slot[SLOTS], sizeof *slot);
	return result == TLS_SECRET_FITS;
}
