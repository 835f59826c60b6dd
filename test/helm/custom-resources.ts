/**
 * JSON schemas of the custom resources that the chart makes, written from the references of KEDA, Strimzi and
 * the Prometheus operator. Each has the fields that the chart uses, and no others, so that a misspelt field
 * is refused. They know less than the operators: only a cluster shows whether these take a resource.
 */
type Schema = { readonly [keyword: string]: unknown }

const text = { type: 'string', minLength: 1 }
const count = { type: 'integer', minimum: 0 }
const texts = { type: 'object', additionalProperties: { type: 'string' } }

function closed(properties: { readonly [name: string]: Schema }, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter(name => !optional.includes(name))
  return { type: 'object', additionalProperties: false, properties, required }
}

function listOf(items: Schema): Schema {
  return { type: 'array', minItems: 1, items }
}

function resource(spec: Schema): Schema {
  const metadata = closed({ name: text, labels: texts, annotations: texts }, ['annotations'])
  return closed({ apiVersion: text, kind: text, metadata, spec })
}

const policies = listOf(closed({ type: { enum: ['Pods', 'Percent'] }, value: count, periodSeconds: count }))
const scaleDown = closed({ stabilizationWindowSeconds: count, policies })

const scaledObject = resource(
  closed({
    scaleTargetRef: closed({ name: text }),
    minReplicaCount: count,
    maxReplicaCount: count,
    pollingInterval: count,
    fallback: closed({
      failureThreshold: count,
      replicas: count,
      behavior: {
        enum: ['static', 'currentReplicas', 'currentReplicasIfHigher', 'currentReplicasIfLower'],
      },
    }),
    advanced: closed({ horizontalPodAutoscalerConfig: closed({ behavior: closed({ scaleDown }) }) }),
    triggers: listOf(
      closed(
        {
          type: { enum: ['prometheus', 'kafka'] },
          metricType: { enum: ['AverageValue', 'Value'] },
          metadata: texts,
          authenticationRef: closed({ name: text }),
        },
        ['authenticationRef'],
      ),
    ),
  }),
)

const triggerAuthentication = resource(
  closed({ secretTargetRef: listOf(closed({ parameter: text, name: text, key: text })) }),
)

const serviceMonitor = resource(
  closed({
    selector: closed({ matchLabels: texts }),
    endpoints: listOf(
      closed(
        {
          port: text,
          path: text,
          interval: text,
          authorization: closed({ type: text, credentials: closed({ name: text, key: text }) }),
        },
        ['authorization'],
      ),
    ),
  }),
)

const kafkaTopic = resource(
  closed(
    {
      topicName: text,
      partitions: { type: 'integer', minimum: 1 },
      replicas: { type: 'integer', minimum: 1 },
      config: { type: 'object', additionalProperties: { type: ['string', 'integer'] } },
    },
    ['replicas'],
  ),
)

const OPERATIONS = 'Read Write Delete Describe DescribeConfigs Create AlterConfigs'.split(' ')
const kafkaUser = resource(
  closed({
    authentication: closed({ type: { enum: ['scram-sha-512', 'tls', 'tls-external'] } }),
    authorization: closed({
      type: { const: 'simple' },
      acls: listOf(
        closed({
          resource: closed({
            type: { enum: ['topic', 'group', 'cluster', 'transactionalId'] },
            name: text,
            patternType: { enum: ['literal', 'prefix'] },
          }),
          operations: listOf({ enum: OPERATIONS }),
        }),
      ),
    }),
  }),
)

/** The schemas by the names of files under which kubeconform looks for them: kind, group and version. */
export const CUSTOM_RESOURCES: { readonly [file: string]: Schema } = {
  'scaledobject-keda-v1alpha1.json': scaledObject,
  'triggerauthentication-keda-v1alpha1.json': triggerAuthentication,
  'servicemonitor-monitoring-v1.json': serviceMonitor,
  'kafkatopic-kafka-v1.json': kafkaTopic,
  'kafkauser-kafka-v1.json': kafkaUser,
}
