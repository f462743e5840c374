// SPDX-License-Identifier: Apache-2.0
// A Kafka broker for tests: librdkafka's mock cluster in a process of its own. Prints its address; then obeys lines on
// standard input, "down" and "up", and ends with it.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	char reason[200], line[16];
	rd_kafka_t *owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), reason, sizeof(reason));
	rd_kafka_mock_cluster_t *cluster = owner ? rd_kafka_mock_cluster_new(owner, 1) : NULL;

	for (int i = 1; i < argc && cluster; i++)
		if (rd_kafka_mock_topic_create(cluster, argv[i], 3, 1) != RD_KAFKA_RESP_ERR_NO_ERROR)
			cluster = NULL;
	if (argc < 2 || !cluster) {
		fprintf(stderr, "kafka_mock TOPIC...: no cluster: %s\n", reason);
		return 1;
	}
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "down\n") == 0)
			rd_kafka_mock_broker_set_down(cluster, 1);
		else if (strcmp(line, "up\n") == 0)
			rd_kafka_mock_broker_set_up(cluster, 1);
	}
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(owner);
	return 0;
}
