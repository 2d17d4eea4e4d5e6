/* SPDX-License-Identifier: ISC */
#ifndef ERRORS_H
#define ERRORS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Every protocol error: identifier, name for logs and tests, HTTP status that answers it, source,
 * text. Functions of the core return 0 or -ERR_x; "need more input" is never an error. Requests are
 * refused for the first ones, the answers of a backend for those from ANSWER_STATUS_LINE on. What
 * has the status 0 is no error: it was mended in an answer, which was sent on.
 */
#define ERRORS(X)                                                                                  \
	X(METHOD_INVALID, "method-invalid", 400, "RFC 9110 9.1", "the method is not a token")      \
	X(REQUEST_LINE, "request-line", 400, "RFC 9112 3",                                         \
	  "the request line is not method SP request-target SP version")                           \
	X(TARGET_INVALID, "target-invalid", 400, "RFC 9112 3.2",                                   \
	  "the request-target holds a byte that no URI may hold")                                  \
	X(TARGET_FORM, "target-form", 400, "RFC 9112 3.2",                                         \
	  "the form of the request-target does not fit the method")                                \
	X(VERSION_INVALID, "version-invalid", 400, "RFC 9112 2.3", "this is not an HTTP version")  \
	X(VERSION_UNSUPPORTED, "version-unsupported", 505, "RFC 9110 15.6.6",                      \
	  "only HTTP/1.0 and HTTP/1.1 are spoken here")                                            \
	X(HTTP2_PREFACE, "http2-preface", 400, "RFC 9113 3.4",                                     \
	  "the method PRI belongs to HTTP/2, which is not spoken here")                            \
	X(CONNECT_REFUSED, "connect-refused", 405, "RFC 9110 9.3.6", "CONNECT is not served here") \
	X(BARE_LF, "bare-lf", 400, "RFC 9112 2.2", "a line ends in LF without CR")                 \
	X(BARE_CR, "bare-cr", 400, "RFC 9112 2.2", "a CR is not followed by LF")                   \
	X(LEADING_CRLF, "leading-crlf", 400, "RFC 9112 2.2",                                       \
	  "too many empty lines before a request")                                                 \
	X(LEADING_SPACE, "leading-space", 400, "RFC 9112 2.2",                                     \
	  "white space before the first field")                                                    \
	X(OBS_FOLD, "obs-fold", 400, "RFC 9112 5.2", "a field value is folded over lines")         \
	X(FIELD_NO_COLON, "field-no-colon", 400, "RFC 9112 5", "a field line has no colon")        \
	X(FIELD_NAME_EMPTY, "field-name-empty", 400, "RFC 9110 5.1", "a field name is empty")      \
	X(FIELD_NAME, "field-name", 400, "RFC 9112 5.1", "a field name is not a token")            \
	X(FIELD_VALUE, "field-value", 400, "RFC 9110 5.5",                                         \
	  "a field value holds a control character")                                               \
	X(HEAD_TOO_LARGE, "head-too-large", 431, "RFC 6585 5", "the head is too large")            \
	X(TOO_MANY_FIELDS, "too-many-fields", 431, "RFC 6585 5", "the head has too many fields")   \
	X(HOST_MISSING, "host-missing", 400, "RFC 9112 3.2", "an HTTP/1.1 request has no Host")    \
	X(HOST_DUPLICATE, "host-duplicate", 400, "RFC 9112 3.2", "there is more than one Host")    \
	X(HOST_INVALID, "host-invalid", 400, "RFC 9112 3.2", "the Host value is not a host name")  \
	X(HOST_MISMATCH, "host-mismatch", 400, "RFC 9112 3.2.2",                                   \
	  "Host and the absolute request-target disagree")                                         \
	X(CONNECTION_OPTION, "connection-option", 400, "RFC 9110 7.6.1",                           \
	  "Connection names a field that frames or routes the message")                            \
	X(LENGTH_INVALID, "length-invalid", 400, "RFC 9110 8.6",                                   \
	  "Content-Length is not a decimal number that fits")                                      \
	X(LENGTH_DUPLICATE, "length-duplicate", 400, "RFC 9112 6.3",                               \
	  "there is more than one Content-Length")                                                 \
	X(LENGTH_AND_CODING, "length-and-coding", 400, "RFC 9112 6.1",                             \
	  "both Transfer-Encoding and Content-Length are present")                                 \
	X(CODING_DUPLICATE, "coding-duplicate", 400, "RFC 9112 7.1",                               \
	  "'chunked' stands more than once in Transfer-Encoding")                                  \
	X(CODING_INVALID, "coding-invalid", 400, "RFC 9112 6.3",                                   \
	  "Transfer-Encoding is no list of codings that ends in 'chunked'")                        \
	X(CODING_UNKNOWN, "coding-unknown", 501, "RFC 9112 6.1",                                   \
	  "only the transfer coding 'chunked' is known here")                                      \
	X(CODING_VERSION, "coding-version", 400, "RFC 9112 6.1",                                   \
	  "Transfer-Encoding in an HTTP/1.0 request")                                              \
	X(LENGTH_REQUIRED, "length-required", 411, "RFC 9110 15.5.12",                             \
	  "content without a Content-Length is not served here")                                   \
	X(TRACE_CONTENT, "trace-content", 400, "RFC 9110 9.3.8", "a TRACE request has content")    \
	X(EXPECTATION, "expectation", 417, "RFC 9110 10.1.1",                                      \
	  "an expectation other than 100-continue")                                                \
	X(CHUNK_SIZE, "chunk-size", 400, "RFC 9112 7.1",                                           \
	  "a chunk size is not a hexadecimal number")                                              \
	X(CHUNK_TOO_LARGE, "chunk-too-large", 400, "RFC 9112 7.1", "a chunk size is too large")    \
	X(CHUNK_EXTENSION, "chunk-extension", 400, "RFC 9112 7.1.1",                               \
	  "a chunk extension is too long or holds a control character")                            \
	X(CHUNK_END, "chunk-end", 400, "RFC 9112 7.1", "the data of a chunk does not end in CRLF") \
	X(TRUNCATED, "truncated", 400, "RFC 9112 8", "the request ends before it is complete")     \
	X(REQUEST_TIMEOUT, "request-timeout", 408, "RFC 9110 15.5.9",                              \
	  "the request head did not arrive in time")                                               \
	X(PLAIN_HTTP, "plain-http", 400, "RFC 9110 7.4",                                           \
	  "this is plain HTTP on a port of HTTPS: the address begins with https://")               \
	X(ANSWER_STATUS_LINE, "answer-status-line", 502, "RFC 9112 4",                             \
	  "the answer does not begin with a status line of HTTP/1")                                \
	X(ANSWER_HEAD_TOO_LARGE, "answer-head-too-large", 502, "RFC 9110 5.4",                     \
	  "the head of the answer is too large")                                                   \
	X(ANSWER_TOO_MANY_FIELDS, "answer-too-many-fields", 502, "RFC 9110 5.4",                   \
	  "the answer has too many fields")                                                        \
	X(ANSWER_LEADING_SPACE, "answer-leading-space", 502, "RFC 9112 2.2",                       \
	  "white space before the first field of the answer")                                      \
	X(ANSWER_NO_COLON, "answer-no-colon", 502, "RFC 9112 5",                                   \
	  "a field line of the answer has no colon")                                               \
	X(ANSWER_FIELD_NAME, "answer-field-name", 502, "RFC 9112 5.1",                             \
	  "a field name of the answer is no token")                                                \
	X(ANSWER_NUL, "answer-nul", 502, "RFC 9110 5.5", "a line of the answer holds a NUL")       \
	X(ANSWER_BARE_CR, "answer-bare-cr", 502, "RFC 9112 2.2",                                   \
	  "a CR in the answer is not followed by LF")                                              \
	X(ANSWER_LENGTH_INVALID, "answer-length-invalid", 502, "RFC 9112 6.3",                     \
	  "Content-Length of the answer is not a decimal number that fits")                        \
	X(ANSWER_LENGTHS_DIFFER, "answer-lengths-differ", 502, "RFC 9112 6.3",                     \
	  "the answer has two different lengths")                                                  \
	X(ANSWER_CODING, "answer-coding", 502, "RFC 9112 6.1",                                     \
	  "Transfer-Encoding of the answer is no list of codings")                                 \
	X(ANSWER_CHUNK_SIZE, "answer-chunk-size", 502, "RFC 9112 7.1",                             \
	  "a chunk of the answer has no size, or one that does not fit")                           \
	X(ANSWER_CHUNK_EXTENSION, "answer-chunk-extension", 502, "RFC 9112 7.1.1",                 \
	  "a chunk extension of the answer is too long, or holds a control character")             \
	X(ANSWER_CHUNK_END, "answer-chunk-end", 502, "RFC 9112 7.1",                               \
	  "the data of a chunk of the answer does not end with its line")                          \
	X(SWITCH_UNASKED, "switch-unasked", 502, "RFC 9110 15.2.2",                                \
	  "the answer switches to a protocol that the request did not ask for")                    \
	X(BACKEND_CLOSED, "backend-closed", 502, "RFC 9110 15.6.3",                                \
	  "the backend closed the connection without an answer")                                   \
	X(BACKEND_TIMEOUT, "backend-timeout", 504, "RFC 9110 15.6.5",                              \
	  "the backend did not answer in time")                                                    \
	X(BACKEND_UNAVAILABLE, "backend-unavailable", 503, "RFC 9110 15.6.4",                      \
	  "the backend cannot be reached")                                                         \
	X(ANSWER_STATUS_SPELLING, "answer-status-spelling", 0, "RFC 9112 4",                       \
	  "a space is missing in the status line of the answer, or several are there")             \
	X(ANSWER_EMPTY_LINES, "answer-empty-lines", 0, "RFC 9112 2.2",                             \
	  "empty lines stand before the answer")                                                   \
	X(ANSWER_BARE_LF, "answer-bare-lf", 0, "RFC 9112 2.2",                                     \
	  "a line of the answer ends in LF without CR")                                            \
	X(ANSWER_FOLD, "answer-fold", 0, "RFC 9112 5.2",                                           \
	  "a field of the answer is folded over lines")                                            \
	X(ANSWER_SPACE_BEFORE_COLON, "answer-space-before-colon", 0, "RFC 9112 5.1",               \
	  "white space before a colon in the answer")                                              \
	X(ANSWER_LENGTH_REPEATED, "answer-length-repeated", 0, "RFC 9110 8.6",                     \
	  "the answer tells one length several times")                                             \
	X(ANSWER_LENGTH_AND_CODING, "answer-length-and-coding", 0, "RFC 9112 6.3",                 \
	  "the answer has both Transfer-Encoding and Content-Length")                              \
	X(ANSWER_CODING_REPEATED, "answer-coding-repeated", 0, "RFC 9112 6.1",                     \
	  "the answer tells twice that it is chunked, or has the coding 'identity'")               \
	X(ANSWER_CODING_OTHER, "answer-coding-other", 0, "RFC 9112 6.3",                           \
	  "chunked is not the last coding of the answer, so that it lasts until close")            \
	X(ANSWER_CODING_VERSION, "answer-coding-version", 0, "RFC 9112 6.1",                       \
	  "Transfer-Encoding in an HTTP/1.0 answer")                                               \
	X(ANSWER_CHUNKS_UNASKED, "answer-chunks-unasked", 0, "RFC 9112 6.1",                       \
	  "the answer to an HTTP/1.0 request is chunked")                                          \
	X(ANSWER_NO_CONTENT, "answer-no-content", 0, "RFC 9112 6.1",                               \
	  "the answer may have no content, and tells where that ends")                             \
	X(ANSWER_CHUNK_SPACE, "answer-chunk-space", 0, "RFC 9112 7.1",                             \
	  "white space around a chunk size of the answer")                                         \
	X(ANSWER_TRAILER, "answer-trailer", 0, "RFC 9110 6.5.1",                                   \
	  "a trailer of the answer frames or routes the message")                                  \
	X(ANSWER_UNASKED, "answer-unasked", 0, "RFC 9112 9.2",                                     \
	  "the backend sent something that answers no request")

enum error {
	ERR_NONE = 0,
#define X(id, name, status, source, text) ERR_##id,
	ERRORS(X)
#undef X
	/* clang-format off */
	ERR_COUNT,
	/* clang-format on */
	ERR_ANSWER_FIRST = ERR_ANSWER_STATUS_LINE, /* for what a backend is to blame, */
	ERR_ANSWER_LAST = ERR_BACKEND_TIMEOUT,	   /* with an error in its answer's place */
	ERR_MENDED_FIRST = ERR_ANSWER_STATUS_SPELLING,
};

/* Whether the backend is to blame, so that the error stands in the place of its answer. */
static inline bool errors_of_answer(enum error e)
{
	return e >= ERR_ANSWER_FIRST && e <= ERR_ANSWER_LAST;
}

struct errors_info {
	const char *name;
	int status;	    /* HTTP status that answers it; 0: mended */
	const char *source; /* RFC and section */
	const char *text;
	uint8_t text_len;
	const char *log; /* for the log of a refusal: NAME (SOURCE): TEXT */
};

/* One row an error, by enum error; the row of ERR_NONE is zeroed. */
extern const struct errors_info errors_info[ERR_COUNT];

#endif
