/* SPDX-License-Identifier: ISC */
#include "sys/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/net_lookup.h"

#define FRESH_MS 5000	 /* how long an answer is used before the name is asked for again */
#define RETRY_MS 1000	 /* pause after a failed look-up */
#define PATIENCE_MS 1000 /* wait for a look-up while the set has addresses to connect to */
#define THREADS_MAX 128	 /* beyond which no client may have a name looked up that it chose */

struct resolve_name {
	struct resolve_name *next;
	size_t sets;		/* of which it is a member */
	struct net_addrs addrs; /* of the last answer */
	uint64_t due;		/* uv_now() when the name may be asked for again */
	uint64_t silent_since;	/* uv_now() of the first look-up since an answer; or 0 */
	struct job *job;	/* the look-up that is under way, or NULL */
	char why[256];		/* the last failure */
	char text[];
};

struct resolve_set {
	struct resolve_set *next;
	struct resolve *of;
	bool dropped;
	struct waiting *waiting;
	size_t count;
	struct resolve_name *name[];
};

/* Shared by the worker and its look-up threads; the last holder frees it, whoever ends first. */
struct resolve_mailbox {
	pthread_mutex_t lock;
	size_t holders;	  /* the worker, and each look-up thread */
	uv_async_t *mail; /* wakes the worker; NULL: the worker takes no more answers */
	struct job *done;
};

struct job {
	struct net_lookup lookup; /* the first member */
	struct job *next;	  /* in resolve_mailbox.done */
	struct resolve_mailbox *mailbox;
	struct resolve_name *name; /* the worker's: no thread may touch it */
	char text[];
};

/* --- the mailbox ------------------------------------------------------------------------------ */

static struct resolve_mailbox *mailbox_new(uv_async_t *mail)
{
	struct resolve_mailbox *box = calloc(1, sizeof *box);

	if (!box)
		return NULL;
	pthread_mutex_init(&box->lock, NULL);
	box->holders = 1;
	box->mail = mail;
	return box;
}

static void job_free(struct job *job)
{
	free(job->lookup.found.addr);
	free(job);
}

/* Gives up one hold on the mailbox and its lock, which the caller has; the last holder frees it. */
static void mailbox_leave(struct resolve_mailbox *box)
{
	size_t left = --box->holders;

	pthread_mutex_unlock(&box->lock);
	if (left != 0)
		return;
	pthread_mutex_destroy(&box->lock);
	free(box);
}

/* Runs in the look-up's thread. */
static void deliver(struct net_lookup *lookup)
{
	struct job *job = (struct job *)lookup;
	struct resolve_mailbox *box = job->mailbox;

	pthread_mutex_lock(&box->lock);
	if (box->mail) {
		job->next = box->done;
		box->done = job;
		uv_async_send(box->mail);
	} else {
		job_free(job);
	}
	mailbox_leave(box);
}

static struct job *mailbox_take(struct resolve_mailbox *box)
{
	struct job *done;

	pthread_mutex_lock(&box->lock);
	done = box->done;
	box->done = NULL;
	pthread_mutex_unlock(&box->lock);
	return done;
}

/* The worker's hold ends: look-up threads that are still running free their answers themselves. */
static void mailbox_close(struct resolve_mailbox *box)
{
	struct job *done;

	pthread_mutex_lock(&box->lock);
	box->mail = NULL;
	done = box->done;
	mailbox_leave(box);
	while (done) {
		struct job *next = done->next;

		job_free(done);
		done = next;
	}
}

/* --- look-ups --------------------------------------------------------------------------------- */

static void failed(struct resolve *r, struct resolve_name *name, const char *why)
{
	snprintf(name->why, sizeof name->why, "%s", why);
	name->due = uv_now(r->loop) + RETRY_MS;
}

static void take_answer(struct resolve *r, struct resolve_name *name, struct net_lookup *lookup)
{
	if (lookup->answer != NET_RESOLVED)
		failed(r, name, lookup->why);
	else
		name->due = uv_now(r->loop) + FRESH_MS;
	if (lookup->answer == NET_NO_ANSWER)
		return;
	name->silent_since = 0;
	free(name->addrs.addr);
	name->addrs = lookup->found;
	lookup->found = (struct net_addrs){0};
}

/* Resolves a Unix path or numeric address at once, since that cannot block. */
static void convert(struct resolve *r, struct resolve_name *name)
{
	struct net_lookup lookup = {0};

	lookup.answer = net_lookup(name->text, false, &lookup.found, lookup.why);
	take_answer(r, name, &lookup);
}

static struct job *job_new(struct resolve *r, struct resolve_name *name)
{
	size_t size = strlen(name->text) + 1;
	struct job *job = calloc(1, sizeof *job + size);

	if (!job)
		return NULL;
	memcpy(job->text, name->text, size);
	job->lookup = (struct net_lookup){.text = job->text, .done = deliver};
	job->mailbox = r->mailbox;
	job->name = name;
	return job;
}

/* Starts a look-up in a thread of its own; 0 or -errno. */
static int send_out(struct resolve *r, struct resolve_name *name)
{
	struct job *job = job_new(r, name);
	int rc;

	if (!job)
		return -ENOMEM;
	pthread_mutex_lock(&r->mailbox->lock);
	r->mailbox->holders++;
	pthread_mutex_unlock(&r->mailbox->lock);
	rc = net_lookup_start(&job->lookup);
	if (rc == 0) {
		r->threads++;
		name->job = job;
		return 0;
	}
	pthread_mutex_lock(&r->mailbox->lock);
	mailbox_leave(r->mailbox);
	job_free(job);
	return rc;
}

