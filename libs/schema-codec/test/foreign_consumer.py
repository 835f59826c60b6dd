"""Reads Avro records of a topic with Confluent's own client, which knows nothing of Sluice.

Arguments: brokers, registry URL, topic, number of records, and optionally the subject whose latest schema is the
reader's. Prints a JSON array of the values in order; what JSON has no word for is {"type of Python": text}.
"""

import datetime
import decimal
import json
import math
import sys
import uuid

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def plain(value):
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, (datetime.date, datetime.time)):
        return {type(value).__name__: value.isoformat()}
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return {type(value).__name__: str(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return {"int": str(value)}
    return value


def main(brokers, registry_url, topic, count, reader_subject=None):
    registry = SchemaRegistryClient({"url": registry_url})
    reader = registry.get_latest_version(reader_subject).schema.schema_str if reader_subject else None
    deserialize = AvroDeserializer(registry, reader)
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "foreign", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = []
    while len(values) < int(count):
        message = consumer.poll(30)
        if message is None:
            raise SystemExit(f"no record within 30 s after {len(values)}")
        if message.error():
            raise SystemExit(str(message.error()))
        values.append(plain(deserialize(message.value(), SerializationContext(topic, MessageField.VALUE))))
    consumer.close()
    print(json.dumps(values))


main(*sys.argv[1:])
