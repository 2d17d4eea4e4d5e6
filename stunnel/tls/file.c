/* SPDX-License-Identifier: ISC */
#include "tls/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls/key.h"
#include "tls/secret.h"
#include "tls/store.h"

#define BYTES_MAX (1024 * 1024) /* no certificate with its chain and key comes near */

enum form {
	FORM_PEM, /* also for content of no known form */
	FORM_DER,
	FORM_PKCS12,
	FORM_STORE, /* a URI: certs and key are all that is known */
};

struct tls_file {
	const char *path;
	unsigned char *bytes;
	size_t len;
	size_t skip; /* length of a byte order mark at the beginning */
	enum form form;
	STACK_OF(X509) * certs;
	EVP_PKEY *key;
};

/* For encryption that OpenSSL 3 has in its legacy provider only, which is not loaded. */
static const char legacy_key[] =
	"its encryption is one that OpenSSL has given up: openssl pkey -provider legacy -provider "
	"default -aes256 -in FILE -out NEW writes it anew";
static const char legacy_pkcs12[] =
	"its encryption is one that OpenSSL has given up: openssl pkcs12 -legacy -in FILE -out NEW "
	"turns it into PEM";

/* --- what there is in files ------------------------------------------------------------------- */

static const struct kind {
	const char *label; /* in PEM: those of RFC 7468, and of OpenSSL, OpenSSH and OpenPGP */
	enum tls_file_holds holds;
	const char *name;
	const char *advice; /* or NULL */
} kinds[] = {
	{"CERTIFICATE", TLS_FILE_CERT, "a certificate", NULL},
	{"TRUSTED CERTIFICATE", TLS_FILE_CERT, "a certificate", NULL},
	{"X509 CERTIFICATE", TLS_FILE_CERT, "a certificate", NULL},
	{"PRIVATE KEY", TLS_FILE_KEY, "a private key", NULL},
	{"ENCRYPTED PRIVATE KEY", TLS_FILE_KEY, "a private key", NULL},
	{"RSA PRIVATE KEY", TLS_FILE_KEY, "a private key", NULL},
	{"EC PRIVATE KEY", TLS_FILE_KEY, "a private key", NULL},
	{"DSA PRIVATE KEY", TLS_FILE_KEY, "a private key", NULL},
	{"X509 CRL", TLS_FILE_CRL, "a list of revoked certificates", NULL},
	{"CERTIFICATE REQUEST", TLS_FILE_OTHER, "a request for a certificate (CSR)",
	 "what is wanted is the certificate that a CA makes of it"},
	{"NEW CERTIFICATE REQUEST", TLS_FILE_OTHER, "a request for a certificate (CSR)",
	 "what is wanted is the certificate that a CA makes of it"},
	{"PUBLIC KEY", TLS_FILE_OTHER, "a public key", NULL},
	{"RSA PUBLIC KEY", TLS_FILE_OTHER, "a public key", NULL},
	{"PKCS7", TLS_FILE_OTHER, "a PKCS#7 bundle", "openssl pkcs7 -print_certs unpacks it"},
	{"CMS", TLS_FILE_OTHER, "a PKCS#7 bundle", "openssl pkcs7 -print_certs unpacks it"},
	{"OPENSSH PRIVATE KEY", TLS_FILE_OTHER, "a private key in OpenSSH's own format",
	 "ssh-keygen -p -m PKCS8 -f FILE turns it into PEM"},
	{"SSH2 PUBLIC KEY", TLS_FILE_OTHER, "a public key of SSH", NULL},
	{"PGP PUBLIC KEY BLOCK", TLS_FILE_OTHER, "a public key of OpenPGP", NULL},
	{"PGP PRIVATE KEY BLOCK", TLS_FILE_OTHER, "a private key of OpenPGP", NULL},
	{"DH PARAMETERS", TLS_FILE_OTHER, "DH parameters", NULL},
	{"X9.42 DH PARAMETERS", TLS_FILE_OTHER, "DH parameters", NULL},
	{"EC PARAMETERS", TLS_FILE_OTHER, "EC parameters", NULL},
	{"DSA PARAMETERS", TLS_FILE_OTHER, "DSA parameters", NULL},
};

#define KINDS (sizeof kinds / sizeof kinds[0])

static const struct kind other_pem = {NULL, TLS_FILE_OTHER, "PEM of a kind that has no use here",
				      NULL};
