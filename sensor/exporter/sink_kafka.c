// SPDX-License-Identifier: Apache-2.0
// Flow records as JSON (docs/flows.md) into a Kafka topic by librdkafka: idempotent, keyed by Community ID, so that all
// records of a flow are in one partition, in order. While the broker is away records wait, in memory up to a bound.
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/flow_format.h"
#include "sensor/exporter/sink.h"

#define QUEUE_MESSAGES "100000"
#define QUEUE_KIB "65536"
#define PRODUCE_WAIT_MS 200

struct kafka_sink {
	struct sink sink;
	char brokers[256];
	char topic[128];
	rd_kafka_t *producer;
	uint64_t refused; // by the broker, for good; told by delivery reports
	char last_error[160];
};

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_sink *s = opaque;

	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	s->refused++;
	snprintf(s->last_error, sizeof(s->last_error), "%s", rd_kafka_err2str(message->err));
}

// What librdkafka would print: the state is told by flush.
static void on_log(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e)
{
	char reason[200];

	return rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK
	               ? 0
	               : error_set(e, -EINVAL, "Kafka: %s = %s: %s", name, value, reason);
}

// librdkafka connects, and connects again, by itself: one producer lives as long as the sink.
static int kafka_open(struct sink *sink, struct error *e)
{
	static const struct {
		const char *name, *value;
	} settings[] = {{"enable.idempotence", "true"}, {"compression.type", "zstd"}, {"linger.ms", "20"},
	        {"message.timeout.ms", "0"}, {"queue.buffering.max.messages", QUEUE_MESSAGES},
	        {"queue.buffering.max.kbytes", QUEUE_KIB}, {"reconnect.backoff.max.ms", "2000"},
	        {"client.id", "sealtap"}};
	struct kafka_sink *s = (struct kafka_sink *)sink;
	rd_kafka_conf_t *conf;
	char reason[200];
	int r;

	if (s->producer)
		return 0;
	conf = rd_kafka_conf_new();
	r = set(conf, "bootstrap.servers", s->brokers, e);
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings) && r == 0; i++)
		r = set(conf, settings[i].name, settings[i].value, e);
	if (r < 0) {
		rd_kafka_conf_destroy(conf);
		return r;
	}
	rd_kafka_conf_set_opaque(conf, s);
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rd_kafka_conf_set_log_cb(conf, on_log);
	s->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (!s->producer) {
		rd_kafka_conf_destroy(conf);
		return error_set(e, -EINVAL, "Kafka: %s", reason);
	}
	return 0;
}

static int produce(struct kafka_sink *s, const struct flow_record *r, struct error *e)
{
	json_t *object = flow_json(r);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	rd_kafka_resp_err_t error;

	json_decref(object);
	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	error = rd_kafka_producev(s->producer, RD_KAFKA_V_TOPIC(s->topic),
	        RD_KAFKA_V_KEY(r->community_id, strlen(r->community_id)), RD_KAFKA_V_VALUE(text, strlen(text)),
	        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	free(text);
	if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return -EAGAIN;
	return error ? error_set(e, -EPROTO, "Kafka: %s", rd_kafka_err2str(error)) : 0;
}

static int kafka_deliver(
        struct sink *sink, const struct flow_record *records, size_t count, size_t *ret_done, struct error *e)
{
	struct kafka_sink *s = (struct kafka_sink *)sink;
	int r = 0;

	for (*ret_done = 0; *ret_done < count && r == 0;) {
		r = produce(s, &records[*ret_done], e);
		if (r == 0)
			(*ret_done)++;
		rd_kafka_poll(s->producer, r == -EAGAIN ? PRODUCE_WAIT_MS : 0);
	}
	return r == -EAGAIN ? error_set(e, -EAGAIN, "Kafka: the queue is full: no broker takes its messages") : r;
}

static int kafka_flush(struct sink *sink, int timeout_ms, uint64_t *ret_lost, struct error *e)
{
	struct kafka_sink *s = (struct kafka_sink *)sink;
	int left;

	*ret_lost = 0;
	if (!s->producer)
		return 0;
	rd_kafka_flush(s->producer, timeout_ms);
	left = rd_kafka_outq_len(s->producer);
	*ret_lost = s->refused + (uint64_t)left;
	if (*ret_lost == 0)
		return 0;
	return error_set(e, -ETIMEDOUT, "Kafka: %s", s->refused ? s->last_error : "no broker took them");
}

static void kafka_close(struct sink *sink)
{
}

static void kafka_free(struct sink *sink)
{
	struct kafka_sink *s = (struct kafka_sink *)sink;

	if (s->producer) {
		rd_kafka_purge(s->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_destroy(s->producer);
	}
	free(s);
}

static const struct sink_ops kafka_ops = {kafka_open, kafka_deliver, kafka_flush, kafka_close, kafka_free};

int sink_kafka_new(const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e)
{
	const char *topic = strrchr(target, '/');
	struct kafka_sink *s;

	if (!topic || topic == target || topic[1] == '\0' || (size_t)(topic - target) >= sizeof(s->brokers) ||
	        strlen(topic + 1) >= sizeof(s->topic))
		return error_set(e, -EINVAL, "Kafka is BROKER[,BROKER]/TOPIC, not %s", target);
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->sink.ops = &kafka_ops;
	snprintf(s->sink.name, sizeof(s->sink.name), "kafka %.300s", target);
	memcpy(s->brokers, target, (size_t)(topic - target));
	snprintf(s->topic, sizeof(s->topic), "%s", topic + 1);
	*ret_sink = &s->sink;
	return 0;
}
