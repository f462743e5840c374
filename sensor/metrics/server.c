// SPDX-License-Identifier: Apache-2.0
#include "sensor/metrics/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX 128u
#define CONNECTION_BYTES (8u << 10)
#define CONNECTION_SECONDS 10u        // of silence
#define PENDING_BYTES_MAX (64u << 20) // pages that slow readers have not taken
#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

// A page and those who are to get it.
struct page_sent {
	struct server *server;
	struct MHD_Response *response;
	unsigned users;
	char *text;
	size_t len;
};

enum request_state { REQUEST_NONE, REQUEST_NEW, REQUEST_WAITING, REQUEST_ASKED, REQUEST_GIVEN };
struct request {
	enum request_state state;
	struct MHD_Connection *connection;
	struct page_sent *page; // NULL with REQUEST_GIVEN: none could be made
};

struct server {
	struct MHD_Daemon *daemon;
	int wake_fd;
	struct MHD_Response *pointer, *not_found, *method, *body, *busy;
	pthread_mutex_t lock; // of what follows
	bool ending;
	struct request request[CONNECTIONS_MAX];
	_Atomic size_t pending_bytes;
};

// When the last connection has sent it.
static void page_gone(void *closure)
{
	struct page_sent *page = closure;

	atomic_fetch_sub(&page->server->pending_bytes, page->len);
	free(page->text);
	free(page);
}

static struct page_sent *page_sent_new(struct server *s, char *text, size_t len)
{
	struct page_sent *page = text ? calloc(1, sizeof(*page)) : NULL;

	if (!page || atomic_load(&s->pending_bytes) + len > PENDING_BYTES_MAX)
		goto failed;
	*page = (struct page_sent){.server = s, .text = text, .len = len};
	page->response = MHD_create_response_from_buffer_with_free_callback_cls(len, text, page_gone, page);
	if (!page->response)
		goto failed;
	atomic_fetch_add(&s->pending_bytes, len);
	MHD_add_response_header(page->response, MHD_HTTP_HEADER_CONTENT_TYPE, CONTENT_TYPE);
	return page;
failed:
	free(page);
	free(text);
	return NULL;
}

static void release(struct page_sent *page)
{
	if (page && --page->users == 0)
		MHD_destroy_response(page->response);
}

static struct request *request_new(struct server *s, struct MHD_Connection *connection)
{
	struct request *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < CONNECTIONS_MAX && !found; i++)
		if (s->request[i].state == REQUEST_NONE)
			found = &s->request[i];
	if (found)
		*found = (struct request){.state = REQUEST_NEW, .connection = connection};
	pthread_mutex_unlock(&s->lock);
	return found;
}

static bool has_body(struct MHD_Connection *c)
{
	const char *len = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (len && strcmp(len, "0") != 0) ||
	       MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

static enum MHD_Result begin(
        struct server *s, struct MHD_Connection *c, const char *url, const char *method, void **ret)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return MHD_queue_response(c, MHD_HTTP_METHOD_NOT_ALLOWED, s->method);
	if (has_body(c))
		return MHD_queue_response(c, MHD_HTTP_BAD_REQUEST, s->body);
	if (strcmp(url, "/") == 0)
		return MHD_queue_response(c, MHD_HTTP_OK, s->pointer);
	if (strcmp(url, "/metrics") != 0)
		return MHD_queue_response(c, MHD_HTTP_NOT_FOUND, s->not_found);
	*ret = request_new(s, c);
	return *ret ? MHD_YES : MHD_queue_response(c, MHD_HTTP_SERVICE_UNAVAILABLE, s->busy);
}

static enum MHD_Result answer(void *closure, struct MHD_Connection *c, const char *url, const char *method,
        const char *version, const char *upload, size_t *upload_len, void **context)
{
	struct server *s = closure;
	struct request *q = *context;
	struct page_sent *page;
	bool wait = false;

	if (!q)
		return begin(s, c, url, method, context);
	pthread_mutex_lock(&s->lock);
	if (q->state == REQUEST_NEW && !s->ending) {
		MHD_suspend_connection(c);
		q->state = REQUEST_WAITING;
		wait = true;
	}
	page = q->page;
	pthread_mutex_unlock(&s->lock);
	if (wait) // a full pipe wakes as well
		return write(s->wake_fd, "", 1) == 1 || errno == EAGAIN ? MHD_YES : MHD_NO;
	return page ? MHD_queue_response(c, MHD_HTTP_OK, page->response)
	            : MHD_queue_response(c, MHD_HTTP_SERVICE_UNAVAILABLE, s->busy);
}

static void completed(void *closure, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode why)
{
	struct server *s = closure;
	struct request *q = *context;

	if (!q)
		return;
	pthread_mutex_lock(&s->lock);
	release(q->page);
	*q = (struct request){0};
	pthread_mutex_unlock(&s->lock);
}

unsigned server_begin(struct server *s)
{
	unsigned count = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (s->request[i].state == REQUEST_WAITING) {
			s->request[i].state = REQUEST_ASKED;
			count++;
		}
	pthread_mutex_unlock(&s->lock);
	return count;
}

void server_give(struct server *s, char *text, size_t len)
{
	struct page_sent *page = page_sent_new(s, text, len);
	struct MHD_Connection *to[CONNECTIONS_MAX];
	unsigned count = 0;

	pthread_mutex_lock(&s->lock);
	if (page)
		page->users = 1; // this function
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		struct request *q = &s->request[i];

		if (q->state != REQUEST_ASKED)
			continue;
		q->state = REQUEST_GIVEN;
		q->page = page;
		if (page)
			page->users++;
		to[count++] = q->connection;
	}
	release(page);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < count; i++)
		MHD_resume_connection(to[i]);
}

static struct MHD_Response *fixed(const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (char *)text, MHD_RESPMEM_PERSISTENT);

	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	return r;
}

static void server_free(struct server *s)
{
	struct MHD_Response *all[] = {s->pointer, s->not_found, s->method, s->body, s->busy};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			MHD_destroy_response(all[i]);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int server_start(int listen_fd, int wake_fd, struct server **ret_server)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->wake_fd = wake_fd;
	pthread_mutex_init(&s->lock, NULL);
	s->pointer = fixed("sealtap: the metrics of the captures that run here are at /metrics\n");
	s->not_found = fixed("there is nothing but /metrics\n");
	s->method = fixed("only GET and HEAD\n");
	s->body = fixed("a request here has no body\n");
	s->busy = fixed("no page can be made now: it ends, or memory is short; try again\n");
	if (!s->pointer || !s->not_found || !s->method || !s->body || !s->busy) {
		server_free(s);
		return -ENOMEM;
	}
	MHD_add_response_header(s->method, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	s->daemon = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL,
	        NULL, answer, s, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
	        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
	        CONNECTION_SECONDS, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, completed, s,
	        MHD_OPTION_END);
	if (!s->daemon) {
		int r = errno ? -errno : -EIO;

		server_free(s);
		return r;
	}
	*ret_server = s;
	return 0;
}

void server_stop(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	pthread_mutex_unlock(&s->lock);
	server_begin(s);
	server_give(s, NULL, 0);
	MHD_stop_daemon(s->daemon);
	server_free(s);
}