static const struct kind pkcs12 = {NULL, TLS_FILE_OTHER, "PKCS#12", NULL};

static const struct kind *kind_of(const char *label)
{
	for (size_t i = 0; i < KINDS; i++)
		if (!strcmp(label, kinds[i].label))
			return &kinds[i];
	return &other_pem;
}

/* The kind of object in a DER file, found by its ASN.1 type, or NULL if none of these fits. */
static const struct kind *kind_of_der(const unsigned char *bytes, size_t len)
{
	static const struct {
		const ASN1_ITEM *(*shape)(void);
		const char *label;
	} ders[] = {
		{X509_it, "CERTIFICATE"},
		{PKCS8_PRIV_KEY_INFO_it, "PRIVATE KEY"},
		{X509_SIG_it, "ENCRYPTED PRIVATE KEY"},
		{X509_CRL_it, "X509 CRL"},
		{X509_REQ_it, "CERTIFICATE REQUEST"},
		{X509_PUBKEY_it, "PUBLIC KEY"},
		{PKCS7_it, "PKCS7"},
	};
	const unsigned char *p = bytes;
	EVP_PKEY *key;

	for (size_t i = 0; i < sizeof ders / sizeof ders[0]; i++) {
		const ASN1_ITEM *shape = ders[i].shape();
		ASN1_VALUE *value;

		p = bytes;
		value = ASN1_item_d2i(NULL, &p, (long)len, shape);
		if (!value)
			continue;
		ASN1_item_free(value, shape);
		return kind_of(ders[i].label);
	}
	p = bytes;
	key = d2i_AutoPrivateKey(NULL, &p, (long)len);
	EVP_PKEY_free(key);
	return key ? kind_of("PRIVATE KEY") : NULL;
}

/* --- telling what is there instead ------------------------------------------------------------ */

static BIO *content(const struct tls_file *file)
{
	if (!file->bytes) /* of a URI */
		return BIO_new_mem_buf("", 0);
	return BIO_new_mem_buf(file->bytes + file->skip, (int)(file->len - file->skip));
}

