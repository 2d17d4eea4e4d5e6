/* SPDX-License-Identifier: ISC */
#include "forward_blocks.h"

#include "forward_stock.h"

struct block {
	struct forward_options options; /* first, since section->forward points here */
	char *lines;			/* that set the options; NULL: not to be kept */
	struct block *next;
};

/* Blocks of the file that is being read, and of sections in use, if stock never frees sections. */
static struct block *drafts, *kept;

static struct block *block_of(const SERVICE_OPTIONS *section)
{
	return (struct block *)section->forward;
}

static void release(struct block *b)
{
	if (b->lines)
		str_free(b->lines);
	str_free(b);
}

static void preset(struct forward_options *o)
{
	service_default(&o->service);
	exchange_format(&o->log_format, "combined");
}

/* Gives the section a new block: a copy of *from, or of the presets if from is NULL. */
static void make(SERVICE_OPTIONS *section, const struct block *from)
{
	struct block *b = str_alloc(sizeof *b);

	memset(b, 0, sizeof *b);
	if (from)
		b->options = from->options;
	else
		preset(&b->options);
	section->forward = &b->options;
	if (stock_frees_sections()) {
		str_detach(b); /* any thread may be the last one to use the section */
		return;
	}
	/* Not detached: such memory of the first file counts as overwritten in stocks to 4.47. */
	b->lines = str_dup(from ? from->lines : "");
	b->next = drafts;
	drafts = b;
}

void blocks_begin(SERVICE_OPTIONS *defaults)
{
	defaults->forward = NULL;
	while (drafts) {
		struct block *b = drafts;

		drafts = b->next;
		release(b);
	}
}

struct forward_options *blocks_own(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults)
{
	if (!section->forward)
		make(section, NULL);
	else if (section != defaults && section->forward == defaults->forward)
		make(section, block_of(defaults));
	return section->forward;
}

void blocks_line(SERVICE_OPTIONS *section, const char *name, const char *value)
{
	struct block *b = block_of(section);
	char *longer;

	if (!b->lines)
		return;
	longer = str_printf("%s%s=%s\n", b->lines, name, value);
	str_free(b->lines);
	b->lines = longer;
}

void blocks_copy(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults)
{
	section->forward = NULL;
	if (defaults->forward)
		make(section, block_of(defaults));
}

void blocks_keep(SERVICE_OPTIONS *section)
{
	struct block *b = block_of(section), **at = &drafts, *same = kept;

	while (*at && *at != b)
		at = &(*at)->next;
	if (!*at)
		return; /* no draft: stock frees sections, and the block goes with its section */
	*at = b->next;
	while (same && strcmp(same->lines, b->lines) != 0)
		same = same->next;
	if (same) {
		release(b);
		b = same;
	} else {
		b->next = kept;
		kept = b;
	}
	section->forward = &b->options;
}

void blocks_free(SERVICE_OPTIONS *section)
{
	struct block *b = block_of(section);

	section->forward = NULL;
	if (b)
		release(b);
}