static void begin(struct resolve *r, struct resolve_name *name)
{
	int rc;

	if (!net_lookup_blocks(name->text)) {
		convert(r, name);
		return;
	}
	if (name->silent_since == 0)
		name->silent_since = uv_now(r->loop);
	rc = send_out(r, name);
	if (rc != 0)
		failed(r, name, strerror(-rc));
}

static bool is_member(const struct resolve_set *set, const struct resolve_name *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->name[i] == name)
			return true;
	return false;
}

static void name_free(struct resolve_name *name)
{
	free(name->addrs.addr);
	free(name);
}

static void set_free(struct resolve_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		set->name[i]->sets--;
	free(set);
}

/* wake() may add a wait to the set or cancel others: the list is detached before the first call. */
static void wake_all(struct resolve_set *set)
{
	struct waiting *list = set->waiting;

	set->waiting = NULL;
	if (list)
		list->at = &list;
	while (list)
		waiting_wake(list);
}

/* Frees the sets that were dropped, and then what names nobody has and no thread looks up. */
static void sweep(struct resolve *r)
{
	for (struct resolve_set **at = &r->sets; *at;) {
		struct resolve_set *set = *at;

		if (!set->dropped) {
			at = &set->next;
			continue;
		}
		*at = set->next;
		set_free(set);
	}
	for (struct resolve_name **at = &r->names; *at;) {
		struct resolve_name *name = *at;

		if (name->sets != 0 || name->job) {
			at = &name->next;
			continue;
		}
		*at = name->next;
		name_free(name);
	}
}

static void on_mail(uv_async_t *mail)
{
	struct resolve *r = mail->data;
	struct job *done = mailbox_take(r->mailbox);

	r->waking = true;
	while (done) {
		struct job *job = done;
		struct resolve_name *name = job->name;

		done = job->next;
		name->job = NULL;
		r->threads--;
		take_answer(r, name, &job->lookup);
		job_free(job);
		for (struct resolve_set *set = r->sets; set; set = set->next)
			if (is_member(set, name))
				wake_all(set);
	}
	r->waking = false;
	sweep(r);
}

/* --- what connections ask --------------------------------------------------------------------- */

static bool has_addresses(const struct resolve_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->name[i]->addrs.count != 0)
			return true;
	return false;
}

bool resolve_ready(struct resolve *r, struct resolve_set *set, struct waiting *wait)
{
	uint64_t now = uv_now(r->loop);
	bool waits = false;

	for (size_t i = 0; i < set->count; i++) {
		if (!set->name[i]->job && set->name[i]->due <= now)
			begin(r, set->name[i]);
		waits |= set->name[i]->job != NULL;
	}
	if (!waits || resolve_patience(set) <= now) {
		waiting_leave(wait);
		return true;
	}
	if (!waiting_is(wait))
		waiting_enter(&set->waiting, wait);
	return false;
}

uint64_t resolve_patience(const struct resolve_set *set)
{
	uint64_t end = 0;

	if (!has_addresses(set))
		return UINT64_MAX;
	for (size_t i = 0; i < set->count; i++)
		if (set->name[i]->job && set->name[i]->silent_since + PATIENCE_MS > end)
			end = set->name[i]->silent_since + PATIENCE_MS;
	return end;
}

bool resolve_take(const struct resolve_set *set, struct net_addrs *found, const char **why)
{
	*why = set->count != 0 ? "No answer yet" : "none of the targets can be an address";
	for (size_t i = 0; i < set->count; i++) {
		if (!net_append(found, &set->name[i]->addrs))
			*why = "Out of memory";
		if (set->name[i]->why[0])
			*why = set->name[i]->why;
	}
	return found->count != 0;
}

/* --- names and sets --------------------------------------------------------------------------- */

static struct resolve_name *find_name(struct resolve *r, const char *text)
{
	struct resolve_name *name = r->names;
	size_t size = strlen(text) + 1;

	while (name && strcmp(name->text, text) != 0)
		name = name->next;
	if (name)
		return name;
	name = calloc(1, sizeof *name + size);
	if (!name)
		return NULL;
	memcpy(name->text, text, size);
	name->next = r->names;
	r->names = name;
	return name;
}

struct resolve_set *resolve_set(struct resolve *r, const char *const *texts, size_t count)
{
	struct resolve_set *set = calloc(1, sizeof *set + count * sizeof set->name[0]);

	if (!set)
		return NULL;
	for (; set->count < count; set->count++) {
		set->name[set->count] = find_name(r, texts[set->count]);
		if (!set->name[set->count]) {
			set_free(set);
			return NULL;
		}
		set->name[set->count]->sets++;
	}
	set->of = r;
	set->next = r->sets;
	r->sets = set;
	return set;
}

bool resolve_busy(const struct resolve *r)
{
	return r->threads >= THREADS_MAX;
}

void resolve_drop(struct resolve_set *set)
{
	if (!set)
		return;
	set->dropped = true;
	if (!set->of->waking)
		sweep(set->of);
}

bool resolve_open(struct resolve *r, uv_loop_t *loop)
{
	*r = (struct resolve){.loop = loop};
	r->mailbox = mailbox_new(&r->mail);
	if (!r->mailbox)
		return false;
	if (uv_async_init(loop, &r->mail, on_mail) != 0) {
		free(r->mailbox);
		return false;
	}
	r->mail.data = r;
	return true;
}

void resolve_close(struct resolve *r)
{
	mailbox_close(r->mailbox);
	uv_close((uv_handle_t *)&r->mail, NULL);
}

void resolve_free(struct resolve *r)
{
	while (r->sets) {
		struct resolve_set *next = r->sets->next;

		free(r->sets);
		r->sets = next;
	}
	while (r->names) {
		struct resolve_name *next = r->names->next;

		name_free(r->names);
		r->names = next;
	}
}