/* Lists the file's PEM kinds, each once; ERR_peek_last_error() tells a clean end from damage. */
static size_t list_kinds(const struct tls_file *file, const struct kind *found[static KINDS])
{
	BIO *bio = content(file);
	char *name, *header;
	unsigned char *data;
	size_t count = 0;
	long len;

	ERR_clear_error();
	while (bio && count < KINDS && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
		const struct kind *kind = kind_of(name);
		size_t i = 0;

		while (i < count && strcmp(found[i]->name, kind->name) != 0)
			i++;
		if (i == count)
			found[count++] = kind;
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	BIO_free(bio);
	return count;
}

static void say(char why[static TLS_WHY_MAX], const char *text)
{
	snprintf(why, TLS_WHY_MAX, "%s", text);
}

/*
 * Says "it holds A, B and no private key: ADVICE". The caller's advice is for a certificate where a
 * key is wanted, or the reverse; any other kind has advice of its own.
 */
static void say_found(char why[static TLS_WHY_MAX], const struct kind *const *found, size_t count,
		      enum tls_file_holds wanted, const char *advice)
{
	static const char *const names[] = {"certificate", "private key",
					    "list of revoked certificates"};
	const char *said = NULL;
	size_t at = (size_t)snprintf(why, TLS_WHY_MAX, "it holds ");

	for (size_t i = 0; i < count && at < TLS_WHY_MAX / 2; i++) {
		at += (size_t)snprintf(why + at, TLS_WHY_MAX - at, "%s%s", i != 0 ? ", " : "",
				       found[i]->name);
		if (!said || found[i]->holds == TLS_FILE_CERT || found[i]->holds == TLS_FILE_KEY)
			said = found[i]->holds == TLS_FILE_OTHER ? found[i]->advice : advice;
	}
	snprintf(why + at, TLS_WHY_MAX - at, " and no %s%s%s", names[wanted], said ? ": " : "",
		 said ? said : "");
}

/* Whether an object of the wanted kind is there, though it could not be read. */
static bool holds(const struct kind *const *found, size_t count, enum tls_file_holds wanted)
{
	for (size_t i = 0; i < count; i++)
		if (found[i]->holds == wanted)
			return true;
	return false;
}

static void explain_pem(const struct tls_file *file, enum tls_file_holds wanted, const char *advice,
			char why[static TLS_WHY_MAX])
{
	const struct kind *found[KINDS];
	size_t count = list_kinds(file, found);
	unsigned long end = ERR_peek_last_error();

	if (end != 0 && ERR_GET_REASON(end) != PEM_R_NO_START_LINE)
		snprintf(why, TLS_WHY_MAX, "it is damaged PEM: %.200s",
			 ERR_reason_error_string(end));
	else if (holds(found, count, wanted))
		say(why, "what it holds cannot be read");
	else if (count != 0)
		say_found(why, found, count, wanted, advice);
	else if (file->len == 0)
		say(why, "it is empty");
	else if (file->len > 2 &&
		 (!memcmp(file->bytes, "\xff\xfe", 2) || !memcmp(file->bytes, "\xfe\xff", 2)))
		say(why, "it is UTF-16 text, and PEM is ASCII: save it anew");
	else
		say(why, "it holds neither PEM nor DER nor PKCS#12");
}

static void explain(const struct tls_file *file, enum tls_file_holds wanted, const char *advice,
		    char why[static TLS_WHY_MAX])
{
	const struct kind *found = &pkcs12;

	if (file->form == FORM_STORE)
		say(why, wanted == TLS_FILE_KEY ? "no private key" : "no certificate");
	if (file->form == FORM_PEM)
		explain_pem(file, wanted, advice, why);
	if (file->form == FORM_STORE || file->form == FORM_PEM)
		return;
	if (file->form == FORM_DER)
		found = kind_of_der(file->bytes, file->len);
	if (found->holds == wanted || (found == &pkcs12 && !file->certs))
		say(why, "it is not PEM, which is wanted");
	else
		say_found(why, &found, 1, wanted, advice);
}

void tls_file_explain(const char *path, enum tls_file_holds wanted, char why[static TLS_WHY_MAX])
{
	struct tls_file *file = tls_file_open(path, why);

	if (file)
		explain(file, wanted, NULL, why);
	ERR_clear_error();
	tls_file_close(file);
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool read_all(int fd, struct tls_file *file)
{
	for (;;) {
		ssize_t n = read(fd, file->bytes + file->len, BYTES_MAX - file->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			return true;
		file->len += (size_t)n;
	}
}

static void find_form(struct tls_file *file)
{
	const unsigned char *p = file->bytes;
	PKCS12 *p12;

	if (file->len > 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		file->skip = 3;
	if (file->len == 0 || p[0] != (V_ASN1_CONSTRUCTED | V_ASN1_SEQUENCE))
		return;
	p12 = d2i_PKCS12(NULL, &p, (long)file->len);
	if (p12)
		file->form = FORM_PKCS12;
	else if (kind_of_der(file->bytes, file->len))
		file->form = FORM_DER;
	PKCS12_free(p12);
	ERR_clear_error();
}

struct tls_file *tls_file_open(const char *path, char why[static TLS_WHY_MAX])
{
	struct tls_file *file = calloc(1, sizeof *file);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool ok;

	/* A buffer that grew by realloc() would leave copies of a private key in freed memory. */
	if (file)
		file->bytes = malloc(BYTES_MAX);
	ok = fd >= 0 && file && file->bytes && read_all(fd, file);
	if (!ok)
		snprintf(why, TLS_WHY_MAX, "%s", strerror(errno));
	else if (file->len == BYTES_MAX)
		say(why, "it is too large for a file of certificates and keys");
	if (fd >= 0)
		close(fd);
	if (!ok || file->len == BYTES_MAX) {
		tls_file_close(file);
		return NULL;
	}
	file->path = path;
	find_form(file);
	return file;
}

struct tls_file *tls_file_open_uri(const char *path, char why[static TLS_WHY_MAX])
{
	struct tls_file *file;

	if (!tls_store_is_uri(path))
		return tls_file_open(path, why);
	file = calloc(1, sizeof *file);
	if (file)
		*file = (struct tls_file){.form = FORM_STORE, .certs = sk_X509_new_null()};
	if (file && file->certs && tls_store_load(path, file->certs, &file->key, why))
		return file;
	tls_file_close(file);
	return NULL;
}

void tls_file_close(struct tls_file *file)
{
	if (!file)
		return;
	if (file->bytes)
		OPENSSL_cleanse(file->bytes, file->len);
	free(file->bytes);
	sk_X509_pop_free(file->certs, X509_free);
	EVP_PKEY_free(file->key);
	free(file);
}

char *tls_file_text(struct tls_file *file)
{
	file->bytes[file->len] = '\0'; /* within the BYTES_MAX bytes */
	return (char *)file->bytes + file->skip;
}

/* --- what is encrypted ------------------------------------------------------------------------ */

/* One attempt to decrypt a file; asked: OpenSSL wanted a pass phrase. */
struct attempt {
	struct tls_file *file;
	char *why; /* TLS_WHY_MAX bytes */
	struct tls_secret_offer offer;
};

/* Whether OpenSSL lacks the cipher, so that no pass phrase helps; empties the error queue. */
static bool lacks_algorithm(void)
{
	unsigned long error;
	bool lacks = false;

	while ((error = ERR_get_error()) != 0) {
		int lib = ERR_GET_LIB(error), reason = ERR_GET_REASON(error);

		lacks |= lib == ERR_LIB_EVP && reason == ERR_R_UNSUPPORTED;
		lacks |= lib == ERR_LIB_PEM && reason == PEM_R_UNSUPPORTED_ENCRYPTION;
	}
	return lacks;
}

static EVP_PKEY *read_key(struct attempt *a)
{
	BIO *bio = content(a->file);
	EVP_PKEY *key = NULL;

	ERR_clear_error();
	if (bio && a->file->form == FORM_DER)
		key = d2i_PrivateKey_bio(bio, NULL);
	if (bio && a->file->form == FORM_DER && !key && BIO_reset(bio) == 1)
		key = d2i_PKCS8PrivateKey_bio(bio, NULL, tls_secret_give, &a->offer);
	if (bio && a->file->form == FORM_PEM)
		key = tls_key_plain(bio);
	if (bio && a->file->form == FORM_PEM && !key && BIO_reset(bio) == 1)
		key = PEM_read_bio_PrivateKey(bio, NULL, tls_secret_give, &a->offer);
	BIO_free(bio);
	return key;
}

static enum tls_secret_try try_key(void *arg, const char *phrase)
{
	struct attempt *a = arg;

	a->offer.phrase = phrase;
	a->file->key = read_key(a);
	if (a->file->key)
		return TLS_SECRET_FITS;
	if (!lacks_algorithm())
		return TLS_SECRET_WRONG;
	say(a->why, legacy_key);
	return TLS_SECRET_VAIN;
}

/* PKCS#12 prescribes no order of certificates, but TLS does: each certifies the one before it. */
static void order_chain(STACK_OF(X509) * certs)
{
	for (int i = 0; i + 2 < sk_X509_num(certs); i++)
		for (int j = i + 1; j < sk_X509_num(certs); j++) {
			X509 *issuer = sk_X509_value(certs, j);

			if (X509_check_issued(issuer, sk_X509_value(certs, i)) != X509_V_OK)
				continue;
			sk_X509_delete(certs, j);
			sk_X509_insert(certs, issuer, i + 1);
			break;
		}
}

/* Tools encode an empty pass phrase either as an empty string or as none at all. */
static bool fits_pkcs12(PKCS12 *p12, const char *phrase)
{
	return PKCS12_verify_mac(p12, phrase, -1) == 1 ||
	       (!*phrase && PKCS12_verify_mac(p12, NULL, 0) == 1);
}

/* True without a leaf, too: such a file may still hold the key, or CA certificates. */
static bool take_pkcs12(struct tls_file *file, PKCS12 *p12, const char *phrase)
{
	X509 *leaf = NULL;

	if (PKCS12_parse(p12, phrase, &file->key, &leaf, &file->certs) != 1)
		return false;
	if (!file->certs)
		file->certs = sk_X509_new_null();
	if (leaf && (!file->certs || sk_X509_unshift(file->certs, leaf) <= 0))
		X509_free(leaf);
	order_chain(file->certs);
	return true;
}

static enum tls_secret_try try_pkcs12(void *arg, const char *phrase)
{
	struct attempt *a = arg;
	const unsigned char *p = a->file->bytes;
	PKCS12 *p12 = d2i_PKCS12(NULL, &p, (long)a->file->len);
	bool has_mac = PKCS12_mac_present(p12) == 1;
	bool fits = !has_mac || fits_pkcs12(p12, phrase);
	bool taken;

	ERR_clear_error();
	taken = fits && take_pkcs12(a->file, p12, phrase);
	PKCS12_free(p12);
	if (taken)
		return TLS_SECRET_FITS;
	if (fits && lacks_algorithm())
		say(a->why, legacy_pkcs12);
	else if (fits && has_mac)
		say(a->why, "what it holds cannot be read");
	else
		return TLS_SECRET_WRONG;
	return TLS_SECRET_VAIN;
}

static bool open_pkcs12(struct tls_file *file, char why[static TLS_WHY_MAX])
{
	struct attempt a = {.file = file, .why = why};
	enum tls_secret_try result = file->certs ? TLS_SECRET_FITS : try_pkcs12(&a, "");

	if (result == TLS_SECRET_WRONG)
		return tls_secret_open(file->path, try_pkcs12, &a, why);
	return result == TLS_SECRET_FITS;
}

/* --- certificates and keys -------------------------------------------------------------------- */

/* False if PEM is damaged, even behind a good certificate: a cut chain would go unnoticed. */
static bool read_certs(struct tls_file *file)
{
	struct attempt none = {.file = file};
	BIO *bio = content(file);
	X509 *cert = NULL;

	ERR_clear_error();
	file->certs = sk_X509_new_null();
	if (bio && file->certs && file->form == FORM_DER)
		cert = d2i_X509_bio(bio, NULL);
	else if (bio && file->certs)
		cert = PEM_read_bio_X509_AUX(bio, NULL, tls_secret_give, &none.offer);
	while (cert && sk_X509_push(file->certs, cert) > 0)
		cert = file->form == FORM_DER
			       ? NULL
			       : PEM_read_bio_X509_AUX(bio, NULL, tls_secret_give, &none.offer);
	BIO_free(bio);
	return file->form == FORM_DER ||
	       ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

struct stack_st_X509 *tls_file_certs(struct tls_file *file, char why[static TLS_WHY_MAX])
{
	bool read = true;

	if (file->form == FORM_PKCS12 && !open_pkcs12(file, why))
		return NULL;
	if (!file->certs)
		read = read_certs(file);
	if (read && sk_X509_num(file->certs) > 0)
		return file->certs;
	explain(file, TLS_FILE_CERT,
		"name the certificate's file in 'cert', and the key's in 'key'", why);
	return NULL;
}

struct evp_pkey_st *tls_file_key(struct tls_file *file, char why[static TLS_WHY_MAX])
{
	struct attempt a = {.file = file, .why = why};

	if (file->form == FORM_PKCS12 && !open_pkcs12(file, why))
		return NULL;
	if (file->form != FORM_PKCS12 && !file->key)
		file->key = read_key(&a);
	if (file->key)
		return file->key;
	if (a.offer.asked && lacks_algorithm())
		say(why, legacy_key);
	else if (!a.offer.asked)
		explain(file, TLS_FILE_KEY,
			"name the key's file in 'key', or put the key into this one", why);
	else if (tls_secret_open(file->path, try_key, &a, why))
		return file->key;
	return NULL;
}

struct evp_pkey_st *tls_file_dh_parameters(struct tls_file *file)
{
	BIO *bio = content(file);
	EVP_PKEY *group = NULL;
	char *name, *header;
	unsigned char *data;
	long len;

	while (bio && !group && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
		const unsigned char *p = data;
		int type = !strcmp(name, PEM_STRING_DHXPARAMS) ? EVP_PKEY_DHX : EVP_PKEY_DH;

		if (type == EVP_PKEY_DHX || !strcmp(name, PEM_STRING_DHPARAMS))
			group = d2i_KeyParams(type, NULL, &p, len);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	BIO_free(bio);
	return group;
}

/* --- folders ---------------------------------------------------------------------------------- */

/* HASH.N: 8 hexadecimal digits of the subject's hash and a number (X509_LOOKUP_hash_dir(3)). */
static bool is_hashed(const char *name)
{
	const char *number = name + 9;

	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && *number &&
	       !number[strspn(number, "0123456789")];
}

int tls_file_subjects(const char *folder, struct stack_st_X509_NAME *subjects)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int count = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)) != NULL) {
		char path[4096];

		if (!is_hashed(entry->d_name))
			continue;
		count++;
		snprintf(path, sizeof path, "%.3800s/%s", folder, entry->d_name);
		if (subjects)
			SSL_add_file_cert_subjects_to_stack(subjects, path);
	}
	closedir(dir);
	ERR_clear_error();
	return count;
}
