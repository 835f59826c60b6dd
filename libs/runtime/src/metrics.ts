/** The metrics of a process for Prometheus. All names begin with `sluice_`. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

const PREFIX = 'sluice_'

export interface MetricSpec<Label extends string> {
  /** The name without the prefix, such as `requests_total`. */
  readonly name: string
  readonly help: string
  readonly labels?: readonly Label[]
}

type Labels<Label extends string> = { readonly [label in Label]: string }

/** Values by their labels. */
interface Series<Label extends string> {
  /**
   * Stops showing the value of these labels, whose subject is gone. A later value starts from nothing again.
   */
  remove(labels: Labels<Label>): void
}

export interface Metrics {
  /** A value that only grows. */
  counter<Label extends string = never>(
    spec: MetricSpec<Label>,
  ): Series<Label> & { add(count: number, labels: Labels<Label>): void }
  /** A value that can be set. */
  gauge<Label extends string = never>(
    spec: MetricSpec<Label>,
  ): Series<Label> & { set(value: number, labels: Labels<Label>): void }
  /**
   * Values that are found out when somebody reads the metrics. `sample` waits for nothing that may be gone
   * for long. If it rejects, no values are shown.
   */
  sampled<Label extends string = never>(
    spec: MetricSpec<Label> & {
      readonly sample: () => Promise<readonly { readonly labels: Labels<Label>; readonly value: number }[]>
    },
  ): void
  /** A count of values by size. `buckets` are the upper bounds, in the metric's unit. */
  histogram<Label extends string = never>(
    spec: MetricSpec<Label> & { readonly buckets: readonly number[] },
  ): Series<Label> & { observe(value: number, labels: Labels<Label>): void }
  /** Returns all metrics in Prometheus' text format. */
  text(): Promise<string>
  readonly contentType: string
}

/** Makes a registry with the process' memory, CPU and event loop. A name may be registered once. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: PREFIX })
  const optionsOf = <Label extends string>({ name, help, labels = [] }: MetricSpec<Label>) => ({
    name: PREFIX + name,
    help,
    labelNames: [...labels],
    registers: [registry],
  })
  return {
    counter(spec) {
      const counter = new Counter(optionsOf(spec))
      return {
        add: (count, labels) => counter.inc({ ...labels }, count),
        remove: labels => counter.remove({ ...labels }),
      }
    },
    gauge(spec) {
      const gauge = new Gauge(optionsOf(spec))
      return {
        set: (value, labels) => gauge.set({ ...labels }, value),
        remove: labels => gauge.remove({ ...labels }),
      }
    },
    sampled(spec) {
      const { sample } = spec
      new Gauge({
        ...optionsOf(spec),
        async collect() {
          this.reset()
          for (const { labels, value } of await sample().catch(() => [])) this.set({ ...labels }, value)
        },
      })
    },
    histogram(spec) {
      const histogram = new Histogram({ ...optionsOf(spec), buckets: [...spec.buckets] })
      return {
        observe: (value, labels) => histogram.observe({ ...labels }, value),
        remove: labels => histogram.remove({ ...labels }),
      }
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}
