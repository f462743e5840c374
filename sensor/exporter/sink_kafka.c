// SPDX-License-Identifier: Apache-2.0
// Flow records as JSON (docs/flows.md) into a Kafka topic by librdkafka: idempotent, keyed by Community ID, so that all
// records of a flow are in one partition, in order. A record is settled when the broker has said that all its replicas
// in sync have it. While brokers are away librdkafka keeps what it was given and connects again by itself.
//
// Reports come in any order between partitions; records are settled in the order in which they were given, so that one
// place says how far it is.
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/flow_format.h"
#include "sensor/exporter/sink.h"

#define UNSETTLED_MAX 131072u
#define QUEUE_MESSAGES "131072" // the same
#define QUEUE_KIB "131072"

enum { WAITS, DELIVERED, REFUSED };

struct kafka_sink {
	struct sink sink;
	char brokers[256];
	char topic[128];
	rd_kafka_t *producer;
	uint64_t first, next;        // numbers of the oldest message that is not settled, and of the next one
	uint8_t fate[UNSETTLED_MAX]; // by number, a ring
	bool broken;                 // this producer will not deliver all that it has
	char trouble[160];           // that it has at present; empty: none
};

// For another try would end the same way.
static bool is_of_the_record(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
	       error == RD_KAFKA_RESP_ERR_INVALID_RECORD || error == RD_KAFKA_RESP_ERR_INVALID_MSG;
}

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_sink *s = opaque;
	uint64_t number = (uint64_t)(uintptr_t)message->_private;

	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		s->fate[number % UNSETTLED_MAX] = DELIVERED;
		s->trouble[0] = '\0';
	} else if (is_of_the_record(message->err)) {
		s->fate[number % UNSETTLED_MAX] = REFUSED;
	} else {
		s->broken = true;
		snprintf(s->trouble, sizeof(s->trouble), "%s", rd_kafka_err2str(message->err));
	}
}

static void on_error(rd_kafka_t *producer, int error, const char *reason, void *opaque)
{
	struct kafka_sink *s = opaque;

	s->broken = s->broken || error == RD_KAFKA_RESP_ERR__FATAL;
	snprintf(s->trouble, sizeof(s->trouble), "%s", reason);
}

// What librdkafka would print: the state is told by settle.
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
	rd_kafka_conf_set_error_cb(conf, on_error);
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
	s->fate[s->next % UNSETTLED_MAX] = WAITS;
	error = rd_kafka_producev(s->producer, RD_KAFKA_V_TOPIC(s->topic),
	        RD_KAFKA_V_KEY(r->community_id, strlen(r->community_id)), RD_KAFKA_V_VALUE(text, strlen(text)),
	        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)s->next),
	        RD_KAFKA_V_END);
	free(text);
	if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return -EAGAIN;
	if (error && !is_of_the_record(error))
		return error_set(e, -EPROTO, "Kafka: %s", rd_kafka_err2str(error));
	if (error)
		s->fate[s->next % UNSETTLED_MAX] = REFUSED;
	s->next++;
	return 0;
}

static int kafka_give(
        struct sink *sink, const struct flow_record *records, size_t count, size_t *ret_given, struct error *e)
{
	struct kafka_sink *s = (struct kafka_sink *)sink;
	int r = 0;

	for (*ret_given = 0; *ret_given < count && r == 0;) {
		r = s->next - s->first == UNSETTLED_MAX ? -EAGAIN : produce(s, &records[*ret_given], e);
		if (r == 0)
			(*ret_given)++;
	}
	return r;
}

static int kafka_settle(struct sink *sink, struct sink_settled *ret_settled, struct error *e)
{
	struct kafka_sink *s = (struct kafka_sink *)sink;
	struct sink_settled settled = {0};

	rd_kafka_poll(s->producer, 0);
	for (; s->first < s->next; s->first++) {
		uint8_t fate = s->fate[s->first % UNSETTLED_MAX];

		if (fate == WAITS)
			break;
		settled.delivered += fate == DELIVERED;
		settled.refused += fate == REFUSED;
	}
	*ret_settled = settled;
	if (s->broken)
		return error_set(e, -EPROTO, "Kafka: %s", s->trouble);
	return s->trouble[0] ? error_set(e, -EAGAIN, "Kafka: %s", s->trouble) : 0;
}

static void kafka_finish(struct sink *sink)
{
}

static void kafka_close(struct sink *sink)
{
	struct kafka_sink *s = (struct kafka_sink *)sink;

	if (s->producer) {
		rd_kafka_purge(s->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_destroy(s->producer);
	}
	s->producer = NULL;
	s->first = s->next = 0;
	s->broken = false;
	s->trouble[0] = '\0';
}

static void kafka_free(struct sink *sink)
{
	kafka_close(sink);
	free(sink);
}

static const struct sink_ops kafka_ops = {kafka_open, kafka_give, kafka_settle, kafka_finish, kafka_close, kafka_free};

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
